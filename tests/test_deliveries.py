"""The daily question and everything else that is owed, with a platform that can fail in every way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event
from worlds import FakeClock, World, couriers, world

from bot.content import Library
from bot.database.postgres import PostgreSQL
from bot.database.sqlite import SQLite
from bot.errors import AddressGone, SendLater, SendRefused, SendUnclear
from bot.messages import Address, Reply, say
from bot.model import Changes
from bot.outbox import UNLIMITED, Lane, Owed, Pace

ANN = Address("paper", "ann", "ann")
BOB = Address("paper", "bob", "bob")
PRECISION = "Precision is TP / (TP + FP): of everything that we flagged, the share that really is positive."
MORNING = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.fixture
def database(url: str) -> str:
    """Each test is held to both kinds of database."""
    return url


class Paper:
    """A platform that writes down what it is sent, and fails when told to."""

    platform = "paper"

    def __init__(self, pace: Pace = UNLIMITED) -> None:
        self.pace = pace
        self.sent: list[tuple[str, str]] = []
        self.failures: list[Exception] = []
        self.blocked: set[str] = set()
        self.tried = 0

    async def send(self, address: Address, reply: Reply, key: str, since: datetime | None = None) -> str:
        self.tried += 1
        if address.user in self.blocked:
            raise AddressGone("blocked")
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append((address.user, reply.text))
        return str(len(self.sent))

    def to(self, who: str) -> list[str]:
        return [text for user, text in self.sent if user == who]


async def _joined(home: World, address: Address = ANN, zone: str = "UTC", time: str = "09:00") -> None:
    await home.says("/help", address=address)
    await home.says(f"/zone {zone}", address=address)
    await home.says(f"/daily {time}", address=address)


async def _day(home: World, paper: Paper, at: datetime) -> list[str]:
    """What Ann gets when the coach looks at its clock at `at`."""
    home.clock.at = at
    before = len(paper.to("ann"))
    async with couriers(home, [paper]) as courier:
        await home.coach.deliver_due(["paper"])
        courier.wake()
        await courier.drained()
    return paper.to("ann")[before:]


async def test_the_daily_question_comes_once_a_day_at_its_time(library: Library, database: str) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _joined(home)
        await _day(home, paper, MORNING - timedelta(hours=12))

        early = await _day(home, paper, MORNING - timedelta(seconds=1))
        on_time = await _day(home, paper, MORNING)
        again = await _day(home, paper, MORNING + timedelta(hours=3))
        tomorrow = await _day(home, paper, MORNING + timedelta(days=1))

    assert early == again == []
    assert len(on_time) == len(tomorrow) == 1
    assert on_time[0].startswith("Question of the day")


async def test_a_restart_in_the_morning_neither_loses_nor_doubles_it(library: Library, database: str) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _joined(home)
        await _day(home, paper, MORNING - timedelta(hours=1))
        home.clock.at = MORNING
        await home.coach.deliver_due(["paper"])  # and the process ends before anything is sent
    async with world(library, database) as home:
        late = await _day(home, paper, MORNING + timedelta(minutes=5))
    async with world(library, database) as home:
        later = await _day(home, paper, MORNING + timedelta(minutes=10))

    assert len(late) == 1
    assert later == []


async def test_after_a_week_without_a_coach_one_question_comes_not_seven(library: Library, database: str) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _joined(home)
        await _day(home, paper, MORNING - timedelta(hours=1))
        back = await _day(home, paper, MORNING + timedelta(days=7, hours=3))
        again = await _day(home, paper, MORNING + timedelta(days=7, hours=4))

    assert len(back) == 1
    assert again == []


async def test_a_question_that_waited_past_its_day_is_not_sent(library: Library, database: str) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _joined(home)
        await _day(home, paper, MORNING - timedelta(hours=1))
        home.clock.at = MORNING
        await home.coach.deliver_due(["paper"])
        next_day = await _day(home, paper, MORNING + timedelta(hours=16))

    assert next_day == []


async def test_a_pause_holds_it_back_and_ends_by_itself(library: Library, database: str) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _joined(home)
        await home.says("/pause 3", address=ANN)
        days = [await _day(home, paper, MORNING + timedelta(days=n)) for n in range(4)]

    assert [len([text for text in day if "Question" in text]) for day in days] == [0, 0, 1, 1]


async def test_changing_the_time_does_not_bring_a_second_one_that_day(library: Library, database: str) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _joined(home)
        await _day(home, paper, MORNING)
        await home.says("/daily 11:00", address=ANN)
        second = await _day(home, paper, MORNING + timedelta(hours=2))
        tomorrow = await _day(home, paper, MORNING + timedelta(days=1, hours=2))

    assert [text for text in second if "Question" in text] == []
    assert len(tomorrow) == 1


async def test_a_missing_core_point_of_the_daily_question_is_followed_up_once(library: Library, database: str) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _joined(home)
        await _day(home, paper, MORNING)
        home.clock.move(minutes=5)
        await home.says("it is when the thing with the data does something", address=ANN)
        assert "0/100" in home.hears[0].text
        assert home.hears[1].text.startswith("Follow-up")

        hasty = await home.says("and another thing", address=ANN)
        assert "I had graded your first message" in hasty[0].text
        home.clock.move(minutes=1)
        answered = await home.says("I would look at the data again", address=ANN)

    assert len(answered) == 1


async def test_a_graded_reply_costs_the_database_little(library: Library, database: str) -> None:
    """As many words as are needed, and no claim for what is handed over."""
    paper = Paper()
    said: list[str] = []
    async with world(library, database) as home, couriers(home, [paper]) as courier:
        for text in ("/next precision", PRECISION, "/next precision"):
            await home.says(text, address=ANN)
            await courier.drained()
        assert isinstance(home.store.base, SQLite | PostgreSQL)
        engine = home.store.base.engine if isinstance(home.store.base, SQLite) else home.store.base.engine.sync_engine
        event.listen(engine, "before_cursor_execute", lambda _connection, _cursor, statement, *_: said.append(statement))
        await home.coach.take("paper", [("graded", "{}")], {"graded": "ann"})
        await home.says(PRECISION, address=ANN, key="graded")
        await courier.drained()

    assert "/100" in paper.sent[-1][1]
    assert len(said) <= (30 if home.store.shared else 20), said
    assert not any(one.startswith("WITH heads") for one in said)


async def test_what_nobody_sends_any_more_is_taken_over_however_much_goes_on(library: Library, database: str) -> None:
    """Its sender is gone, and this process is told of something new all the time."""
    paper = Paper()
    async with world(library, database) as home, couriers(home, [paper]) as courier:
        lost = Owed("lost", BOB, Lane.REPLY, "reply", say("found"))
        await home.store.record("m", BOB, Changes(), [lost], home.clock(), lambda _owed: None)
        home.clock.move(seconds=60)
        async with asyncio.timeout(20):
            while paper.to("bob") != ["found"]:
                courier.wake()
                await asyncio.sleep(0.01)


async def test_one_learner_who_blocked_the_coach_stops_nobody_else(library: Library, database: str) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _joined(home)
        await _joined(home, BOB)
        await _day(home, paper, MORNING - timedelta(hours=1))
        paper.blocked = {"ann"}
        await _day(home, paper, MORNING)
        paper.blocked = set()
        next_day = await _day(home, paper, MORNING + timedelta(days=1))
        assert len(paper.to("bob")[-2:]) == 2
        assert next_day == []
        await home.says("/next", address=ANN)
        back = await _day(home, paper, MORNING + timedelta(days=2))

    assert any(text.startswith("Question of the day") for text in back)


@pytest.mark.parametrize(
    ("failures", "tries", "arrives"),
    [
        ([SendLater("flood", 0.0, flood=True)], 2, True),
        ([SendUnclear("cut")], 2, True),
        ([SendUnclear("cut"), SendUnclear("cut")], 2, False),  # it may have arrived twice already: enough
        ([SendRefused("too long")], 1, False),
        ([SendLater("away", 0.0)] * 4, 5, True),
        ([SendLater("away", 0.0)] * 30, 31, True),  # an outage costs no message, however long it takes
    ],
)
async def test_a_send_that_fails_is_tried_again_as_often_as_it_may(
    library: Library, database: str, failures: list[Exception], tries: int, arrives: bool
) -> None:
    paper = Paper()
    paper.failures = list(failures)
    async with world(library, database) as home, couriers(home, [paper]) as courier:
        await home.says("/help", address=ANN)
        async with asyncio.timeout(20):
            while not _over(counts := await home.store.count()):
                if counts.get("outbox retry"):
                    home.clock.move(minutes=2)
                    courier.wake()
                await asyncio.sleep(0.01)

    assert tries == paper.tried
    assert arrives == bool(paper.sent)


def _over(counts: dict[str, int]) -> bool:
    return bool(counts.get("outbox sent") or counts.get("outbox dead"))


async def test_a_bug_in_one_message_stops_no_other(library: Library, database: str) -> None:
    paper = Paper()
    paper.failures = [ValueError("a bug")]
    async with world(library, database) as home, couriers(home, [paper]) as courier:
        await home.says("/help", address=ANN)
        await home.says("/help", address=BOB)
        while not paper.sent:
            courier.wake()
            await asyncio.sleep(0.01)

    assert len(paper.sent) == 1


async def test_a_message_that_always_meets_a_bug_is_given_up_and_the_next_one_goes_out(library: Library, database: str) -> None:
    paper = Paper()
    paper.failures = [ValueError("a bug"), ValueError("a bug")]
    async with world(library, database) as home, couriers(home, [paper]) as courier:
        await home.says("/help", address=ANN)
        await home.says("/streak", address=ANN)
        async with asyncio.timeout(20):
            while not paper.sent:
                home.clock.move(seconds=1)
                courier.wake()
                await asyncio.sleep(0.01)

    assert paper.to("ann") == ["No streak yet: one reply today begins it."]
    assert paper.tried == 3


async def test_waiting_for_the_platforms_pace_is_not_a_try(library: Library, database: str) -> None:
    """What waits for a slow group is put back again and again, and is not given up for it."""
    group = Address("paper", "ann", "the-group")
    paper = Paper(Pace(per_second=1e6, per_chat=1e6, burst=1000, group_per_minute=20, in_flight=4))
    async with world(library, database) as home:
        for _ in range(22):
            await home.says("/help", address=group)
        async with couriers(home, [paper]) as courier:
            async with asyncio.timeout(20):
                while len(paper.sent) < 20:
                    await asyncio.sleep(0.01)
            for _ in range(8):
                home.clock.move(seconds=4)
                courier.wake()
                await asyncio.sleep(0.05)
        counts = await home.store.count()

    assert counts.get("outbox dead", 0) == 0
    assert counts["outbox sent"] + counts["outbox ready"] == 22


async def test_messages_to_one_chat_arrive_in_order_even_when_the_first_has_to_wait(library: Library, database: str) -> None:
    paper = Paper()
    paper.failures = [SendLater("away", 0.0)]
    async with world(library, database) as home:
        for text in ("/help", "/topics", "/streak"):
            await home.says(text, address=ANN)
        async with couriers(home, [paper]) as courier:
            await courier.drained()

    heads = [text.split("\n")[0] for text in paper.to("ann")]
    assert heads == ["How this works", "What I ask about", "No streak yet: one reply today begins it."]


async def test_replies_overtake_what_the_coach_sends_on_its_own(library: Library, database: str) -> None:
    paper = Paper(Pace(per_second=1e6, per_chat=1e6, burst=1000, in_flight=1))
    async with world(library, database) as home:
        people = [Address("paper", f"p{n}", f"p{n}") for n in range(20)]
        for one in people:
            await _joined(home, one)
        await _day(home, paper, MORNING - timedelta(hours=1))
        paper.sent.clear()
        home.clock.at = MORNING
        await home.coach.deliver_due(["paper"])
        await home.says("/help", address=ANN)
        async with couriers(home, [paper]) as courier:
            await courier.drained()

    assert [who for who, _ in paper.sent].index("ann") == 0
    assert len(paper.sent) == 21


def test_the_clock_of_a_test_is_utc() -> None:
    assert FakeClock()().tzinfo is UTC
