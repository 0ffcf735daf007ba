"""Rounds, without a platform: who came where, what was missed, when a question is due, and whose reply is in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import days, rounds
from bot.content import Library, Question
from bot.messages import Address, Place, Style
from bot.model import Finding, Grade, Mistaken, Verdict
from bot.phrases import rounds as phrases
from bot.rounds import Entry, Round, Setup, Stage, Total

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday
ADMIN = Address("discord", "1", "1")
SETUP = Setup("discord", "s", "c", ADMIN, minute=9 * 60, zone="Europe/Berlin")


def entry(member: str, score: int | None, *, at: datetime = NOON, missing: tuple[str, ...] = (), wrong: tuple[str, ...] = ()) -> Entry:
    """One that lacks these points and states these misconceptions."""
    verdicts = tuple(Verdict(id, Finding.MISSING) for id in missing)
    mistaken = tuple(Mistaken(id, "words", 0, 5) for id in wrong)
    return Entry("r", member, member.title(), "words", at, Grade(score, verdicts, mistaken, "test 1"))


@pytest.fixture
def question(library: Library) -> Question:
    return library.questions["precision"]


@pytest.fixture
def one(question: Question) -> Round:
    return rounds.opened("r1", Place("s", "c"), "discord", question, 0, NOON, 10, ADMIN)


# ---------------------------------------------------------------------------------------------- who came where


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], []),
        ([80], [1]),
        ([90, 80, 70], [1, 2, 3]),
        ([90, 90, 70], [1, 1, 3]),
        ([90, 80, 80, 80, 10], [1, 2, 2, 2, 5]),
        ([0, 0], [1, 1]),
    ],
)
def test_equal_scores_share_the_better_rank(scores: list[int], expected: list[int]) -> None:
    assert rounds.ranks(scores) == expected


@given(st.lists(st.integers(0, 100), max_size=60))
def test_a_rank_is_one_more_than_the_number_of_those_who_are_better(scores: list[int]) -> None:
    falling = sorted(scores, reverse=True)

    assert rounds.ranks(falling) == [1 + sum(other > score for other in falling) for score in falling]


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 100)), st.integers(0, 600)), max_size=60))
def test_everybody_who_replied_stands_in_the_ranking_once(found: list[tuple[int | None, int]]) -> None:
    entries = [entry(f"m{number}", score, at=NOON + timedelta(seconds=at)) for number, (score, at) in enumerate(found)]
    standing = rounds.standing(entries)

    assert sorted(one.member for _, one in standing) == sorted(one.member for one in entries)
    assert all((rank is None) == (one.score is None) for rank, one in standing)
    scores = [one.score for _, one in standing if one.score is not None]
    assert scores == sorted(scores, reverse=True)
    assert [rank for rank, _ in standing if rank is not None] == rounds.ranks(scores)


def test_of_equals_the_earlier_reply_stands_first() -> None:
    late, early = entry("ann", 70, at=NOON + timedelta(seconds=9)), entry("bob", 70)

    assert [(rank, one.member) for rank, one in rounds.standing([late, early])] == [(1, "bob"), (1, "ann")]


def test_a_reply_without_a_score_stands_last_without_a_rank() -> None:
    assert [(rank, one.member) for rank, one in rounds.standing([entry("ann", None), entry("bob", 0)])] == [(1, "bob"), (None, "ann")]


def test_a_board_ranks_by_points_and_shares_ranks() -> None:
    totals = [Total("a", "Ann", 150, 3), Total("b", "Bob", 190, 2), Total("c", "Cleo", 150, 2)]

    assert [(rank, one.name) for rank, one in rounds.board(totals)] == [(1, "Bob"), (2, "Cleo"), (2, "Ann")]


@pytest.mark.parametrize(
    ("period", "begins"),
    [
        ("week", datetime(2026, 11, 22, 23, 0, tzinfo=UTC)),
        ("month", datetime(2026, 10, 31, 23, 0, tzinfo=UTC)),
        ("all", None),
    ],
)
def test_a_period_begins_at_local_midnight(period: str, begins: datetime | None) -> None:
    assert rounds.since(period, NOON, "Europe/Berlin") == begins


# ---------------------------------------------------------------------------------------------- what was missed


def test_the_point_that_most_missed(question: Question) -> None:
    first, second, *_ = question.points
    entries = [entry("a", 50, missing=(second.id,)), entry("b", 40, missing=(first.id, second.id)), entry("c", 90)]

    assert rounds.most_missed(question, entries) == (second, 2)


def test_of_points_missed_as_often_a_core_one_is_named(question: Question) -> None:
    core = next(point for point in question.points if point.core)
    other = next(point for point in question.points if not point.core)
    entries = [entry("a", 50, missing=(other.id, core.id)), entry("b", 60)]

    assert rounds.most_missed(question, entries) == (core, 1)


def test_the_commonest_misconception(question: Question) -> None:
    first, second, *_ = question.misconceptions
    entries = [entry("a", 9, wrong=(second.id,)), entry("b", 9, wrong=(second.id, first.id)), entry("c", 9, wrong=("no-longer-there",))]

    assert rounds.commonest_mistake(question, entries) == (second, 2)


def test_nothing_is_said_of_what_one_member_alone_missed(question: Question) -> None:
    """Everybody would know whose it is; the others' replies may have no score."""
    alone = entry("a", 10, missing=(question.points[0].id,), wrong=(question.misconceptions[0].id,))
    for entries in ([alone], [alone, entry("b", None, missing=(question.points[0].id,))]):
        assert rounds.most_missed(question, entries) is None
        assert rounds.commonest_mistake(question, entries) is None


