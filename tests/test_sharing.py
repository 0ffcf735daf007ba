"""Several workers on one PostgreSQL, each with a store of its own: who claims, who waits, and who comes too late."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from peers.postgres import PostgresServer, postgres_server
from test_deliveries import Paper
from worlds import FakeClock, World, couriers

from bot.coach import MOST_AT_WORK, Coach
from bot.content import Library, Rubric
from bot.database import LEASE, Database
from bot.database.postgres import PostgreSQL, number
from bot.grading.plain import PlainGrader
from bot.messages import Address, Message, say
from bot.model import Changes, Grade, Learner
from bot.outbox import UNLIMITED, Lane, Owed
from bot.ports import Grader
from bot.sharing import Sharing

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ANN = Address("paper", "ann", "ann")
PEOPLE = [Address("paper", f"p{n}", f"p{n}") for n in range(40)]
PRECISION = "Precision is TP / (TP + FP): of everything that we flagged, the share that really is positive."


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[list[Database]]:
    """Three workers' stores of one database."""
    opened = [await Database.open(postgres_url) for _ in range(3)]
    yield opened
    for store in opened:
        await store.close()


def _owed(key: str, to: Address = ANN, lane: Lane = Lane.BULK) -> Owed:
    return Owed(key, to, lane, "word", say(f"hello {key}"))


async def _owe(store: Database, *owed: Owed, key: str = "m1") -> None:
    await store.record(key, Address("paper", "nobody", ""), Changes(), owed, NOW)


def _coach(store: Database, library: Library, clock: FakeClock, grader: Grader | None = None) -> Coach:
    return Coach(store, library, grader or PlainGrader(), now=clock, rng=Random(1), most_a_minute=1000)


class Held:
    """A grader that thinks until it is told to go on."""

    name = "held 1"

    def __init__(self) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.grades = 0

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        self.grades += 1
        self.begun.set()
        await self.go.wait()
        return await PlainGrader().grade(rubric, reply)


# ---------------------------------------------------------------------------------------------- the outbox


async def test_workers_share_what_is_owed_none_twice_none_lost_one_a_chat(stores: list[Database]) -> None:
    owed = [_owed(f"k{n}", PEOPLE[n % len(PEOPLE)]) for n in range(200)]
    await _owe(stores[0], *owed)
    claimed: list[tuple[int, str, int]] = []
    busy: set[str] = set()

    async def work(which: int) -> None:
        store = stores[which]
        while len(claimed) < len(owed):
            found = await store.claim(["paper"], NOW, 7)
            chats = [one.address.chat for one in found]
            assert not busy & set(chats)
            assert len(set(chats)) == len(chats)
            busy.update(chats)
            claimed.extend((which, one.key, int(one.key[1:])) for one in found)
            await asyncio.sleep(0)
            busy.difference_update(chats)
            await asyncio.gather(*(store.settle(one, "sent", NOW, message="1") for one in found))

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(which) for which in range(3)))

    assert Counter(key for _, key, _ in claimed) == Counter(one.key for one in owed)
    for chat in range(len(PEOPLE)):
        order = [number for _, _, number in claimed if number % len(PEOPLE) == chat]
        assert order == sorted(order)
    assert await stores[0].count() == {"learners": 0, "attempts": 0, "inbox": 0, "outbox sent": 200}


async def test_who_stood_still_past_its_lease_changes_nothing_any_more(stores: list[Database]) -> None:
    """The late worker's word on a message is not taken, whatever it says; the other's stands."""
    paused, other, _ = stores
    await _owe(paused, _owed("k1"))
    (first,) = await paused.claim(["paper"], NOW, 5)
    later = NOW + LEASE + timedelta(seconds=1)

    assert await other.claim(["paper"], NOW + LEASE - timedelta(seconds=1), 5) == []
    (second,) = await other.claim(["paper"], later, 5)
    assert (second.tries, second.unsure) == (2, True)

    await paused.settle(first, "retry", later, again_at=later)
    await paused.put_back(first, later)
    assert not await paused.holds(first, later)
    assert not await paused.composed(first, say("too late"), Changes(), later)
    assert await paused.claim(["paper"], later, 5) == []

    await other.settle(second, "sent", later, message="77")
    await paused.settle(first, "dead", later)
    assert (await other.count())["outbox sent"] == 1


