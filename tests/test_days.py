"""Days and due times, over real zones and their odd hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import days, zones

BERLIN = "Europe/Berlin"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "minute", "zone", "expected"),
    [
        (date(2026, 7, 1), 540, BERLIN, "2026-07-01T07:00"),
        (date(2026, 12, 1), 540, BERLIN, "2026-12-01T08:00"),
        (date(2026, 3, 29), 150, BERLIN, "2026-03-29T01:30"),  # 02:30 is skipped: the clock shows 03:30
        (date(2026, 10, 25), 150, BERLIN, "2026-10-25T00:30"),  # 02:30 comes twice: the first
        (date(2026, 4, 24), 15, "Africa/Cairo", "2026-04-23T22:15"),  # 00:15 is skipped: 01:15 of the same day
        (date(2026, 3, 28), 23 * 60 + 30, "America/Nuuk", "2026-03-29T00:59"),  # 23:00 to midnight is skipped: the minute before
    ],
)
def test_a_local_time_becomes_an_instant_on_its_own_day(day: date, minute: int, zone: str, expected: str) -> None:
    instant = days.at_local(day, minute, zone)

    assert at(expected) == instant
    assert day == days.local_day(instant, zone)


def _transitions() -> list[tuple[str, date]]:
    found = []
    for zone in (BERLIN, "America/New_York", "Africa/Cairo", "America/Nuuk", "Asia/Beirut", "America/Havana"):
        tz, day = ZoneInfo(zone), date(2026, 1, 1)
        while day < date(2028, 1, 1):
            noon = datetime(day.year, day.month, day.day, 12, tzinfo=tz)
            if noon.utcoffset() != (noon - timedelta(days=1)).replace(tzinfo=tz).utcoffset():
                found.append((zone, day))
            day += timedelta(days=1)
    return found


@pytest.mark.parametrize(("zone", "day"), _transitions())
def test_no_day_without_a_question_and_none_with_two_around_a_clock_change(zone: str, day: date) -> None:
    for minute in range(0, 1440, 15):
        now = days.at_local(day - timedelta(days=2), minute, zone)
        asked = []
        due = days.next_due(minute, zone, now)
        while (local := days.local_day(due, zone)) <= day + timedelta(days=2):
            owed, due_after = days.slot(due, minute, zone, due)
            assert owed == local
            asked.append(local)
            due = due_after
        assert asked == [day + timedelta(days=offset) for offset in range(-1, 3)], minute


def test_after_a_week_offline_one_question_is_owed_and_it_is_todays() -> None:
    due = days.at_local(date(2026, 11, 16), 540, BERLIN)

    owed, following = days.slot(due, 540, BERLIN, NOW)

    assert date(2026, 11, 23) == owed
    assert at("2026-11-24T08:00") == following


def test_after_a_week_offline_nothing_is_owed_before_todays_time() -> None:
    due = days.at_local(date(2026, 11, 16), 18 * 60, BERLIN)

    owed, following = days.slot(due, 18 * 60, BERLIN, NOW)

    assert owed is None
    assert at("2026-11-23T17:00") == following


@pytest.mark.parametrize(
    ("text", "minute"),
    [("9", 540), ("09:00", 540), ("9pm", 1260), ("21.30", 1290), ("0930", 570), ("noon", 720), ("12 am", 0), ("12:30pm", 750),
     ("7 am", 420), ("25:00", None), ("9:61", None), ("13pm", None), ("soon", None), ("", None)],
)  # fmt: skip
def test_times_of_day_as_people_write_them(text: str, minute: int | None) -> None:
    assert minute == days.minute_of(text)


@pytest.mark.parametrize(
    ("text", "first"),
    [("berlin", BERLIN), ("Europe/Berlin", BERLIN), ("IST", "Asia/Kolkata"), ("UTC+5:30", "Asia/Kolkata"),
     ("Amercia/New York", "America/New_York"), ("munich", BERLIN), ("londn", "Europe/London"), ("sf", "America/Los_Angeles"),
     ("Paris, France", "Europe/Paris"),
     ("germany", BERLIN),
     ("gmt-3", "America/Sao_Paulo"), ("utc", "UTC"), ("eastern time", "America/New_York"), ("Zürich", "Europe/Zurich"),
     ("brazil", "America/Sao_Paulo")],
)  # fmt: skip
def test_zones_as_people_write_them(text: str, first: str) -> None:
    found = zones.find(text, NOW)

    assert first == found[0]
    assert len(found) <= 6


@pytest.mark.parametrize("text", ["xyzzy", "", "UTC+99", "   ", "a" * 500, "+5:75"])
def test_what_is_no_zone_finds_none(text: str) -> None:
    assert zones.find(text, NOW) == ()


@given(st.text(max_size=80))
def test_any_text_at_all_finds_zones_that_exist(text: str) -> None:
    for zone in zones.find(text, NOW):
        assert ZoneInfo(zone)
