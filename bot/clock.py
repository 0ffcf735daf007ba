"""The steady tick, by APScheduler: one job that asks what is due. There is no job per learner."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bot.coach import Coach
from bot.errors import StoreError
from bot.ports import Store

TICK = 1.0
"""Seconds between two looks at what is due."""

log = structlog.get_logger("clock")


class Clock:
    """Ticks until stopped. `last_tick` tells when the database was last asked with success, UTC."""

    def __init__(self, coach: Coach, store: Store, platforms: Sequence[str]) -> None:
        self._coach = coach
        self._store = store
        self._platforms = list(platforms)
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self.last_tick: datetime | None = None

    def start(self) -> None:
        jobs = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler.add_job(self.tick, IntervalTrigger(seconds=int(TICK)), next_run_time=datetime.now(UTC), **jobs)
        self._scheduler.add_job(self.tidy, IntervalTrigger(hours=6), **jobs)
        self._scheduler.start()

    async def tick(self) -> None:
        try:
            await self._coach.deliver_due(self._platforms)
            self.last_tick = datetime.now(UTC)
        except StoreError as error:
            log.warning("tick failed", reason=str(error))
        except asyncio.CancelledError:
            pass  # by `stop`; the scheduler would report it as a failure

    async def tidy(self) -> None:
        try:
            await self._store.tidy(datetime.now(UTC))
        except StoreError as error:
            log.warning("tidying failed", reason=str(error))
        except asyncio.CancelledError:
            pass

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
