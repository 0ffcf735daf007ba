"""What is away for a while - Telegram, the disk, the database, the right time - costs nobody a message and doubles no reply."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from crowds import arrived, at_work, check, passes, people, telegram_peer
from peers.kills import Books
from peers.mortal import Mortals
from peers.telegram import BotApiServer
from sqlalchemy import event, text
from test_deliveries import Paper
from test_promises import PRECISION
from worlds import MONDAY, World, couriers, sql, world

from bot import days
from bot.clock import Clock
from bot.coach import Coach
from bot.content import Library
from bot.database import Database
from bot.database.sqlite import SQLite
from bot.errors import StoreError
from bot.grading.plain import PlainGrader
from bot.messages import Address
from bot.model import Asked, Changes, Grade, Learner, Occasion

# ---------------------------------------------------------------------------------------------- Telegram


async def test_an_outage_of_an_hour_in_the_middle_of_a_fan_out_and_of_replies(library: Library, database: Path) -> None:
    """It costs no message a try, however often it was asked for meanwhile; only what was on its way may come twice."""
    async with telegram_peer() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await people(home, server)
        async with at_work(home, server) as courier:
            go = asyncio.Event()
            held = server.fault("sendMessage", hold=go, times=None)
            await home.coach.deliver_due(["telegram"])
            for person in replying:
                await person.says(PRECISION)
            await server.wait_for(lambda: len(held.hits) >= 4, 60, "messages on their way")
            held.cancel()
            await server.stop()
            go.set()
            for _ in range(12):
                home.clock.move(minutes=5)
                courier.wake()
                await asyncio.sleep(0.05)
            await server.start()
            await passes(home, courier, arrived(server, [*due, *replying]))
            await server.settled(timeout=60)
        await check(home, server, due, replying, 4)


async def test_telegram_that_stalls_is_waited_for_so_long_and_no_longer(library: Library, database: Path) -> None:
    """Nobody knows then whether the messages arrived: those, and only those, are sent once more."""
    async with telegram_peer() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await people(home, server)
        go = asyncio.Event()
        stalled = server.fault("sendMessage", hold=go, times=3)
        async with at_work(home, server, patience=0.5) as courier:
            await home.coach.deliver_due(["telegram"])
            for person in replying:
                await person.says(PRECISION)
            await passes(home, courier, arrived(server, [*due, *replying]))
            go.set()  # what stalled is done in the end, too
            await server.settled(timeout=60)
        again = Counter(one.chat_id for one in server.sent() if "/100" in one.text or "Question of the day" in one.text)
        await check(home, server, due, replying, 3)

    assert {chat for chat, times in again.items() if times > 1} <= {call.number("chat_id") for call in stalled.hits}


async def test_many_due_and_many_replies_at_once(library: Library, database: Path) -> None:
    """Each gets one question or one grade; `make bench` does the same with ten thousand of both."""
    number, paper = 80, Paper()
    async with world(library, database) as home:
        now = home.clock()
        for n in range(number):
            due, open_ = Address("paper", f"d{n}", f"d{n}"), Address("paper", f"r{n}", f"r{n}")
            await home.store.record(f"jd{n}", due, Changes(Learner(f"d{n}", now, due, minute=720, next_due_at=now)), [], now)
            asked = Asked(f"a{n}", f"r{n}", "precision", Occasion.CHOSEN, now)
            await home.store.record(f"jr{n}", open_, Changes(Learner(f"r{n}", now, open_), (asked,)), [], now)
        async with couriers(home, [paper]) as courier:
            replies = (home.says(PRECISION, address=Address("paper", f"r{n}", f"r{n}")) for n in range(number))
            await asyncio.gather(home.coach.deliver_due(["paper"]), *replies)
            home.clock.move(minutes=1)
            courier.wake()
            async with asyncio.timeout(120):
                await courier.drained()
        counts = await home.store.count()

    assert Counter(user for user, text in paper.sent if text.startswith("Question of the day")) == Counter(f"d{n}" for n in range(number))
    assert Counter(user for user, text in paper.sent if "/100" in text) == Counter(f"r{n}" for n in range(number))
    assert counts["attempts"] == number


async def test_a_turn_in_hand_goes_before_the_next_batch_of_a_crowded_tick(library: Library, database: Path) -> None:
    """And does not put it off for ever."""
    meanwhile: list[int] = []

    class Thinks(PlainGrader):
        async def grade(self, rubric: Any, reply: str) -> Grade:
            for _ in range(30):  # time enough for a tick that does not wait
                await home.store.count()
            return await super().grade(rubric, reply)

    async with world(library, database, grader=Thinks()) as home:
        now, ann = home.clock(), Address("paper", "ann", "ann")
        asked = Asked("a", "ann", "precision", Occasion.CHOSEN, now)
        await home.store.record("j", ann, Changes(Learner("ann", now, ann), (asked,)), [], now)
        for n in range(16):
            one = Address("paper", f"d{n}", f"d{n}")
            due = now if n < 8 else now + timedelta(minutes=1)
            await home.store.record(f"j{n}", one, Changes(Learner(f"d{n}", now, one, minute=720, next_due_at=due)), [], now)
        home.coach.on_owed = lambda: meanwhile.append(len(home.coach.at_work))
        await home.coach.take("paper", [("m", "{}")], {"m": "ann"})
        tick = asyncio.create_task(home.coach.deliver_due(["paper"], batch=2, gives_way=60))
        await home.says(PRECISION, address=ann, key="m")
        assert await tick == 8

        await home.coach.take("paper", [("left", "{}")], {"left": "ann"})
        home.clock.move(minutes=1)
        assert await home.coach.deliver_due(["paper"], batch=2, gives_way=0.01) == 8

    assert meanwhile == [1, 0, 0, 0, 0] + [1] * 4


# ---------------------------------------------------------------------------------------------- the database


@asynccontextmanager
async def _broken(home: World, how: str) -> AsyncIterator[None]:
    """Every transaction meets a disk that is full, or a file that may only be read, until this is left."""
    assert isinstance(home.store.base, SQLite)
    set_, unset = {
        "full": ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1073741823"),
        "read-only": ("PRAGMA query_only = ON", "PRAGMA query_only = OFF"),
    }[how]
    broken = True

    def begun(connection: Any) -> None:
        connection.execute(text(set_ if broken else unset))

    event.listen(home.store.base.engine, "begin", begun)
    try:
        yield
    finally:
        broken = False


@asynccontextmanager
async def _held(home: World, database: Path, patience: int) -> AsyncIterator[None]:
    """Another process writes, and does not end; this one waits so many milliseconds for it each time, where it would wait 5,000."""
    assert isinstance(home.store.base, SQLite)
    home.store.base.patience = patience
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.parametrize("how", ["read-only", "full", "locked for longer than it is waited for"])
async def test_a_database_that_takes_nothing_for_a_while_loses_and_doubles_nothing(library: Library, database: Path, how: str) -> None:
    """Longer than any turn tries: updates are not confirmed meanwhile, and what was being sent is settled afterwards."""
    async with telegram_peer() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await people(home, server)
        go = asyncio.Event()
        thinking = server.fault("sendMessage", hold=go, times=2)
        async with at_work(home, server) as courier:
            await home.coach.deliver_due(["telegram"])
            courier.wake()
            await server.wait_for(lambda: len(thinking.hits) == 2, 60)
            before = len(server.called("getUpdates"))
            async with _held(home, database, 50) if how.startswith("locked") else _broken(home, how):
                for person in replying:
                    await person.says(PRECISION)
                go.set()
                with pytest.raises(StoreError):
                    await home.store.take("telegram", [("large", "x" * 100_000)], clock())
                await server.wait_for(lambda: len(server.called("getUpdates")) > before + 1, 60)
            await passes(home, courier, arrived(server, [*due, *replying]))
            await server.settled(timeout=60)
        await check(home, server, due, replying, 0)


async def test_a_database_that_is_locked_for_a_moment_is_waited_for(library: Library, database: Path) -> None:
    async with telegram_peer() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await people(home, server)
        async with at_work(home, server) as courier:
            async with _held(home, database, 60_000):
                for person in replying:
                    await person.says(PRECISION)
                ticking = asyncio.create_task(home.coach.deliver_due(["telegram"]))
                await asyncio.sleep(0.2)
                assert not ticking.done() and server.sent() == []
            await ticking
            await passes(home, courier, arrived(server, [*due, *replying]))
            await server.settled(timeout=60)
        await check(home, server, due, replying, 0)
        assert all(call.accepted for call in server.called("sendMessage"))


async def test_a_database_that_is_locked_for_ever_keeps_no_process_from_ending(library: Library, database: Path) -> None:
    """What was said meanwhile was not confirmed, and is answered by the next one."""
    async with telegram_peer() as (server, clock):
        async with world(library, database, clock=clock) as home:
            due, replying = await people(home, server)
            async with AsyncExitStack() as for_ever, at_work(home, server):
                await for_ever.enter_async_context(_held(home, database, 50))
                for person in replying:
                    await person.says(PRECISION)
                with pytest.raises(StoreError):
                    await home.coach.deliver_due(["telegram"])
                before = len(server.called("getUpdates"))
                await server.wait_for(lambda: len(server.called("getUpdates")) > before, 60)
        assert server.sent() == []
        async with world(library, database, clock=clock) as home, at_work(home, server) as courier:
            await home.coach.deliver_due(["telegram"])
            await passes(home, courier, arrived(server, [*due, *replying]))
            await server.settled(timeout=60)
            await check(home, server, due, replying, 0)


async def test_a_disk_that_takes_no_byte_more_and_is_then_freed(tmp_path: Path, ready: Mortals) -> None:
    """The system itself refuses what a running coach writes, until its limit is lifted."""
    async with BotApiServer() as server:
        books = Books(server, tmp_path / "coach.db")
        await books.work(2)
        life = await books.life(ready)
        await server.wait_for(books.finished, 60)
        resource.prlimit(life, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
        before = len(server.called("getUpdates"))
        for person in books.replied:
            await person.says("/streak")
        await server.wait_for(lambda: len(server.called("getUpdates")) > before + 1, 60)  # it asks for them again
        told = [one.text for one in server.sent() if "1 day" in one.text]
        resource.prlimit(life, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await server.wait_for(lambda: sum("1 day" in one.text for one in server.sent()) == 2, 60)
        assert await books.until_done_or_dead(ready, life) == 0
        await books.check(doubled=0)

    assert told == []


# ---------------------------------------------------------------------------------------------- the time


@pytest.mark.parametrize("jump", [timedelta(hours=5), timedelta(days=40)], ids=["hours", "40 days"])
@pytest.mark.parametrize("way", [1, -1], ids=["forward", "backward"])
async def test_a_clock_that_goes_wrong_and_is_set_right_leaves_each_real_day_its_question(
    library: Library, database: Path, jump: timedelta, way: int
) -> None:
    """It is wrong from ten in the morning of the first day until eleven."""
    store = await Database.open(f"sqlite:///{database}")
    coach = Coach(store, library, PlainGrader())
    clock = Clock(coach, store, ["paper"])
    home = Address("paper", "ann", "ann")
    midnight = MONDAY.replace(hour=0)
    learner = days.scheduled(Learner("ann", midnight, home, minute=12 * 60), midnight)
    moments = [(hour, timedelta()) for hour in (0, 9)] + [(10, way * jump), (11, timedelta())]
    moments += [(24 * day + hour, timedelta()) for day in range(4) for hour in (12, 13)]
    try:
        await store.record("joined", home, Changes(learner), [], midnight)
        for hour, off in moments:
            with time_machine.travel(midnight + timedelta(hours=hour) + off, tick=False):
                await clock.tick()
                assert clock.last_tick == datetime.now(UTC)
        owed = Counter(await sql(store, "SELECT about FROM outbox WHERE kind = 'daily'"))
    finally:
        await coach.close()
        await store.close()

    real = {(midnight + timedelta(days=day)).date().isoformat() for day in range(4)}
    assert real <= set(owed)
    assert set(owed.values()) == {1}
    assert len(set(owed) - real) <= 1  # while the clock was wrong it was right to ask


class Counting:
    """A coach that is asked what is due, and writes down when."""

    def __init__(self) -> None:
        self.at: list[datetime] = []
        self.asked = asyncio.Event()

    async def deliver_due(self, platforms: Any) -> int:
        self.at.append(datetime.now(UTC))
        self.asked.set()
        return 0


async def test_a_machine_that_was_suspended_for_hours_ticks_at_once_when_it_wakes() -> None:
    """Its steady clock stood still meanwhile, and only the wall clock went on."""

    class Calm:
        async def reschedule(self, now: datetime) -> int:
            return 0

    coach = Counting()
    clock = Clock(coach, Calm(), ["paper"])  # type: ignore[arg-type]
    clock.start()
    await coach.asked.wait()
    woken = datetime.now(UTC) + timedelta(hours=7)
    with time_machine.travel(woken, tick=True):
        coach.asked.clear()
        async with asyncio.timeout(30):
            await coach.asked.wait()
        await clock.stop()

    assert woken <= coach.at[-1] <= woken + timedelta(seconds=25)
