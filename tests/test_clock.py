"""The clock: it begins with a tick, and stops without cutting one off."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from worlds import MONDAY

from bot.clock import Clock, EverySecond


class SlowCoach:
    """Asks what is due for as long as it is held."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.held = asyncio.Event()
        self.ended = 0

    async def deliver_due(self, platforms: Any) -> int:
        self.begun.set()
        await self.held.wait()
        self.ended += 1
        return 0


class Calm:
    """A store that nothing happens to."""

    async def reschedule(self, now: datetime) -> int:
        return 0


async def test_a_tick_under_way_is_waited_for_when_the_clock_stops(caplog: pytest.LogCaptureFixture) -> None:
    """A stop in the middle of a tick lets it end, and nothing is reported as failed."""
    coach = SlowCoach()
    clock = Clock(coach, Calm(), ["terminal"])  # type: ignore[arg-type]
    clock.start()
    await coach.begun.wait()
    stopping = asyncio.create_task(clock.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    coach.held.set()
    await stopping
    assert coach.ended == 1
    assert clock.last_tick is not None and clock.last_tick <= datetime.now(UTC)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("steps", range(6))
async def test_a_clock_stopped_at_any_moment_after_its_start_reports_no_failure(steps: int, caplog: pytest.LogCaptureFixture) -> None:
    """A tick that was submitted and has not begun is not cancelled either."""
    coach = SlowCoach()
    coach.held.set()
    clock = Clock(coach, Calm(), ["terminal"])  # type: ignore[arg-type]
    clock.start()
    for _ in range(steps):
        await asyncio.sleep(0)
    await clock.stop()
    await clock.stop()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_clock_that_is_set_back_stops_no_tick() -> None:
    trigger = EverySecond()

    assert trigger.get_next_fire_time(MONDAY + timedelta(hours=1), MONDAY) - MONDAY <= timedelta(seconds=1)
    assert trigger.get_next_fire_time(MONDAY - timedelta(days=40), MONDAY) - MONDAY <= timedelta(seconds=1)
