"""Killed at any moment, as often as one likes, stopped, or put to sleep: nothing is lost, no reply counts twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from peers.kills import IN_FLIGHT, Books
from peers.mortal import NOT_HERE, Mortals
from peers.telegram import BotApiServer

KILLS = int(os.environ.get("COACH_KILLS", "50"))
PARTS = max(2, KILLS // 100)
"""Lives that end at random, and the tests that they are shared out to. `make bench` asks for a thousand."""

EVERY_CALL = bool(os.environ.get("COACH_EVERY_CALL"))
"""Whether a life is ended at every single write, as `make bench` does; the calls to send, receive and make sure are all tried here."""

STEPS = int(os.environ.get("COACH_STEPS", "10"))
"""Awaits at which one is."""


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    async with BotApiServer() as server:
        yield Books(server, tmp_path / "coach.db")
        assert server.violations == []


@pytest.mark.parametrize("part", range(PARTS))
async def test_killed_again_and_again_at_random_moments(books: Books, ready: Mortals, part: int) -> None:
    """Each life finds what the one before left, and new work; most are killed in the middle of it."""
    chance = Random(part)
    for _ in range(KILLS // PARTS):
        await books.work(2)
        polls = len(books.server.called("getUpdates"))
        life = await books.life(ready)
        await books.server.wait_for(lambda polls=polls: len(books.server.called("getUpdates")) > polls, 60)  # type: ignore[misc]
        await asyncio.sleep(chance.uniform(0, 0.15))
        os.kill(life, signal.SIGKILL)
        assert await ready.ended(life) == -signal.SIGKILL
    await books.work(1)
    assert await books.until_done_or_dead(ready, await books.life(ready)) == 0

    await books.check(doubled=IN_FLIGHT * KILLS)


def _state(life: int) -> str:
    """A letter: T for a process that stands still."""
    return Path(f"/proc/{life}/stat").read_text().rsplit(")", 1)[1].split()[0]


async def _stands(life: int) -> None:
    async with asyncio.timeout(30):
        while _state(life) != "T":
            await asyncio.sleep(0.002)


async def test_killed_at_every_write_send_receive_and_sync_of_a_tick_and_a_reply(books: Books, ready: Mortals, tmp_path: Path) -> None:
    """One life for each such moment of the one before all. Of the writes between two syncs, which SQLite sees as one, some."""
    log = tmp_path / "calls"
    await books.work(1)
    status = await books.until_done_or_dead(ready, await books.life(ready, call=0, calls=str(log)))
    if status == NOT_HERE:
        pytest.skip("system calls can't be told apart on this machine")
    assert status == 0
    calls = json.loads(log.read_text())
    writes = [number for number, name in enumerate(calls, 1) if name == "pwrite64"]
    rest = [number for number, name in enumerate(calls, 1) if name != "pwrite64"]
    tried = sorted(rest + writes[:: 1 if EVERY_CALL else 13])
    killed = 0
    for number in tried:
        await books.work(1)
        killed += await books.until_done_or_dead(ready, await books.life(ready, call=number, calls=str(log))) == -signal.SIGKILL
    await books.work(1)
    assert await books.until_done_or_dead(ready, await books.life(ready)) == 0

    assert set(calls) == {"pwrite64", "fdatasync", "sendto", "recvfrom"}
    assert killed >= 0.9 * len(tried)
    await books.check(doubled=IN_FLIGHT * killed)


async def test_killed_at_an_await(books: Books, ready: Mortals, tmp_path: Path) -> None:
    """Before the step from one await to the next, whichever task's it is: lives that end at moments spread over one that did not."""
    log = tmp_path / "steps"
    await books.work(1)
    assert await books.until_done_or_dead(ready, await books.life(ready, step=0, steps=str(log))) == 0
    most, first = int(log.read_text()), 25
    killed = 0
    for number in range(STEPS):
        await books.work(1)
        step = first + number * (most - first) // STEPS
        killed += await books.until_done_or_dead(ready, await books.life(ready, step=step)) == -signal.SIGKILL
    await books.work(1)
    assert await books.until_done_or_dead(ready, await books.life(ready)) == 0

    assert killed >= STEPS // 2
    await books.check(doubled=IN_FLIGHT * killed)


async def test_told_to_end_in_the_middle_of_a_grade_and_of_a_fan_out(books: Books, ready: Mortals) -> None:
    """It finishes what it has in hand and leaves the rest: nothing is lost, and nothing comes twice."""
    for _ in range(2):
        await books.work(8)
        hold = asyncio.Event()
        slow = books.server.fault("sendMessage", hold=hold, times=2)
        life = await books.life(ready, thinks=0.3)
        await books.server.wait_for(lambda: slow.hits and books.server.called("sendChatAction"), 60, "both under way")  # noqa: B023
        os.kill(life, signal.SIGTERM)
        hold.set()
        assert await ready.ended(life) == 0
    assert await books.until_done_or_dead(ready, await books.life(ready)) == 0

    await books.check(doubled=0)


async def test_put_to_sleep_in_the_middle_and_woken_later(books: Books, ready: Mortals) -> None:
    """A machine that is suspended: what it was sending arrives once, and what was said meanwhile is answered when it wakes."""
    await books.work(6)
    life = await books.life(ready)
    await books.server.wait_for(lambda: len(books.server.sent()) > 2, 60)
    os.kill(life, signal.SIGSTOP)
    await _stands(life)
    for person in books.replied[:3]:
        await person.says("/streak")
    os.kill(life, signal.SIGCONT)
    await books.server.wait_for(lambda: sum("1 day" in one.text for one in books.server.sent()) == 3, 60)
    assert await books.until_done_or_dead(ready, life) == 0

    await books.check(doubled=0)
