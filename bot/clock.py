"""The steady tick, by APScheduler: one job that asks what is due. There is no job per learner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_SUBMITTED, JobEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from bot.coach import Coach
from bot.errors import StoreError
from bot.ports import Store

LAST = 5.0
"""Seconds that a stop waits for the tick that is under way."""

SET_BACK = 2.0
"""Seconds by which the wall clock falls behind the steady one before it counts as set back."""

log = structlog.get_logger("clock")


class EverySecond(BaseTrigger):  # type: ignore[misc]
    """At each full second of the wall clock. It counts from now, never from the last time: a clock that is set back by an hour
    would otherwise stop it for an hour, and after a machine was asleep it goes on within a second."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        return now.replace(microsecond=0) + timedelta(seconds=1)


class Clock:
    """Ticks until stopped. `last_tick` tells when the database was last asked with success, UTC; `trouble` why the last tick failed,
    "" where it did not; `under_way` whether one is."""

    def __init__(self, coach: Coach, store: Store, platforms: Sequence[str]) -> None:
        self._coach = coach
        self._store = store
        self._platforms = list(platforms)
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._ahead: float | None = None
        self.last_tick: datetime | None = None
        self.trouble = ""

    def start(self) -> None:
        jobs = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler.add_job(self.tick, EverySecond(), next_run_time=datetime.now(UTC), **jobs)
        self._scheduler.add_job(self.tidy, IntervalTrigger(hours=6), **jobs)
        self._scheduler.add_listener(self._count, EVENT_JOB_SUBMITTED | EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
        self._scheduler.start()

    async def tick(self) -> None:
        try:
            if self._was_set_back():
                await self._store.reschedule(datetime.now(UTC))
            await self._coach.deliver_due(self._platforms)
            self.last_tick, self.trouble = datetime.now(UTC), ""
        except StoreError as error:
            self._ahead, self.trouble = None, str(error)
            log.warning("tick failed", reason=str(error))

    def _was_set_back(self) -> bool:
        """Whether the wall clock was set back since the last tick, or nobody knows because there was none."""
        ahead = time.time() - time.monotonic()
        before, self._ahead = self._ahead, ahead
        return before is None or ahead < before - SET_BACK

    async def tidy(self) -> None:
        try:
            await self._store.tidy(datetime.now(UTC))
        except StoreError as error:
            log.warning("tidying failed", reason=str(error))

    @property
    def under_way(self) -> bool:
        return not self._idle.is_set()

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
