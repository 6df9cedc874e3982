"""A kit for workers in Python: functions of yours as actions of the service.

::

    worker = Worker("http://127.0.0.1:8989")

    @worker.action("img.resize")
    async def resize(image: str, width: int = 100) -> dict[str, int]:
        ...

    worker.run()
"""

from tramontane.worker.worker import ActionFailed, Worker

__all__ = ["ActionFailed", "Worker"]
