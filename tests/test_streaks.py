"""Streaks: histories as a person would count them, and the number shown against one replayed by other means."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import FakeClock, world

from bot import streaks
from bot.content import Library
from bot.messages import Message
from bot.model import Mark, MarkKind, Practised
from bot.streaks import Why

BERLIN, NEW_YORK, LOS_ANGELES, AUCKLAND, TOKYO = (
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "Pacific/Auckland",
    "Asia/Tokyo",
)
MONDAY = date(2026, 11, 2)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def ledger(*offsets: int, zone: str = BERLIN) -> list[Practised]:
    """A reply at 19:00 on each of these days after Monday, 2 November 2026; a day that is named twice has two."""
    return [Practised(at(f"{MONDAY + timedelta(days=offset)}T19:0{number % 10}", zone), zone) for number, offset in enumerate(offsets)]


def mark(offset: int, kind: MarkKind, about: str = "", zone: str = BERLIN, hour: int = 12) -> Mark:
    return Mark("ann", at(f"{MONDAY + timedelta(days=offset)}T{hour}:00", zone), zone, kind, about)


def told(entries: list[Practised], today: int, *marks: Mark) -> streaks.Streak:
    return streaks.replay(entries, marks, MONDAY + timedelta(days=today))


def whys(streak: streaks.Streak) -> str:
    return " ".join(one.why.value for one in streak.days)


# ---------------------------------------------------------------------------------------------- the rules


def test_days_in_a_row_count_and_today_may_still_come() -> None:
    assert told([], 0).count == 0
    assert [told(ledger(0, 1, 2), today).count for today in (2, 3, 4)] == [3, 3, 0]
    assert told(ledger(0, 1, 2), 3).days[-1].why is Why.OPEN
    assert told(ledger(0, 0, 0), 0).count == 1


def test_a_freeze_is_earned_with_every_seventh_day_and_used_by_itself() -> None:
    week = told(ledger(*range(7)), 6)
    assert (week.count, week.held) == (7, 1)
    after = told(ledger(*range(7), 8), 8)
    assert (after.count, after.held, after.days[7].why) == (8, 0, Why.FROZEN)
    assert told(ledger(*range(7), 8, 10), 10).count == 1


def test_two_freezes_are_the_most_and_cover_two_days_but_not_three() -> None:
    assert told(ledger(*range(28)), 27).held == 2
    assert (told(ledger(*range(28), 30), 30).count, told(ledger(*range(28), 30), 30).held) == (29, 0)
    three = told(ledger(*range(28), 31), 31)
    assert three.count == 1
    assert whys(three).endswith("frozen frozen missed practised")


def test_a_broken_streak_comes_back_by_doing_double_within_two_days() -> None:
    broken = told(ledger(0, 1, 2), 4)
    assert (broken.count, broken.lost, broken.until) == (0, 3, MONDAY + timedelta(days=5))
    for double in (4, 5):
        back = told(ledger(0, 1, 2, double, double), double)
        assert (back.count, back.lost) == (4, 0)
        assert back.days[3].why is Why.MADE_UP
        assert back.days[-1].why is Why.DOUBLED
    assert told(ledger(0, 1, 2, 4, 5, 5), 5).count == 5, "the day between is not lost either"
    assert told(ledger(0, 1, 2, 6, 6), 6).count == 1, "the third day is too late"
    assert told(ledger(0, 1, 2, 6), 6).lost == 0


def test_a_follow_up_keeps_the_day_and_is_no_half_of_a_double() -> None:
    follow = Practised(at("2026-11-06T19:05", BERLIN), BERLIN, followup=True)
    assert told([*ledger(0, 1, 2, 4), follow], 4).count == 1
    assert told([*ledger(0, 1, 2, 3), follow], 4).count == 5


def test_a_repaired_streak_goes_on_earning_where_it_was() -> None:
    back = told(ledger(0, 1, 2, 3, 4, 6, 6), 6)
    assert (back.count, back.held) == (6, 0)
    assert told(ledger(0, 1, 2, 3, 4, 6, 6, 7), 7).held == 1


def test_rest_days_and_pauses_break_nothing_and_practice_on_them_counts() -> None:
    weekend = mark(0, MarkKind.REST, "56")
    assert told(ledger(0, 1, 2, 3, 4, 7), 7, weekend).count == 6
    assert told(ledger(0, 1, 2, 3, 4, 5, 7), 7, weekend).count == 7
    assert told(ledger(0, 1, 2, 3, 4, 7), 7, weekend, mark(5, MarkKind.REST, "")).count == 1, "no longer a rest day"
    assert told(ledger(0, 1, 7), 7, mark(2, MarkKind.PAUSED, str(MONDAY + timedelta(days=7)))).count == 3
    assert told(ledger(0, 1, 8), 8, mark(2, MarkKind.PAUSED, str(MONDAY + timedelta(days=7)))).count == 1
    assert told(ledger(0, 1, 30), 30, mark(2, MarkKind.PAUSED)).count == 3
    assert told(ledger(0, 1, 5, 6), 6, mark(2, MarkKind.PAUSED), mark(4, MarkKind.RESUMED)).count == 4
    assert told(ledger(0, 1, 6), 6, mark(2, MarkKind.PAUSED), mark(4, MarkKind.RESUMED)).count == 1


def test_a_day_on_which_the_coach_failed_is_excused() -> None:
    assert told(ledger(0, 1, 3), 3, mark(3, MarkKind.EXCUSED, str(MONDAY + timedelta(days=2)))).count == 3


# ---------------------------------------------------------------------------------------------- clocks and travel


@pytest.mark.parametrize(
    ("replies", "marks", "today", "count"),
    [
        # Both edges of summer time in Berlin: 23 and 25 hours, replies in the first and the last minute.
        ([("2026-03-28T23:59", BERLIN), ("2026-03-29T00:01", BERLIN), ("2026-03-30T00:00", BERLIN)], [], "2026-03-30", 3),
        ([("2026-10-24T00:00", BERLIN), ("2026-10-25T23:59", BERLIN), ("2026-10-26T00:30", BERLIN)], [], "2026-10-26", 3),
        # The zone changes at noon, to where it is later or earlier: it stays one Tuesday.
        ([("2026-11-02T08:00", BERLIN), ("2026-11-03T22:00", TOKYO)], [("2026-11-03T12:00", BERLIN, TOKYO)], "2026-11-03", 2),
        ([("2026-11-02T08:00", BERLIN), ("2026-11-03T22:00", NEW_YORK)], [("2026-11-03T12:00", BERLIN, NEW_YORK)], "2026-11-03", 2),
        ([("2026-11-02T08:00", BERLIN), ("2026-11-04T08:00", TOKYO)], [("2026-11-03T12:00", BERLIN, TOKYO)], "2026-11-04", 1),
        # West over the date line: they take off on Monday evening and land on Wednesday; there was no Tuesday to speak of.
        (
            [("2026-11-02T18:00", LOS_ANGELES), ("2026-11-04T20:00", AUCKLAND)],
            [("2026-11-02T21:00", LOS_ANGELES, AUCKLAND)],
            "2026-11-04",
            2,
        ),
        # East over the date line: Tuesday comes twice and counts once; back on Monday the number does not fall.
        (
            [("2026-11-02T08:00", AUCKLAND), ("2026-11-03T08:00", AUCKLAND)],
            [("2026-11-03T12:00", AUCKLAND, LOS_ANGELES)],
            "2026-11-02",
            2,
        ),
        (
            [("2026-11-03T08:00", AUCKLAND), ("2026-11-03T20:00", LOS_ANGELES), ("2026-11-04T20:00", LOS_ANGELES)],
            [("2026-11-03T12:00", AUCKLAND, LOS_ANGELES)],
            "2026-11-04",
            2,
        ),
        # Samoa had no 30 December 2011.
        ([("2011-12-29T20:00", "Pacific/Apia"), ("2011-12-31T20:00", "Pacific/Apia")], [], "2011-12-31", 2),
        # Before zones were written down, the replies' own zones tell.
        ([("2026-11-02T23:30", LOS_ANGELES), ("2026-11-04T20:00", AUCKLAND)], [], "2026-11-04", 1),
    ],
)
def test_clocks_that_change_and_travel_come_out_as_a_person_would_count(
    replies: list[tuple[str, str]], marks: list[tuple[str, str, str]], today: str, count: int
) -> None:
    entries = [Practised(at(when, zone), zone) for when, zone in replies]
    moves = [Mark("ann", at(when, before), after, MarkKind.ZONE, before) for when, before, after in marks]

    assert streaks.replay(entries, moves, date.fromisoformat(today)).count == count


# ---------------------------------------------------------------------------------------------- told another way


def counted(practised: dict[date, int], neutral: set[date], today: date) -> int:
    """The streak by going back from today, as often as it takes: slow, and written from the rules alone."""

    def state(day: date) -> tuple[int, int]:
        """The streak and the freezes at the end of a day."""
        count = held = 0
        one = min(practised)
        broken: tuple[int, date] | None = None
        while one <= day:
            within = broken is not None and (one - broken[1]).days <= 2
            if one in practised:
                before = count
                if within and broken is not None and practised[one] >= 2:
                    count += broken[0]
                    before, broken = broken[0], None
                count += 1
                held += len([step for step in range(before + 1, count + 1) if step % 7 == 0])
                held = min(held, 2)
            elif one not in neutral and one < today:
                if held:
                    held -= 1
                else:
                    if count and (not within or (broken is not None and (one - broken[1]).days == 2)):
                        broken = (count, one)
                    count = 0
            one += timedelta(days=1)
        return count, held

    return state(max(today, max(practised)))[0] if practised else 0


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.integers(0, 60), st.integers(1, 3), max_size=45),
    st.sets(st.integers(0, 60), max_size=15),
    st.integers(0, 62),
)
def test_the_replay_agrees_with_the_rules_told_another_way(replies: dict[int, int], excused: set[int], today: int) -> None:
    entries = [one for offset, number in replies.items() for one in ledger(*[offset] * number)]
    marks = [mark(offset, MarkKind.EXCUSED, str(MONDAY + timedelta(days=offset))) for offset in excused]
    by_day = {MONDAY + timedelta(days=offset): number for offset, number in replies.items()}
    neutral = {MONDAY + timedelta(days=offset) for offset in excused}

    streak = told(entries, today, *marks)

    assert streak.count == counted(by_day, neutral, MONDAY + timedelta(days=today))
    assert 0 <= streak.held <= streaks.MOST_HELD
    assert streak.count <= streak.longest <= len(replies)
    assert streak.days == () or streak.days[-1].count == streak.count


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000))
def test_the_number_that_is_shown_is_the_one_that_the_ledger_gives(
    library: Library, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Random histories of replies, moves, rests and pauses, told to the coach; then its own rows, read and counted apart."""
    file: Path = tmp_path_factory.mktemp("streak") / "coach.db"
    rng = Random(seed)

    async def history() -> str:
        clock = FakeClock(datetime(2026, 10, 20, 8, tzinfo=UTC))
        async with world(library, file, clock=clock, seed=seed) as home:
            await home.says("/zone Berlin")
            for _ in range(14):
                clock.move(hours=rng.choice((1, 6, 11, 22, 24, 24, 24, 24, 30, 49)), minutes=rng.randrange(60))
                act = rng.random()
                if act < 0.08:
                    await home.says(f"/zone {rng.choice(('Berlin', 'Tokyo', 'New York', 'Auckland', 'Honolulu'))}")
                elif act < 0.14:
                    await home.says(rng.choice(("/rest sat sun", "/rest wed", "/rest off")))
                elif act < 0.2:
                    await home.says(rng.choice(("/pause 3", "/pause", "/resume")))
                else:
                    await home.says("/next precision")
                    await home.says("precision is TP / (TP + FP)")
            await home.says("/streak")
            shown = home.heard
            await home.says("/streak why")
            return f"{shown}\n{home.heard}\n{clock().isoformat()}"

    heard = asyncio.run(history())
    shown = re.search(r"(\d+) days? in a row", heard.splitlines()[0])
    with sqlite3.connect(file) as connection:
        replies = connection.execute("SELECT at, zone, followup FROM practised").fetchall()
        marks = connection.execute("SELECT at, zone, kind, about FROM mark").fetchall()
        zone = connection.execute("SELECT zone FROM learner").fetchone()[0]
    entries = [Practised(at(when), where, bool(followup)) for when, where, followup in replies]
    today = datetime.fromisoformat(heard.splitlines()[-1]).astimezone(ZoneInfo(zone)).date()
    replayed = streaks.replay(entries, [Mark("ann", at(when), where, MarkKind(kind), about) for when, where, kind, about in marks], today)
    assert int(shown.group(1) if shown else 0) == replayed.count
    by_day: dict[date, int] = {}
    for entry in entries:
        day = entry.at.astimezone(ZoneInfo(entry.zone)).date()
        by_day[day] = by_day.get(day, 0) + 1
    neutral = {one.day for one in replayed.days if one.why in (Why.REST, Why.PAUSED, Why.FLOWN, Why.EXCUSED)}
    assert replayed.count == counted(by_day, neutral, today)
    why = heard.split("\n", 1)[1]
    last = re.findall(r"→ (\d+)", why)
    if replayed.count:
        assert int(last[-1]) == replayed.count