async def test_a_lease_that_is_renewed_in_time_does_not_run_out(stores: list[Database]) -> None:
    slow, other, _ = stores
    await _owe(slow, _owed("k1"), _owed("k2", PEOPLE[1]))
    await slow.claim(["paper"], NOW, 5)
    nearly = NOW + LEASE - timedelta(seconds=1)

    await slow.hold(["paper"], [], ["k1"], nearly)

    assert [one.key for one in await other.claim(["paper"], nearly + timedelta(seconds=2), 5)] == ["k2"]


async def test_a_start_takes_nothing_from_workers_that_live(stores: list[Database]) -> None:
    living, starting, _ = stores
    await _owe(living, _owed("k1"))
    (owed,) = await living.claim(["paper"], NOW, 5)

    await starting.released(["paper"])

    assert await starting.claim(["paper"], NOW, 5) == []
    await living.settle(owed, "sent", NOW)
    assert (await living.count())["outbox sent"] == 1


async def test_a_worker_that_ends_in_order_leaves_its_work_to_the_others_at_once(stores: list[Database], postgres_url: str) -> None:
    ending = await Database.open(postgres_url)
    await ending.record("m1", ANN, Changes(), [_owed("r1", lane=Lane.REPLY)], NOW)
    await _owe(ending, _owed("k1", PEOPLE[1]), key="m2")
    await ending.claim(["paper"], NOW, 1)
    await ending.take("paper", [("u1", "words")], NOW, {"u1": "ann"})
    assert await stores[0].pick_up("paper", NOW, 5) == []
    await ending.close()

    assert sorted((one.key, one.unsure) for one in await stores[0].claim(["paper"], NOW, 5)) == [("k1", False), ("r1", True)]
    assert await stores[0].pick_up("paper", NOW, 5) == [("u1", "words")]


async def test_a_reply_is_first_for_whoever_handled_the_message_and_then_for_anybody(stores: list[Database]) -> None:
    """Only that process may know how the platform wants this message answered."""
    author, other, _ = stores
    await author.record("m1", ANN, Changes(), [_owed("r1", lane=Lane.REPLY), _owed("b1", PEOPLE[1], Lane.REPLY)], NOW)

    (elsewhere,) = await other.claim(["paper"], NOW, 5)
    assert elsewhere.key == "b1"  # to somebody else: anybody's
    await other.settle(elsewhere, "sent", NOW)
    assert await other.next_at(["paper"]) is None
    assert await author.next_at(["paper"]) == NOW
    assert [one.key for one in await other.claim(["paper"], NOW + LEASE + timedelta(seconds=1), 5)] == ["r1"]


async def test_workers_take_their_part_of_a_platforms_pace(stores: list[Database], library: Library) -> None:
    """Two that live share the limit; one that is silent for a lease no longer counts."""
    assert [await store.hold(["paper"], [], [], NOW) for store in stores] == [1, 2, 3]
    assert await stores[0].hold(["paper"], [], [], NOW + LEASE) == 1
    assert await stores[0].hold(["other"], [], [], NOW + LEASE) == 1


# ---------------------------------------------------------------------------------------------- the tick


async def test_ticks_of_several_workers_owe_each_learner_one_question(stores: list[Database], library: Library) -> None:
    for n, home in enumerate(PEOPLE * 3):
        home = replace(home, user=f"{home.user}-{n}", chat=f"{home.chat}-{n}")
        await stores[0].record(f"m{n}", home, Changes(Learner(f"l{n}", NOW, home, "UTC", 720, next_due_at=NOW)), [], NOW)
    clock = FakeClock(NOW)

    counted = await asyncio.gather(*(_coach(store, library, clock).deliver_due(["paper"], batch=7) for store in stores))

    assert sum(counted) == 120
    assert (await stores[0].count())["outbox ready"] == 120
    assert await stores[0].claim_due(["paper"], NOW, 50) == 0


# ---------------------------------------------------------------------------------------------- the inbox


async def test_one_persons_updates_are_handled_in_order_whichever_process_took_them(stores: list[Database]) -> None:
    one, two, _ = stores
    assert await one.take("paper", [("1", "first")], NOW, {"1": "ann"}) == ["1"]
    assert await two.take("paper", [("2", "second"), ("3", "other")], NOW, {"2": "ann", "3": "bob"}) == ["2", "3"]
    assert await two.take("paper", [("1", "first")], NOW, {"1": "ann"}) == []

    assert await one.ours("paper", "1")
    assert [await two.ours("paper", key) for key in "123"] == [False, False, True]
    assert await two.pick_up("paper", NOW, 5) == []
    assert await one.record("1", ANN, Changes(), [], NOW)
    assert not await one.ours("paper", "1")
    assert await one.pick_up("paper", NOW, 5) == [("2", "second")]
    assert not await two.ours("paper", "2")
    assert await one.ours("paper", "2")


