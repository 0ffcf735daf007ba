"""What a process does where others share its database: it says that it lives, keeps what it has and looks for what others left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from bot.coach import Coach
from bot.deliveries import Courier
from bot.errors import StoreError
from bot.ports import Store

LOOK = 1.0
"""Seconds between two looks at what nobody is at work on; another process that is alive tells at once."""

LOOK_ALONE = 5.0
"""The same where no other process is: an update whose turn could not be written is begun again."""

RENEWALS = 4
"""Times that a lease is renewed before it would run out."""

log = structlog.get_logger("sharing")


class Sharing:
    """Renews this process's leases and picks up updates, until stopped. `pick_up` begins what lies in the inbox."""

    def __init__(
        self,
        store: Store,
        coach: Coach,
        courier: Courier,
        platforms: Sequence[str],
        pick_up: Callable[[], Awaitable[None]],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._coach = coach
        self._courier = courier
        self._platforms = list(platforms)
        self._pick_up = pick_up
        self._now = now
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()

    def wake(self) -> None:
        """There may be updates that nobody is at work on."""
        self._wake.set()

    async def run(self) -> None:
        """Until `stop`. Where the database is the process's own there is only what a fault of it left behind to be looked for."""
        if self._store.shared:
            async with self._store.listen(self.wake, self._courier.wake):
                await asyncio.gather(self._renew(), self._look(LOOK))
        else:
            await self._look(LOOK_ALONE)

    async def stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    async def _renew(self) -> None:
        while not self._stopping.is_set():
            try:
                living = await self._store.hold(self._platforms, set(self._coach.at_work), self._courier.sending, self._now())
                self._courier.share(living)
            except StoreError as error:
                log.warning("leases not renewed", reason=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._store.lease.total_seconds() / RENEWALS)

    async def _look(self, pause: float) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                await self._pick_up()
            except StoreError as error:
                log.warning("inbox unreadable", reason=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