def test_nothing_is_missed_where_all_was_said(question: Question) -> None:
    assert rounds.most_missed(question, [entry("a", 100), entry("b", 100)]) is None
    assert rounds.commonest_mistake(question, [entry("a", 100), entry("b", 100)]) is None


@given(st.lists(st.tuples(st.integers(0, 100), st.sets(st.integers(0, 5)), st.sets(st.integers(0, 1))), max_size=40))
def test_whatever_was_replied_the_reveal_fits_and_names_nobody_beside_the_ranking(
    library: Library, found: list[tuple[int, set[int], set[int]]]
) -> None:
    question = library.questions["precision"]
    one = rounds.opened("r1", Place("s", "c"), "discord", question, 0, NOON, 10, ADMIN)
    entries = [
        entry(f"member{number}x", score, missing=tuple(question.points[i % len(question.points)].id for i in missing),
              wrong=tuple(question.misconceptions[i].id for i in wrong))
        for number, (score, missing, wrong) in enumerate(found)
    ]  # fmt: skip
    hidden = frozenset(one.member for one in entries[::3])
    missed, mistake = rounds.most_missed(question, entries), rounds.commonest_mistake(question, entries)
    text = phrases.reveal(one, question, rounds.standing(entries), hidden, missed, mistake).text

    assert len(text) < 3500
    assert not any(name.title() in text for name in hidden)
    assert all(text.count(entry.name) <= 1 for entry in entries)
    assert text.count(phrases.NAMELESS) <= len(hidden)
    for _, count in filter(None, (missed, mistake)):
        assert 1 <= count <= len(entries)


# ---------------------------------------------------------------------------------------------- the life of a round


@pytest.mark.parametrize(
    ("stage", "seconds", "taken"),
    [
        (Stage.OPEN, 0, True),
        (Stage.OPEN, 599.9, True),
        (Stage.OPEN, 600, False),
        (Stage.CLOSING, 599.9, True),
        (Stage.CLOSING, 601, False),
        (Stage.REVEALED, 599.9, False),
        (Stage.CALLED_OFF, 1, False),
    ],
)
def test_a_reply_is_taken_by_the_time_at_which_it_was_sent(one: Round, stage: Stage, seconds: float, taken: bool) -> None:
    """What came in time may be handled after the close; once the answer is out nothing is taken."""
    assert replace(one, stage=stage).takes(NOON + timedelta(seconds=seconds)) is taken


def test_a_round_closes_when_it_says(one: Round, library: Library, question: Question) -> None:
    posted = phrases.opened(one, question, library, daily=False, calls="77")

    assert one.due_at == one.closes_at == NOON + timedelta(minutes=10)
    assert [span.text for span in posted.spans if span.style is Style.MOMENT] == ["2026-11-23 12:10:00 UTC"]
    assert posted.calls == "77" and [(c.label, c.asks) for row in posted.choices for c in row] == [("Answer", True)]


def test_a_server_is_asked_what_it_was_not_asked_before(library: Library) -> None:
    asked = {id: NOON for id in library.questions if id != "precision"}

    chosen = rounds.choose(library, frozenset(), None, asked, Random(1))
    assert chosen is not None and chosen.id == "precision"