# ---------------------------------------------------------------------------------------------- as a conversation


async def test_a_reply_at_the_last_second_counts_for_the_day_it_was_given(library: Library, database: Path) -> None:
    """It was sent at 23:59:59 and graded at 00:00:03."""
    clock = FakeClock(at("2026-11-23T23:30", BERLIN))
    async with world(library, database, clock=clock) as home:
        await home.says("/zone Berlin")
        await home.says("/next precision")
        sent = at("2026-11-23T23:59:59", BERLIN)
        clock.at = sent + timedelta(seconds=4)
        await home.coach.handle(Message("late", home.address, "precision is TP / (TP + FP)", sent))
        await home.says("/streak")
        assert "1 day in a row. Reply once today to keep it." in home.heard


async def test_a_streak_is_kept_by_rest_and_pause_explained_and_repaired(library: Library, database: Path) -> None:
    """A learner's two weeks, as they would live them."""
    clock = FakeClock(at("2026-11-02T19:00", BERLIN))
    async with world(library, database, clock=clock) as home:

        async def practise() -> None:
            await home.says("/next precision")
            await home.says("precision is TP / (TP + FP)")

        await home.says("/daily 09:00 Berlin")
        await home.says("/rest sat, sunday")
        assert "You rest on Saturdays and Sundays" in home.heard
        for _ in range(5):
            await practise()
            clock.move(days=1)
        await home.says("/streak")
        assert home.heard == "5 days in a row. Today it rests."
        await home.says("/daily 09:00")
        assert "on Monday at 09:00" in home.heard, "no question on a rest day"
        clock.move(days=2)
        await practise()
        clock.move(days=2)
        await home.says("/streak")
        assert "Your 6-day streak broke, but you can have it back: answer two questions on one day, by tomorrow." in home.heard
        await practise()
        clock.move(seconds=30)
        await practise()
        await home.says("/streak why")
        assert home.heard.splitlines()[0] == "7 days in a row"
        assert home.heard.splitlines()[2:] == [
            "· Thu 29 Oct: no streak", "· Fri 30 Oct: no streak", "· Sat 31 Oct: no streak", "· Sun 1 Nov: no streak",
            "✅ Mon 2 Nov: 1 reply → 1", "✅ Tue 3 Nov: 1 reply → 2", "✅ Wed 4 Nov: 1 reply → 3", "✅ Thu 5 Nov: 1 reply → 4",
            "✅ Fri 6 Nov: 1 reply → 5", "🌴 Sat 7 Nov: rest day → 5", "🌴 Sun 8 Nov: rest day → 5", "✅ Mon 9 Nov: 1 reply → 6",
            "🔧 Tue 10 Nov: missed, made up by doing double", "✅ Wed 11 Nov: 2 replies, double: your streak is back → 7",
            "", "1 freeze in store: it covers a missed day.",
        ]  # fmt: skip
        await home.says("/pause 5")
        clock.move(days=6)
        await home.says("/streak")
        assert "7 days in a row" in home.heard
        for wrong in ("/rest someday", "/rest daily"):
            await home.says(wrong)
            assert "Which days?" in home.heard or "That is every day" in home.heard
        await home.says("/settings")
        assert "Rest days: Saturday, Sunday" in home.heard
        await home.says("/rest off")
        assert "You have no rest days" in home.heard


async def test_no_question_comes_by_itself_on_a_rest_day(library: Library, database: Path) -> None:
    """The tick looks at every day; what it owes on a Saturday is not asked after all."""
    clock = FakeClock(at("2026-11-06T08:00", BERLIN))
    async with world(library, database, clock=clock) as home:
        await home.says("/daily 09:00 Berlin")
        await home.says("/rest sat sun")
        came = []
        for day in (6, 7, 8, 9):
            clock.at = at(f"2026-11-0{day}T09:00:01", BERLIN)
            await home.coach.deliver_due(["console"])
            while claimed := await home.store.claim(["console"], clock(), 1):
                reply = claimed[0].reply or await home.coach.compose(claimed[0])
                came += [day] if claimed[0].kind == "daily" and reply is not None else []
                await home.store.settle(claimed[0], "sent", clock())
        assert came == [6, 9]