async def test_an_update_of_a_worker_that_is_not_heard_of_is_taken_over_and_its_late_record_is_nothing(stores: list[Database]) -> None:
    paused, other, _ = stores
    await paused.take("paper", [("1", "first"), ("2", "second")], NOW, {"1": "ann", "2": "ann"})
    later = NOW + LEASE + timedelta(seconds=1)

    assert await other.pick_up("paper", NOW, 5) == []
    assert await other.pick_up("paper", later, 5) == [("1", "first")]
    assert await other.record("1", ANN, Changes(), [_owed("r1")], later)
    assert not await paused.record("1", ANN, Changes(), [_owed("r1 again")], later)

    assert await paused.ours("paper", "2")  # nobody took the next one yet: the paused one may go on with it
    assert await other.pick_up("paper", later, 5) == [("2", "second")]
    assert not await paused.record("2", ANN, Changes(), [_owed("r2")], later)
    assert await other.record("2", ANN, Changes(), [_owed("r2")], later)
    assert (await other.count())["outbox ready"] == 2


async def test_who_has_no_room_leaves_updates_to_the_others(stores: list[Database], library: Library) -> None:
    """Each takes on so many and no more; nobody's second update overtakes the first."""
    coaches = [_coach(store, library, FakeClock(NOW)) for store in stores]
    updates = [(f"{n}", "words") for n in range(MOST_AT_WORK + 10)]

    await coaches[0].take("paper", updates, {key: f"p{int(key) % 60}" for key, _ in updates})
    picked = await coaches[1].waiting("paper")

    assert [await stores[0].ours("paper", key) for key in ("0", "59", "60")] == [True, True, False]
    assert picked == []  # whose last ones wait for their first ones, which the first coach has
    await coaches[0].take("paper", [("new", "words")], {"new": "somebody else"})
    assert await coaches[1].waiting("paper") == [("new", "words")]


async def test_two_processes_with_updates_of_one_learner_neither_lose_nor_double_a_reply(postgres_url: str, library: Library) -> None:
    """Each takes every other update, at the same time; every one is answered once, in the order in which they were taken."""
    clock = FakeClock()
    total = 24
    async with AsyncExitStack() as stack:
        homes = [await stack.enter_async_context(_process(postgres_url, library, clock)) for _ in range(2)]
        for n in range(total):
            await homes[n % 2].take(f"u{n:02}", "/help" if n else "/start")
        async with asyncio.timeout(60):
            while (await homes[0].store.count())["inbox"]:
                await asyncio.sleep(0.02)
        rows = await _rows(homes[0].store, "SELECT key FROM outbox ORDER BY seq")
        done = await _rows(homes[0].store, "SELECT count(*) FROM learner")

    assert [key.split(":")[2] for (key,) in rows if key.endswith(":0")] == [f"u{n:02}" for n in range(total)]
    assert done == [(1,)]


class _Home:
    """A process in small: it takes updates, begins them, and picks up what others leave."""

    def __init__(self, store: Database, coach: Coach, clock: FakeClock) -> None:
        self.store, self.coach, self.clock = store, coach, clock
        self.turns: set[asyncio.Task[object]] = set()

    async def take(self, key: str, text: str) -> None:
        for fresh in await self.coach.take("paper", [(key, text)], {key: "ann"}):
            self.begin(fresh, text)

    def begin(self, key: str, text: str) -> None:
        turn = asyncio.create_task(self.coach.handle(Message(key, ANN, text, self.clock())))
        self.turns.add(turn)
        turn.add_done_callback(self.turns.discard)

    async def pick_up(self) -> None:
        for key, text in await self.coach.waiting("paper"):
            self.begin(key, text)


@asynccontextmanager
async def _process(url: str, library: Library, clock: FakeClock, grader: Grader | None = None) -> AsyncIterator[_Home]:
    store = await Database.open(url)
    home = _Home(store, _coach(store, library, clock, grader), clock)
    async with couriers(World(store, home.coach, clock, library), []) as courier:
        sharing = Sharing(store, home.coach, courier, ["paper"], home.pick_up, now=clock)
        running = asyncio.create_task(sharing.run())
        try:
            yield home
        finally:
            await sharing.stop()
            await running
            if home.turns:
                await asyncio.wait(home.turns)
    await store.close()


