"""Following the state of maintenance: what every node does about it, in rounds."""

from __future__ import annotations

from tramontane.runtime.loop import Loop
from tramontane.service.maintenance import POLL_SECONDS, Maintenance


class MaintenanceWatch:
    """Calls :meth:`tramontane.service.maintenance.Maintenance.step`, at once after a change made here."""

    def __init__(self, maintenance: Maintenance) -> None:
        self._maintenance = maintenance
        self.loop = Loop("maintenance", maintenance.step, POLL_SECONDS)
        maintenance.on_change(self.loop.wake)

    async def start(self) -> None:
        """Begin; when this returns, the status is known, so that requests can be judged by it."""
        await self._maintenance.read()
        await self.loop.start()

    async def stop(self) -> None:
        await self.loop.stop()
