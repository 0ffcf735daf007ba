"""What goes wrong with a platform, a database, a clock or a grader costs nobody a message; Telegram's ledger and the database say so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from peers.telegram import TOKEN, BotApiServer, Person
from sqlalchemy import event, text
from test_promises import PRECISION
from worlds import FakeClock, World, world

from adapters.telegram import Telegram
from bot.clock import EverySecond
from bot.content import Library, Rubric
from bot.deliveries import Courier
from bot.errors import StoreError
from bot.messages import Address
from bot.model import Asked, Changes, Grade, Learner, Occasion
from bot.outbox import Pace
from bot.sharing import Sharing

QUICK = Pace(per_second=1e4, bulk_per_second=1e4, per_chat=1e4, burst=100, in_flight=4)
FAN_OUT, REPLIES = 12, 4


@asynccontextmanager
async def at_work(home: World, server: BotApiServer, pace: Pace = QUICK) -> AsyncIterator[Courier]:
    """The adapter, the courier and what looks for work that was left behind."""
    adapter = Telegram(home.coach, TOKEN, api=server.url.removesuffix("/bot"), pace=pace, now=home.clock)
    courier = Courier(home.store, home.coach, {"telegram": adapter}, now=home.clock)
    home.coach.on_owed = courier.wake
    sharing = Sharing(home.store, home.coach, courier, ["telegram"], adapter.pick_up, now=home.clock)
    await adapter.start()
    running = [asyncio.create_task(one) for one in (courier.run(), sharing.run(), adapter.run())]
    try:
        yield courier
    finally:
        await adapter.stop()
        await courier.stop()
        await sharing.stop()
        await asyncio.gather(*running)


@asynccontextmanager
async def _telegram(*, limits: bool = False) -> AsyncIterator[tuple[BotApiServer, FakeClock]]:
    clock = FakeClock()
    async with BotApiServer(now=lambda: clock().timestamp(), limits=limits) as server:
        yield server, clock


async def _people(home: World, server: BotApiServer) -> tuple[list[Person], list[Person]]:
    """Some with a question that is due now, and some with one that is open."""
    now = home.clock()
    due, replying = ([server.person(f"{name}{n}", started=True) for n in range(many)] for name, many in (("D", FAN_OUT), ("R", REPLIES)))
    for person in (*due, *replying):
        address = Address("telegram", str(person.id), str(person.id))
        waits = person in due
        learner = Learner(f"l{person.id}", now, address, minute=12 * 60 if waits else None, next_due_at=now if waits else None)
        asked = () if waits else (Asked(f"a{person.id}", learner.id, "precision", Occasion.CHOSEN, now),)
        await home.store.record(f"joined {person.id}", address, Changes(learner, asked), [], now)
    return due, replying


async def _passes(home: World, courier: Courier, until: Callable[[], bool], step: float = 1.0) -> None:
    """Time goes by until something is so."""
    async with asyncio.timeout(60):
        while not until():
            home.clock.move(seconds=step)
            courier.wake()
            await asyncio.sleep(0.02)


async def _books(home: World, server: BotApiServer, due: list[Person], replying: list[Person], doubled: int) -> None:
    """Nobody lacks anything, no reply counts twice, and no more than so many messages came twice."""
    heard = Counter(one.chat_id for one in server.sent() if "/100" in one.text or "Question of the day" in one.text)
    assert set(heard) == {person.id for person in (*due, *replying)}
    assert sum(heard.values()) - len(heard) <= doubled
    counts = await home.store.count()
    assert counts["attempts"] == REPLIES
    assert counts.get("outbox dead", 0) == 0


def _arrived(server: BotApiServer, people: list[Person]) -> Callable[[], bool]:
    def all_of_them() -> bool:
        return {person.id for person in people} <= {one.chat_id for one in server.sent() if "/100" in one.text or "Question of" in one.text}

    return all_of_them


@pytest.mark.parametrize(
    ("faults", "doubled"),
    [
        ({"cut": True}, 0),  # before it was accepted
        ({"cut": True, "when": "after"}, 5),
        ({"when": "middle"}, 5),
        ({"malformed": True}, 5),
        ({"status": 500, "times": 4}, 0),
        ({"status": 502, "malformed": True, "times": 4}, 0),
        ({"status": 504, "times": 4}, 0),
        ({"retry_after": 1}, 0),
        ({"status": 429}, 0),  # without its number
        ({"status": 409, "times": 4}, 0),
        ({"status": 401, "times": 4}, 0),
    ],
    ids=lambda value: " ".join(f"{name}={one}" for name, one in value.items()) if isinstance(value, dict) else None,
)
async def test_a_fan_out_and_replies_arrive_whatever_the_platform_does_for_a_while(
    library: Library, database: Path, faults: dict[str, Any], doubled: int
) -> None:
    async with _telegram() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await _people(home, server)
        async with at_work(home, server) as courier:
            for person in (*due[:3], *replying[:2]):
                server.fault("sendMessage", chat=person, **faults)
            await home.coach.deliver_due(["telegram"])
            for person in replying:
                await person.says(PRECISION)
            await _passes(home, courier, _arrived(server, [*due, *replying]))
            await server.settled()
        await _books(home, server, due, replying, doubled)


async def test_a_ban_for_ever_of_one_chat_stops_only_that_chat(library: Library, database: Path) -> None:
    """An absurd number of seconds, and for one person only: everybody else gets their question and their grade."""
    async with _telegram() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await _people(home, server)
        banned, *others = due
        async with at_work(home, server) as courier:
            server.fault("sendMessage", chat=banned, retry_after=10**6, times=None)
            await home.coach.deliver_due(["telegram"])
            for person in replying:
                await person.says(PRECISION)
            async with asyncio.timeout(60):
                while not _arrived(server, [*others, *replying])():
                    courier.wake()
                    await asyncio.sleep(0.02)
        tried = [call for call in server.called("sendMessage") if call.number("chat_id") == banned.id]
        counts = await home.store.count()

    assert len(tried) == 1
    assert counts["outbox retry"] == 1 and counts.get("outbox dead", 0) == 0


async def test_a_message_that_telegram_never_takes_is_given_up_and_shown_to_the_owner(library: Library, database: Path) -> None:
    """A poison row is dead after five tries where everything else arrives; a bad request is dead at once; a block is no death."""
    async with _telegram() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await _people(home, server)
        poison, refused, gone, *others = due
        async with at_work(home, server) as courier:
            server.fault("sendMessage", chat=poison, status=500, times=None)
            server.fault("sendMessage", chat=refused, status=400, description="Bad Request: no", times=None)
            server.fault("sendMessage", chat=gone, forbidden=True, times=None)
            await home.coach.deliver_due(["telegram"])
            await _passes(home, courier, _arrived(server, others))
            async with asyncio.timeout(60):
                while (await home.store.count()).get("outbox dead", 0) < 2:
                    for person in replying:  # a life goes on beside it
                        await person.says("/help")
                    home.clock.move(seconds=100)
                    courier.wake()
                    await server.settled()
        dead = {one.kind: one for one in await home.store.dead()}
        tries = sorted(one.tries for one in await home.store.dead())
        unreachable = (await home.store.recall(Address("telegram", str(gone.id), str(gone.id)))).learner

    assert set(dead) == {"daily"} and tries == [1, 5]
    assert unreachable is not None and unreachable.next_due_at is None and not unreachable.reachable


# ---------------------------------------------------------------------------------------------- the database


@asynccontextmanager
async def _broken(home: World, how: str) -> AsyncIterator[None]:
    """Every transaction meets a disk that is full, or a file that may only be read, until this is left."""
    engine = home.store.engine.sync_engine
    set_, unset = {
        "full": ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1073741823"),
        "read-only": ("PRAGMA query_only = ON", "PRAGMA query_only = OFF"),
    }[how]
    broken = True

    def begun(connection: Any) -> None:
        connection.execute(text(set_ if broken else unset))

    event.listen(engine, "begin", begun)
    try:
        yield
    finally:
        broken = False


@asynccontextmanager
async def _held(home: World) -> AsyncIterator[None]:
    """Another process writes, and does not end."""

    def hurried(connection: Any) -> None:
        connection.execute(text("PRAGMA busy_timeout = 50"))

    event.listen(home.store.engine.sync_engine, "begin", hurried, insert=True)
    async with home.store.engine.connect() as other:
        await other.execution_options(writes=True)
        async with other.begin():
            yield


@pytest.mark.parametrize("how", ["read-only", "held"])
async def test_a_database_that_takes_nothing_for_a_while_loses_and_doubles_nothing(library: Library, database: Path, how: str) -> None:
    """Longer than any turn tries: updates are not confirmed meanwhile, and what was being sent is settled afterwards."""
    async with _telegram() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await _people(home, server)
        go = asyncio.Event()
        thinking = server.fault("sendMessage", hold=go, times=2)
        async with at_work(home, server) as courier:
            await home.coach.deliver_due(["telegram"])
            courier.wake()
            await server.wait_for(lambda: len(thinking.hits) == 2, 30)
            before = len(server.called("getUpdates"))
            async with _held(home) if how == "held" else _broken(home, how):
                for person in replying:
                    await person.says(PRECISION)
                go.set()
                with pytest.raises(StoreError):
                    await home.store.record(
                        "m",
                        Address("telegram", "1", "1"),
                        Changes(Learner("x", home.clock(), Address("telegram", "1", "1"))),
                        [],
                        home.clock(),
                    )
                await server.wait_for(lambda: len(server.called("getUpdates")) > before + 1, 30)
            await _passes(home, courier, _arrived(server, [*due, *replying]))
            await server.settled()
        await _books(home, server, due, replying, 0)


# ---------------------------------------------------------------------------------------------- the clock


def test_a_clock_that_is_set_back_stops_no_tick() -> None:
    now = FakeClock().at
    trigger = EverySecond()

    assert trigger.get_next_fire_time(now + timedelta(hours=1), now) - now <= timedelta(seconds=1)
    assert trigger.get_next_fire_time(now - timedelta(days=40), now) - now <= timedelta(seconds=1)


# ---------------------------------------------------------------------------------------------- the grader, and updates out of order


class Broken:
    """A grader that fails."""

    name = "broken 1"

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        raise RuntimeError("out of memory")


async def test_a_grader_that_raises_loses_no_reply(library: Library, database: Path) -> None:
    async with world(library, database, grader=Broken()) as home:
        await home.says("/help")
        await home.says("/next precision")
        await home.says(PRECISION)
        said = home.heard
        await home.says("/streak")
        counts = await home.store.count()

    assert said.startswith("My grading failed")
    assert counts["attempts"] == 1
    assert "1 day" in home.heard


async def test_a_judge_that_hangs_is_left_behind_and_the_next_reply_is_graded(library: Library) -> None:
    import threading

    from bot.grading import OffLoop
    from bot.grading.plain import PlainGrader

    hang = threading.Event()

    class Hanging(PlainGrader):
        def judge(self, rubric: Rubric, reply: str) -> Grade:
            if reply == "hang":
                hang.wait()
            return super().judge(rubric, reply)

    judging = OffLoop(Hanging, longest=0.2)
    rubric = library.questions["precision"]
    slow, quick = await asyncio.gather(judging.grade(rubric, "hang"), judging.grade(rubric, PRECISION), return_exceptions=True)
    hang.set()
    judging.close()

    assert isinstance(slow, TimeoutError)
    assert isinstance(quick, Grade) and quick.score


async def test_updates_twice_with_gaps_and_out_of_order_make_one_attempt_each(library: Library, database: Path) -> None:
    chance = Random(3)
    async with _telegram() as (server, clock), world(library, database, clock=clock) as home:
        due, replying = await _people(home, server)
        async with at_work(home, server) as courier:
            for person in replying:
                server.bot.next_update_id += chance.randrange(1, 9)
                await person.says(PRECISION)
            await _passes(home, courier, _arrived(server, replying))
            repeated = list(server.updates)
            chance.shuffle(repeated)
            server.bot.again.extend(repeated)
            server.wake(server.bot)
            await server.settled()
        async with at_work(home, server) as courier:
            server.bot.again.extend(repeated)
            server.wake(server.bot)
            await home.coach.deliver_due(["telegram"])
            await _passes(home, courier, _arrived(server, due))
            await server.settled()
        await _books(home, server, due, replying, 0)