async def _rows(store: Database, statement: str) -> list[tuple[object, ...]]:
    return await store.read(lambda session: [tuple(row) for row in session.connection().exec_driver_sql(statement).all()])


async def test_a_reply_is_not_begun_where_another_worker_begins_to_send(stores: list[Database], postgres: PostgresServer) -> None:
    """In the same moment, so that neither sees the other: the turn is written, and the reply waits for its turn."""
    begun: list[Owed] = []
    await _owe(stores[1], _owed("b1"))
    assert isinstance(stores[1].base, PostgreSQL)
    async with stores[1].base.engine.connect() as other, asyncio.timeout(30):
        await other.exec_driver_sql(f"UPDATE outbox SET state = 'sending', worker = '{stores[1].worker}' WHERE key = 'b1'")
        writing = asyncio.create_task(stores[0].record("m2", ANN, Changes(), [_owed("r1", lane=Lane.REPLY)], NOW, begun.append))
        while not await postgres.execute("SELECT 1 FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        await other.commit()
        assert await writing

    assert begun == []
    assert await _rows(stores[0], "SELECT key, state FROM outbox ORDER BY seq") == [("b1", "sending"), ("r1", "ready")]


async def test_two_turns_of_one_learner_at_once_count_as_two_the_second_knowing_of_the_first(
    stores: list[Database], library: Library
) -> None:
    """Both processes grade a reply to the same open question; only one of them answers it, the other reads again."""
    clock, held = FakeClock(), Held()
    first, second = (_coach(store, library, clock, held) for store in stores[:2])
    for key, text in (("s", "/start"), ("z", "/zone UTC"), ("n", "/next precision")):
        await first.handle(Message(key, ANN, text, clock()))

    one = asyncio.create_task(first.handle(Message("a1", ANN, PRECISION, clock())))
    two = asyncio.create_task(second.handle(Message("a2", ANN, PRECISION, clock())))
    async with asyncio.timeout(30):
        while held.grades < 2:
            await asyncio.sleep(0.01)
        held.go.set()
        said = await asyncio.gather(one, two)

    assert all(said)
    assert len(await _rows(stores[0], "SELECT asked FROM attempt")) == len(await _rows(stores[0], "SELECT DISTINCT asked FROM attempt"))
    assert [row for row in await _rows(stores[0], "SELECT fate FROM asked WHERE question = 'precision' AND followup = ''")] == [
        ("answered",)
    ]


# ---------------------------------------------------------------------------------------------- waking, and one at a time


async def test_what_one_process_writes_wakes_the_others_at_once(stores: list[Database]) -> None:
    """The other one is told, not left to look: an event, with nobody looking in this test."""
    writer, listener, _ = stores
    updates, messages = asyncio.Event(), asyncio.Event()
    async with listener.listen(updates.set, messages.set), asyncio.timeout(30):
        await updates.wait()
        await messages.wait()  # once at the beginning, for whatever was written before
        updates.clear()
        messages.clear()

        await _owe(writer, _owed("k1"))
        await messages.wait()
        assert not updates.is_set()
        await writer.take("paper", [("1", "a"), ("2", "b")], NOW, {"1": "ann", "2": "bob"}, room=1)
        await updates.wait()


async def test_a_listener_whose_connection_was_ended_listens_again(
    stores: list[Database], postgres: PostgresServer, postgres_url: str
) -> None:
    heard = asyncio.Event()
    async with stores[0].listen(lambda: None, heard.set), asyncio.timeout(30):
        await heard.wait()
        heard.clear()
        await _terminate(postgres, postgres_url)
        await heard.wait()  # it is back, and looks for what it missed
        heard.clear()
        await _owe(stores[1], _owed("k1"))
        await heard.wait()


async def test_one_process_receives_and_the_next_one_does_when_it_is_gone(
    stores: list[Database], postgres: PostgresServer, postgres_url: str
) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(30):
        async with stores[0].place("a bot", first):
            await first.wait()
            waiting = stores[1].place("a bot", second)
            await waiting.__aenter__()
            while not await _somebody_waits(postgres):
                await asyncio.sleep(0.01)
            assert not second.is_set()
        await second.wait()
        assert not first.is_set()
        await waiting.__aexit__(None, None, None)
        assert not second.is_set()


async def test_who_lost_its_connection_no_longer_receives(stores: list[Database], postgres: PostgresServer, postgres_url: str) -> None:
    """Of two, one has the place before and after; the one whose session the server ended learns of it."""
    places = [asyncio.Event(), asyncio.Event()]
    async with stores[0].place("a bot", places[0]), asyncio.timeout(30):
        await places[0].wait()
        async with stores[1].place("a bot", places[1]):
            while not await _somebody_waits(postgres):
                await asyncio.sleep(0.01)
            await _terminate(
                postgres, postgres_url, f"pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND {_LOCK})"
            )
            await places[1].wait()
            while places[0].is_set():
                await asyncio.sleep(0.01)


_LOCK = f"classid = {(number('a bot') >> 32) & 0xFFFFFFFF} AND objid = {number('a bot') & 0xFFFFFFFF}"


async def _somebody_waits(postgres: PostgresServer) -> bool:
    return bool(await postgres.execute(f"SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND {_LOCK}"))


async def _terminate(postgres: PostgresServer, url: str, which: str = "true") -> None:
    name = url.rsplit("/", 1)[1]
    await postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND {which}")


# ---------------------------------------------------------------------------------------------- PostgreSQL itself goes away


async def test_a_backend_that_is_ended_in_the_middle_of_a_turn_costs_nothing(
    stores: list[Database], library: Library, postgres: PostgresServer, postgres_url: str
) -> None:
    """Once while the reply is graded, once while it is written: one attempt, one grade, no error."""
    clock, held = FakeClock(), Held()
    coach = _coach(stores[0], library, clock, held)
    for key, text in (("s", "/start"), ("z", "/zone UTC"), ("n", "/next precision")):
        await coach.handle(Message(key, ANN, text, clock()))
    assert isinstance(stores[1].base, PostgreSQL)
    lock = await stores[1].base.engine.connect()
    await lock.begin()

    turn = asyncio.create_task(coach.handle(Message("a1", ANN, PRECISION, clock())))
    async with asyncio.timeout(30):
        await held.begun.wait()
        own = (await lock.exec_driver_sql("SELECT pg_backend_pid()")).scalar_one()
        await _terminate(postgres, postgres_url, f"pid <> {own}")
        await lock.exec_driver_sql("LOCK TABLE attempt IN ACCESS EXCLUSIVE MODE")
        held.go.set()
        blocked = "SELECT pid FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"
        while not await postgres.execute(blocked):
            await asyncio.sleep(0.01)
        await _terminate(postgres, postgres_url, f"pid IN ({blocked})")
        await lock.rollback()
        await lock.close()
        said = await turn

    assert "/100" in said[0].text
    assert (await stores[1].count())["attempts"] == 1
    assert await _rows(stores[1], "SELECT count(*) FROM outbox WHERE key LIKE 'reply:paper:a1:0'") == [(1,)]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
async def test_postgresql_restarted_in_the_middle_loses_and_doubles_nothing(library: Library, how: signal.Signals) -> None:
    """What the platform accepted is every message once, although the database went away while it accepted them."""
    paper = _Slow()
    with postgres_server({}) as server:  # durable: what was committed survives a crash
        async with server.database() as url:
            stores = [await Database.open(url) for _ in range(2)]
            now = datetime.now(UTC)
            owed = [_owed(f"k{n}", PEOPLE[n]) for n in range(40)]
            await stores[0].record("m1", Address("paper", "nobody", ""), Changes(), owed, now)
            homes = [World(store, _coach(store, library, clock), clock, library) for store in stores for clock in [_WallClock()]]
            async with couriers(homes[0], [paper]), couriers(homes[1], [paper]), asyncio.timeout(60):
                await paper.some.wait()
                await asyncio.to_thread(server.stop, how)
                paper.go.set()
                await asyncio.to_thread(server.start)
                while (await stores[0].count()).get("outbox sent", 0) < 40:
                    await asyncio.sleep(0.05)
            for store in stores:
                await store.close()

    assert Counter(who for who, _ in paper.sent) == Counter(one.user for one in PEOPLE)


class _WallClock(FakeClock):
    """The real time: leases run out by it."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


class _Slow(Paper):
    """A platform that accepts some messages and answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(UNLIMITED)
        self.some, self.go = asyncio.Event(), asyncio.Event()

    async def send(self, address: Address, reply: object, key: str, since: datetime | None = None) -> str:
        sent = await super().send(address, reply, key)  # type: ignore[arg-type]
        if len(self.sent) >= 10:
            self.some.set()
        await self.go.wait()
        return sent
