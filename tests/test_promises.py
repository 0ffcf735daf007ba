"""What a learner may rely on: a question at their minute and never in the night, a day excused when the coach was away, a way to
put it off, and to be left alone after a while."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from test_deliveries import ANN, Paper
from worlds import World, couriers, sent_what_is_due, sql, world

from bot.content import Library
from bot.database import Database
from bot.errors import SendUnclear
from bot.messages import Reply, say
from bot.model import Changes
from bot.outbox import UNLIMITED, Lane, Owed, Pace

TUESDAY = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PRECISION = "Precision is TP / (TP + FP): of everything that we flagged, the share that really is positive."


async def _ann(home: World, at: datetime = TUESDAY - timedelta(hours=20)) -> None:
    home.clock.at, home.address = at, ANN
    await home.says("/help")
    await home.says("/daily 09:00 UTC")


async def _when(home: World, paper: Paper, at: datetime) -> list[str]:
    """What Ann gets when the clock shows `at`."""
    home.clock.at = at
    before = len(paper.to("ann"))
    async with couriers(home, [paper]) as courier:
        await home.coach.deliver_due(["paper"])
        await sent_what_is_due(home, courier)
    return paper.to("ann")[before:]


async def _excused(store: Database) -> list[str]:
    return await sql(store, "SELECT about FROM mark WHERE kind = 'excused' ORDER BY about")


async def test_after_three_days_without_a_coach_the_days_are_excused_and_the_streak_is_kept(library: Library, database: Path) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _ann(home)
        assert len(await _when(home, paper, TUESDAY - timedelta(hours=20))) == 2
        for day in range(2):
            assert (await _when(home, paper, TUESDAY + timedelta(days=day)))[-1].startswith("Question of the day")
            await home.says(PRECISION)
            await _when(home, paper, home.clock.move(minutes=5))
    async with world(library, database) as home:  # Friday and Saturday nobody was there, and on Sunday not until noon and a bit
        home.address = ANN
        replies = await _when(home, paper, TUESDAY + timedelta(days=5, hours=3, minutes=1))
        await home.says("/streak", key="streak")
        streak = home.heard
        monday = await _when(home, paper, TUESDAY + timedelta(days=6))
        excused = await _excused(home.store)

    assert not any("Question" in text for text in replies)
    assert excused == ["2026-11-26", "2026-11-27", "2026-11-28", "2026-11-29"]
    assert "2 days" in streak
    assert any(text.startswith("Question of the day") for text in monday)


async def test_after_an_hour_without_a_coach_the_question_comes_late_and_once(library: Library, database: Path) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _ann(home)
        await _when(home, paper, TUESDAY - timedelta(hours=1))
    async with world(library, database) as home:
        late = await _when(home, paper, TUESDAY + timedelta(hours=1))
        assert await _when(home, paper, TUESDAY + timedelta(hours=2)) == []
        assert await _excused(home.store) == []

    assert [text.startswith("Question of the day") for text in late] == [True]


async def test_a_question_that_was_owed_in_time_and_could_not_be_sent_for_hours_is_excused(library: Library, database: Path) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _ann(home)
        await _when(home, paper, TUESDAY - timedelta(hours=1))
        home.clock.at = TUESDAY
        await home.coach.deliver_due(["paper"])
        nothing = await _when(home, paper, TUESDAY + timedelta(hours=3, minutes=1))
        excused = await _excused(home.store)

    assert nothing == []
    assert excused == ["2026-11-24"]


async def test_what_the_coach_sends_on_its_own_waits_for_the_morning_and_a_reply_does_not(library: Library, database: Path) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _ann(home)
        await _when(home, paper, TUESDAY)
        home.clock.at = TUESDAY + timedelta(hours=14)  # 23:00
        owed = Owed("weekly:x:2026-11-24", ANN, Lane.BULK, "weekly", say("your week"), (await home.store.whose(ANN)))
        await home.store.record("w1", ANN, Changes(), [owed, owed], home.clock())
        at_night = await _when(home, paper, home.clock())
        await home.says("/help")
        answered = await _when(home, paper, home.clock.move(minutes=1))
        early = await _when(home, paper, TUESDAY + timedelta(hours=22, minutes=59))
        at_eight = await _when(home, paper, TUESDAY + timedelta(hours=23))

    assert at_night == early == []
    assert answered[0].startswith("How this works")
    assert at_eight == ["your week"]


async def test_a_question_at_a_minute_chosen_in_the_night_comes_at_that_minute(library: Library, database: Path) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _ann(home)
        await home.says("/daily 23:30")
        await _when(home, paper, home.clock())

        assert len(await _when(home, paper, TUESDAY.replace(hour=23, minute=30))) == 1


async def test_a_question_can_be_put_off_before_it_comes_and_after(library: Library, database: Path) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _ann(home)
        await _when(home, paper, TUESDAY - timedelta(minutes=30))
        await home.says("/snooze 2h")
        assert home.heard == "Fine. Today's question will come at 10:30."
        assert await _when(home, paper, TUESDAY) == [home.heard]
        (asked,) = await _when(home, paper, TUESDAY + timedelta(minutes=90))
        assert asked.startswith("Question of the day")

        await home.says("/snooze 1h")
        home.clock.move(minutes=1)
        await home.says("/snooze 90m")
        assert home.heard == "Fine. I'll ask again at 12:01."
        assert len(await _when(home, paper, home.clock.move(minutes=80))) == 2  # what was said, and nothing at half past eleven
        (again,) = await _when(home, paper, TUESDAY + timedelta(hours=3, minutes=1))
        assert again.startswith("You asked me to come back to this.")
        assert again.endswith(asked.split("\n\n", 1)[1])

        await home.says("/snooze 30 min")
        await home.says(PRECISION)
        later = await _when(home, paper, home.clock.move(minutes=40))
        tomorrow = await _when(home, paper, TUESDAY + timedelta(days=1))

    assert not any("You asked me" in text for text in later)
    assert [text.startswith("Question of the day") for text in tomorrow] == [True]


@pytest.mark.parametrize(
    ("at", "said", "answer"),
    [
        (9, "/snooze", "For how long?"),
        (9, "/snooze a while", "For how long?"),
        (9, "/snooze 13h", "For how long?"),
        (16, "/snooze 9h", "By then it's tomorrow"),
        (7, "/snooze 1h", "Today's question comes at 09:00 anyway."),
    ],
)
async def test_what_can_not_be_put_off_is_said_in_a_sentence(library: Library, database: Path, at: int, said: str, answer: str) -> None:
    async with world(library, database) as home:
        await _ann(home, TUESDAY.replace(hour=at))
        if at > 8:
            await home.says("/next precision")
            home.clock.move(minutes=1)
        await home.says(said)

    assert home.heard.startswith(answer)


async def test_who_does_not_reply_is_asked_less_then_not_at_all_and_one_word_brings_it_back(library: Library, database: Path) -> None:
    """Ten unanswered days, then Mondays, Wednesdays and Fridays; after twenty a kind word and a pause."""
    paper = Paper()
    async with world(library, database) as home:
        await _ann(home)
        await _when(home, paper, home.clock())
        got = {day: await _when(home, paper, TUESDAY + timedelta(days=day)) for day in range(45)}
        questions = [day for day, texts in got.items() if any("Question of the day" in text for text in texts)]
        kind = [(day, text) for day, texts in got.items() for text in texts if "I'll stop asking" in text]
        await home.says("/resume")
        back = await _when(home, paper, TUESDAY + timedelta(days=46))

    assert questions[:10] == list(range(10))
    assert {(TUESDAY + timedelta(days=day)).weekday() for day in questions[10:]} == {0, 2, 4}
    assert len(questions) == 20
    assert "from now on I ask on Mondays" in "".join(got[questions[10]])
    assert [day for day, _ in kind] == [questions[-1] + 1]
    assert "Question of the day" in "".join(back)


async def test_a_learner_who_is_forgotten_between_the_claim_and_the_sending_is_sent_nothing(library: Library, database: Path) -> None:
    paper = Paper()
    async with world(library, database) as home:
        await _ann(home)
        learner = await home.store.whose(ANN)
        await _when(home, paper, TUESDAY - timedelta(hours=1))
        home.clock.at = TUESDAY
        await home.coach.deliver_due(["paper"])
        await home.store.record("w1", ANN, Changes(), [Owed("word:1", ANN, Lane.BULK, "word", say("hello"), learner)], home.clock())
        claimed = await home.store.claim(["paper"], home.clock(), 5)
        await sql(home.store, f"DELETE FROM outbox WHERE learner = '{learner}'")
        worded = [await home.coach.compose(one) for one in claimed]
        rest = [await home.coach.compose(Owed("word:1", ANN, Lane.BULK, "word", say("hello"), learner))]

    assert [one.kind for one in claimed] == ["daily"]
    assert worded == rest == [None]


async def test_both_copies_of_a_question_of_which_nobody_knew_whether_it_arrived_lead_to_one_attempt(
    library: Library, database: Path
) -> None:
    """They have the same delivery in their buttons: whichever is pressed, the question is closed for both."""

    class Twice(Paper):
        async def send(self, address, reply, key, since=None):  # type: ignore[no-untyped-def]
            message = await super().send(address, reply, key, since)
            copies.append(reply)
            if len(copies) == 1:
                raise SendUnclear("cut after it was taken")
            return message

    copies: list[Reply] = []
    async with world(library, database) as home:
        await _ann(home)
        async with couriers(home, [Paper()]) as courier:
            await courier.drained()
        paper = Twice(UNLIMITED)
        await _when(home, paper, TUESDAY)
        await _when(home, paper, TUESDAY + timedelta(seconds=5))
        first, second = copies
        assert replace(first, aloud="") == second  # what may be read aloud was owed beside it the first time
        home.hears = (first,)
        await home.says(PRECISION)
        home.hears = (second,)
        await home.taps("Skip")
        counts = await home.store.count()

    assert "closed" in home.heard.lower() or "answered" in home.heard.lower()
    assert counts["attempts"] == 1


async def test_a_reply_in_a_chat_goes_before_a_fan_out_that_waits_for_it(library: Library, database: Path) -> None:
    """Also to the very learner whose daily question is far back in the line, and to one who is owed something for later."""
    paper = Paper(Pace(per_second=1e6, bulk_per_second=1e6, per_chat=1e6, burst=1000, in_flight=1))
    async with world(library, database) as home:
        await _ann(home)
        await _when(home, paper, TUESDAY - timedelta(hours=1))
        learner = await home.store.whose(ANN)
        now = home.clock.at = TUESDAY
        later = Owed("weekly:x", ANN, Lane.BULK, "weekly", say("your week"), learner, due_at=now + timedelta(days=3))
        await home.store.record("w1", ANN, Changes(), [later], now)
        await home.coach.deliver_due(["paper"])
        await home.says("/help")
        got = await _when(home, paper, now)

    assert [text.split("\n")[0][:15] for text in got] == ["How this works", "Question of the"]
