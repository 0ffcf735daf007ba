"""When the coach speaks on its own: every clock change of two years, lateness, quiet hours and a crowded minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from bot import days, timing
from bot.messages import Address
from bot.model import Lately, Learner, Memory, Past

BERLIN = "Europe/Berlin"
NINE = 540


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _transitions() -> list[tuple[str, datetime, timedelta, timedelta]]:
    """Each change of a clock in 2026 and 2027 once, however many zones make it: where, when, and the offsets before and after."""
    found: dict[tuple[datetime, timedelta, timedelta], str] = {}
    for zone in sorted(available_timezones()):
        tz = ZoneInfo(zone)
        instant = datetime(2026, 1, 1, tzinfo=UTC)
        offset = instant.astimezone(tz).utcoffset()
        while instant < datetime(2028, 1, 1, tzinfo=UTC):
            later = instant + timedelta(days=7)
            if later.astimezone(tz).utcoffset() != offset:
                low, high = instant, later
                while high - low > timedelta(minutes=1):
                    middle = low + (high - low) / 2
                    low, high = (middle, high) if middle.astimezone(tz).utcoffset() == offset else (low, middle)
                exact = high.replace(second=0, microsecond=0)
                after = later.astimezone(tz).utcoffset()
                assert offset is not None and after is not None
                found.setdefault((exact, offset, after), zone)
                offset = after
            instant = later
    return [(zone, *key) for key, zone in found.items()]


def test_no_local_day_is_without_a_question_and_none_has_two_whatever_the_clocks_do() -> None:
    """Every change of two years, for a question at every quarter of an hour: from three days before to three days after."""
    cases = 0
    for zone, instant, _, _ in _transitions():
        first = days.local_day(instant, zone) - timedelta(days=3)
        for minute in range(0, 1440, 15):
            asked: list[date] = []
            due = days.next_due(minute, zone, days.at_local(first, minute, zone) - timedelta(seconds=1))
            while days.local_day(due, zone) < first + timedelta(days=7):
                slot = timing.slot(due, minute, zone, due + timedelta(seconds=1))
                assert slot.day is not None and slot.excused == ()
                asked.append(slot.day)
                due = slot.following
            assert asked == [first + timedelta(days=n) for n in range(7)], (zone, instant, minute)
            cases += 1

    assert cases >= 11_520


def test_a_day_that_a_zone_leaves_out_has_no_question_and_the_others_have_one() -> None:
    """Samoa went from 29 to 31 December 2011."""
    due, asked = days.next_due(NINE, "Pacific/Apia", at("2011-12-27T00:00")), []
    for _ in range(6):
        slot = timing.slot(due, NINE, "Pacific/Apia", due)
        asked.append(str(slot.day))
        due = slot.following

    assert asked == ["2011-12-27", "2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01", "2012-01-02"]


@pytest.mark.parametrize(
    ("late", "day", "excused"),
    [
        (timedelta(0), "2026-11-23", []),
        (timedelta(hours=3), "2026-11-23", []),
        (timedelta(hours=3, seconds=1), None, ["2026-11-23"]),
        (timedelta(days=3, hours=1), "2026-11-26", ["2026-11-23", "2026-11-24", "2026-11-25"]),
        (timedelta(days=3, hours=4), None, ["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26"]),
        (timedelta(days=2, hours=23), None, ["2026-11-23", "2026-11-24", "2026-11-25"]),  # today's is still to come
    ],
)
def test_up_to_three_hours_late_it_is_asked_and_later_the_day_is_excused(late: timedelta, day: str | None, excused: list[str]) -> None:
    due = days.at_local(date(2026, 11, 23), NINE, BERLIN)

    slot = timing.slot(due, NINE, BERLIN, due + late)

    assert (str(slot.day) if slot.day else None) == day
    assert [str(one) for one in slot.excused] == excused
    assert slot.following > due + late
    assert days.local_day(slot.following, BERLIN) not in (slot.day, *slot.excused)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-23T20:59", None),
        ("2026-11-23T21:00", "2026-11-24T07:00"),
        ("2026-11-23T23:30", "2026-11-24T07:00"),
        ("2026-11-24T06:59", "2026-11-24T07:00"),
        ("2026-11-24T07:00", None),
        ("2026-03-28T22:00", "2026-03-29T06:00"),  # the night in which an hour is missing
    ],
)
def test_it_is_quiet_from_22_to_8_where_the_learner_lives(now: str, until: str | None) -> None:
    assert timing.quiet_until(at(now), BERLIN) == (at(until) if until else None)


def test_a_crowded_minute_is_spread_evenly_and_within_the_minute() -> None:
    spread = [timing.jitter(f"learner {n}").total_seconds() for n in range(9000)]

    assert min(spread) >= 0 and max(spread) < 60
    in_each = [sum(1 for one in spread if second <= one < second + 1) for second in range(timing.SPREAD)]
    assert max(in_each) < 2 * 9000 / timing.SPREAD
    assert timing.jitter("ann") == timing.jitter("ann")


def test_unanswered_days_are_local_days_with_a_question_since_the_last_reply() -> None:
    asked = tuple(Lately("q1", at(f"2026-11-{when}:00")) for when in ("20T08", "21T08", "22T22", "22T23"))

    assert timing.unanswered(Memory(None, lately=asked), "UTC") == 3
    assert timing.unanswered(Memory(None, lately=asked), BERLIN) == 4  # 23:00 and midnight of two days
    answered = Memory(None, past=(Past("q0", at("2026-11-21T09:00"), 50),), lately=asked)
    assert timing.unanswered(answered, "UTC") == 1


HOME = Address("paper", "ann", "ann")


@pytest.mark.parametrize(
    ("changed", "now", "due"),
    [
        # A minute before nine in Berlin the learner says that they are in Helsinki, where it is a minute to ten.
        ({"zone": "Europe/Helsinki"}, "2026-11-23T07:59", "2026-11-23T08:00"),
        # Just after it was asked: the next one is tomorrow's, by the new clock.
        ({"zone": "Europe/Helsinki", "next_due_at": at("2026-11-24T08:00")}, "2026-11-23T08:01", "2026-11-24T07:00"),
        # To the west, before: it comes later today.
        ({"zone": "America/New_York"}, "2026-11-23T07:59", "2026-11-23T14:00"),
        # From 18:00 to 09:00 at noon: today's still comes at 18:00.
        ({"minute": NINE, "next_due_at": at("2026-11-23T17:00")}, "2026-11-23T11:00", "2026-11-23T17:00"),
        # A pause that begins today holds back today's as well.
        ({"paused_until": date(2026, 11, 25)}, "2026-11-23T07:00", "2026-11-25T08:00"),
        ({"minute": None}, "2026-11-23T07:00", None),
    ],
)
def test_a_change_just_before_or_after_the_minute_costs_no_day_its_question(changed: dict[str, object], now: str, due: str | None) -> None:
    before = {"zone": BERLIN, "minute": NINE, "next_due_at": at("2026-11-23T08:00")}
    learner = Learner("l1", at("2026-11-01T00:00"), HOME, **(before | changed))  # type: ignore[arg-type]

    assert days.scheduled(learner, at(now)).next_due_at == (at(due) if due else None)
