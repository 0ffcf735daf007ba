"""The steady tick, by APScheduler: one job that asks what is due. There is no job per learner."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_SUBMITTED, JobEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.coach import Coach
from bot.errors import StoreError
from bot.ports import Store

TICK = 1.0
"""Seconds between two looks at what is due."""

LAST = 5.0
"""Seconds that a stop waits for the tick that is under way."""

log = structlog.get_logger("clock")


class Clock:
    """Ticks until stopped. `last_tick` tells when the database was last asked with success, UTC."""

    def __init__(self, coach: Coach, store: Store, platforms: Sequence[str]) -> None:
        self._coach = coach
        self._store = store
        self._platforms = list(platforms)
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.last_tick: datetime | None = None

    def start(self) -> None:
        jobs = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler.add_job(self.tick, IntervalTrigger(seconds=int(TICK)), next_run_time=datetime.now(UTC), **jobs)
        self._scheduler.add_job(self.tidy, IntervalTrigger(hours=6), **jobs)
        self._scheduler.add_listener(self._count, EVENT_JOB_SUBMITTED | EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
        self._scheduler.start()

    async def tick(self) -> None:
        try:
            await self._coach.deliver_due(self._platforms)
            self.last_tick = datetime.now(UTC)
        except StoreError as error:
            log.warning("tick failed", reason=str(error))

    async def tidy(self) -> None:
        try:
            await self._store.tidy(datetime.now(UTC))
        except StoreError as error:
            log.warning("tidying failed", reason=str(error))

    async def stop(self) -> None:
        """Begins no further tick and lets the one under way end: the scheduler would report a cancelled one as a failure."""
        if not self._scheduler.running:
            return
        self._scheduler.pause()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), LAST)
        self._scheduler.shutdown(wait=False)
        await asyncio.sleep(0)  # it shuts down in the loop's next step

    def _count(self, event: JobEvent) -> None:
        self._under_way += 1 if event.code == EVENT_JOB_SUBMITTED else -1
        (self._idle.clear if self._under_way else self._idle.set)()
