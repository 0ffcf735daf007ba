"""Killed at any moment, as often as one likes, stopped, or put to sleep: nothing is lost, no reply counts twice."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from peers.kills import IN_FLIGHT, Books
from peers.mortal import Mortals, mortals
from peers.telegram import BotApiServer

KILLS = int(os.environ.get("COACH_KILLS", "50"))
"""`make bench` asks for a thousand."""

CALLS = ("fdatasync", "pwrite64", "sendto", "recvfrom")
"""How SQLite and the sockets write, receive and make sure."""

MOMENTS = int(os.environ.get("COACH_MOMENTS", "10"))
"""System calls at which a life is ended; `make bench` asks for all of them."""

STEPS = int(os.environ.get("COACH_STEPS", "15"))
"""Awaits at which one is."""


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    async with BotApiServer() as server:
        yield Books(server, tmp_path / "coach.db")
        assert server.violations == []


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortals]:
    with mortals(tmp_path_factory.mktemp("lives")) as running:
        yield running


async def test_killed_again_and_again_at_random_moments(books: Books, ready: Mortals) -> None:
    """Each life finds what the one before left, and new work; most are killed in the middle of it."""
    chance = Random(5)
    for _ in range(KILLS):
        await books.work(2)
        sent = len(books.server.sent())
        life = await books.life(ready)
        await books.server.wait_for(lambda sent=sent: books.server.bot.poll or len(books.server.sent()) > sent, 60)  # type: ignore[misc]
        await asyncio.sleep(chance.uniform(0, 0.15))
        os.kill(life, signal.SIGKILL)
        assert await ready.ended() == -signal.SIGKILL
    await books.work(1)
    assert await books.until_done_or_dead(ready, await books.life(ready)) == 0

    await books.check(doubled=IN_FLIGHT * KILLS)


def _of(life: int, what: str) -> str:
    return Path(f"/proc/{life}/{what}").read_text()


async def _strace(life: int, *arguments: str) -> asyncio.subprocess.Process:
    """Attaches to a life that stands still, and lets it go on."""
    pipe = asyncio.subprocess.PIPE
    tracing = await asyncio.create_subprocess_exec("strace", "-f", "-qq", *arguments, "-p", str(life), stderr=pipe)
    async with asyncio.timeout(30):
        while True:
            traced = re.search(r"TracerPid:\t(\d+)", _of(life, "status"))
            if traced and int(traced[1]):
                break
            if tracing.returncode is not None:
                raise OSError("strace can't attach here")
            await asyncio.sleep(0.005)
    os.kill(life, signal.SIGCONT)
    return tracing


@asynccontextmanager
async def _traced(life: int, *arguments: str) -> AsyncIterator[None]:
    tracing = await _strace(life, *arguments)
    try:
        yield
    finally:
        if tracing.returncode is None:
            tracing.terminate()
        await tracing.communicate()


async def _stands(life: int) -> None:
    async with asyncio.timeout(30):
        while " T " not in _of(life, "stat"):
            await asyncio.sleep(0.002)


async def _moments(books: Books, ready: Mortals, folder: Path) -> list[tuple[str, int]]:
    """The system calls at which a life may be killed, by name and number; none where they can't be told apart here."""
    if shutil.which("strace") is None:
        return []
    await books.work(1)
    life = await books.life(ready, stopped=True)
    await _stands(life)
    log = folder / "calls"
    try:
        async with _traced(life, "-o", str(log), "-e", f"trace={','.join(CALLS)}"):
            assert await books.until_done_or_dead(ready, life) == 0
    except OSError:
        os.kill(life, signal.SIGCONT)
        await books.until_done_or_dead(ready, life)
        return []
    found = re.findall(rf"\b({'|'.join(CALLS)})\(", log.read_text())
    return [(name, number) for name in CALLS for number in range(1, found.count(name) + 1)]


async def test_killed_at_every_write_send_receive_and_sync_of_a_tick_and_a_reply(books: Books, ready: Mortals, tmp_path: Path) -> None:
    """One life for each such moment of the one before all: a sample of them here, every one in `make bench`."""
    moments = await _moments(books, ready, tmp_path)
    if not moments:
        pytest.skip("system calls can't be told apart here: there is no strace, or it may not attach")
    every = max(1, len(moments) // MOMENTS)
    killed = 0
    for name, number in moments[every // 2 :: every]:
        await books.work(1)
        life = await books.life(ready, stopped=True)
        await _stands(life)
        async with _traced(life, "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}"):
            killed += await books.until_done_or_dead(ready, life) == -signal.SIGKILL
    await books.work(1)
    assert await books.until_done_or_dead(ready, await books.life(ready)) == 0

    assert killed >= MOMENTS // 2
    await books.check(doubled=IN_FLIGHT * killed)


async def test_killed_at_an_await(books: Books, ready: Mortals) -> None:
    """Before the step from one await to the next, whichever task's it is; each life a step further on."""
    killed = 0
    for step in range(20, 20 + STEPS * 20, 20):
        await books.work(1)
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
        assert await ready.ended() == 0
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
