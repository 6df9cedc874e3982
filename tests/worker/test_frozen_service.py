"""The Python kit before a service that takes calls and doesn't answer them, as a frozen node does."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tramontane.worker import Worker

PATIENCE = 30.0


class Service:
    """Gives no work, and leaves the first heartbeat without an answer."""

    def __init__(self) -> None:
        self.polls: list[int] = []
        self.beats = 0
        self.beaten_again = asyncio.Event()

    async def poll(self, request: web.Request) -> web.Response:
        self.polls.append((await request.json())["poll"])
        await asyncio.sleep(0.05)
        return web.json_response({"lease_seconds": 0.4, "jobs": []})

    async def heartbeat(self, _: web.Request) -> web.Response:
        self.beats += 1
        if self.beats == 1:
            await asyncio.Event().wait()
        self.beaten_again.set()
        return web.json_response({"lease_seconds": 0.4, "cancelled": []})


def test_a_heartbeat_that_nobody_answers_is_followed_by_the_next_one() -> None:
    async def test() -> None:
        service, stopping = Service(), asyncio.Event()
        application = web.Application()
        application.router.add_post("/v2/workers/poll", service.poll)
        application.router.add_post("/v2/workers/heartbeat", service.heartbeat)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            worker = Worker(f"http://127.0.0.1:{runner.addresses[0][1]}")
            worker.action("a")(lambda: None)
            working = asyncio.create_task(worker.work(stopping))
            async with asyncio.timeout(PATIENCE):
                await service.beaten_again.wait()
                stopping.set()
                await working
        finally:
            await runner.cleanup()
        assert service.polls == list(range(1, len(service.polls) + 1))

    asyncio.run(test())