def test_when_all_was_asked_the_oldest_comes_again(library: Library) -> None:
    asked = {id: NOON for id in library.questions} | {"precision": NOON - timedelta(days=1)}

    chosen = rounds.choose(library, frozenset(), 5, asked, Random(1))
    assert chosen is not None and chosen.id == "precision"


@pytest.mark.parametrize("level", [None, 1, 5])
def test_topics_and_level_are_kept_to(library: Library, level: int | None) -> None:
    section = library.sections()[0]
    levels = [one.level for one in library.about(section)]
    for seed in range(20):
        chosen = rounds.choose(library, frozenset([section]), level, {}, Random(seed))
        assert chosen is not None and chosen.section == section
        if level is not None:
            assert abs(chosen.level - level) == min(abs(one - level) for one in levels)
    assert rounds.choose(library, frozenset(["no-such"]), level, {}, Random(1)) is None


# ---------------------------------------------------------------------------------------------- days and due times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("daily", "0123456"),
        ("Every day", "0123456"),
        ("weekdays", "01234"),
        ("weekends", "56"),
        ("mon-fri", "01234"),
        ("Mon – Wed", "012"),
        ("friday to monday", "0456"),
        ("mon, wed, fri", "024"),
        ("tue and thu", "13"),
        ("sat/sun", "56"),
        ("Thurs", "3"),
        ("mon wed-thu", "023"),
        ("", ""),
        ("m", ""),
        ("mon-", ""),
        ("someday", ""),
        ("mon-wed-fri", ""),
    ],
)
def test_weekdays_as_people_write_them(text: str, expected: str) -> None:
    found = rounds.weekdays(text)

    assert "".join(str(day) for day in sorted(found or ())) == expected
    assert (found is None) == (expected == "")


@given(st.text(max_size=40))
def test_any_text_is_days_or_none(text: str) -> None:
    found = rounds.weekdays(text)
    assert found is None or (found and found <= frozenset(range(7)))


@given(
    st.frozensets(st.integers(0, 6), min_size=1),
    st.integers(0, 1439),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe"]),
    st.integers(0, 2 * 365 * 24 * 60),
)
def test_the_next_time_is_ahead_and_on_one_of_the_days(chosen: frozenset[int], minute: int, zone: str, ahead: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=ahead)
    due = rounds.scheduled(replace(SETUP, days=chosen, minute=minute, zone=zone), now).next_due_at

    assert due is not None and now < due <= now + timedelta(days=9)
    assert days.local_day(due, zone).weekday() in chosen


def test_off_is_never_due() -> None:
    assert rounds.scheduled(replace(SETUP, minute=None), NOON).next_due_at is None
    assert rounds.slot(replace(SETUP, minute=None, next_due_at=NOON), NOON) == (None, replace(SETUP, minute=None))


def test_a_due_time_that_has_come_owes_its_day_and_moves_on() -> None:
    due = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    day, moved = rounds.slot(replace(SETUP, days=frozenset([0, 2]), next_due_at=due), due + timedelta(seconds=1))

    assert day == date(2026, 11, 23)
    assert moved.next_due_at == datetime(2026, 11, 25, 8, 0, tzinfo=UTC)


def test_after_days_without_a_coach_only_todays_question_is_owed() -> None:
    due = datetime(2026, 11, 16, 8, 0, tzinfo=UTC)
    day, moved = rounds.slot(replace(SETUP, next_due_at=due), NOON)

    assert day == date(2026, 11, 23)
    assert moved.next_due_at == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "next_due"),
    [
        (datetime(2026, 11, 25, 12, 0, tzinfo=UTC), datetime(2026, 11, 30, 8, 0, tzinfo=UTC)),  # not one of its days
        (datetime(2026, 11, 30, 7, 0, tzinfo=UTC), datetime(2026, 11, 30, 8, 0, tzinfo=UTC)),  # its time is still to come
    ],
)
def test_a_day_that_was_missed_is_not_made_up_for(now: datetime, next_due: datetime) -> None:
    setup = replace(SETUP, days=frozenset([0]), next_due_at=datetime(2026, 11, 23, 8, 0, tzinfo=UTC))

    assert rounds.slot(setup, now) == (None, replace(setup, next_due_at=next_due))
