"""The engine by itself: what it makes of every message, what it asks, and that all it says fits a phone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import ANN, MONDAY, World, packs, world

from bot import commands, phrases
from bot.commands import COMMANDS, Called, Plain, Unknown, clean, understand
from bot.content import Library, Question, load
from bot.messages import Address, Choice, Reply
from bot.model import (
    Asked,
    Attempt,
    Finding,
    Grade,
    Learner,
    Mistaken,
    Occasion,
    Verdict,
)

GOOD = "precision is TP / (TP + FP): of everything we flagged, the share that really is positive"
GROUP = Address("telegram", "ann", "-100")


@pytest.fixture
async def home(library: Library, database: Path) -> AsyncIterator[World]:
    async with world(library, database) as somewhere:
        yield somewhere


async def _says(home: World, *texts: str) -> str:
    """Says one after another, half a minute apart; what is heard last."""
    for text in texts:
        home.clock.move(seconds=30)
        await home.says(text)
    return home.heard


def _labels(replies: Iterable[Reply]) -> list[str]:
    return [choice.label for reply in replies for row in reply.choices for choice in row]


async def _learner(home: World) -> Learner:
    learner = (await home.store.recall(home.address)).learner
    assert learner is not None
    return learner


# ---------------------------------------------------------------------------------------------- what a text means


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("/next", Called("next", "")),
        ("/NEXT  data\n leakage ", Called("next", "data leakage")),
        ("/next@coach_bot recall", Called("next", "recall")),
        ("/hnit", Unknown("hnit", "hint")),
        ("/prog", Unknown("prog", "progress")),
        ("/xyzzy", Unknown("xyzzy", "")),
        ("/etc/passwd is a file", Plain("/etc/passwd is a file")),
        ("/ 2 of them", Plain("/ 2 of them")),
        ("next", Plain("next")),
        ("/mu " + "is the mean " * 10, Plain(("/mu " + "is the mean " * 10).strip())),
        ("a\u0000b\u200b\r\nc", Plain("ab\nc")),
        ("\ud800", Plain("")),
    ],
)
def test_what_a_text_means(text: str, meaning: object) -> None:
    assert understand(clean(text)) == meaning


@given(st.text(max_size=300))
def test_every_text_means_something(text: str) -> None:
    meaning = understand(clean(text))

    assert isinstance(meaning, Called | Unknown | Plain)
    clean(text).encode()


def test_every_command_has_a_handler_and_a_short_summary(home: World) -> None:
    assert {command.name for command in COMMANDS} == set(home.coach._handlers)
    for command in COMMANDS:
        assert 3 <= len(command.summary) <= 60
        assert not command.summary.endswith(".")


# ---------------------------------------------------------------------------------------------- set-up


async def test_three_taps_reach_the_first_question(home: World) -> None:
    """The welcome is three lines; the first button of each step is a sensible default."""
    (welcome,) = await home.says("/start")
    assert welcome.text.count("\n") == 2

    for _ in range(3):
        await home.says(home.hears[-1].choices[0][0].text)

    assert home.heard.startswith("Question · ")
    learner = await _learner(home)
    assert (learner.zone, learner.minute, learner.tracks, learner.level, learner.expecting) == ("Europe/London", 540, frozenset(), 3, "")
    assert learner.next_due_at == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


async def test_the_zones_offered_first_are_those_of_the_persons_language(home: World) -> None:
    await home.says("hallo", language="de-AT")

    assert home.heard.startswith("Hello, I am your interview coach.")
    assert _labels(home.hears)[:3] == ["Berlin", "Vienna", "Zurich"]


@pytest.mark.parametrize(
    ("said", "tracks", "level"),
    [
        (["everything", "senior"], set(), 3),
        (["data science", "1"], {"data-science"}, 1),
        (["Machine Learning and production", "staff"], {"ml", "production"}, 4),
        (["ai engineer", "nonsense", "Principal"], {"ai-engineer"}, 5),
        (["astrology", "ml", "2"], {"ml"}, 2),
        (["system design 5"], {"ml-system-design"}, 5),
    ],
)
async def test_interviews_and_level_may_be_typed(home: World, said: list[str], tracks: set[str], level: int) -> None:
    heard = await _says(home, "/start", "Berlin", "8 am", *said)

    assert heard.startswith("Question · ")
    learner = await _learner(home)
    assert (learner.tracks, learner.level) == (tracks, level)


async def test_a_step_of_the_set_up_tapped_twice_or_out_of_turn_does_not_end_it(home: World) -> None:
    await _says(home, "/start", "/zone Europe/Berlin")
    assert "When shall the daily question come?" in await _says(home, "/zone Europe/Berlin")
    assert "What are you preparing for?" in await _says(home, "/daily 07:30")
    assert "What are you preparing for?" in await _says(home, "/daily 07:30")
    assert "When shall the daily question come?" in await _says(home, "/zone Europe/Paris")
    await _says(home, "/daily 07:30", "/track ml")
    assert "And at which level?" in await _says(home, "/track ml")
    assert (await _says(home, "/level 4")).startswith("Question · ")
    learner = await _learner(home)
    assert (learner.zone, learner.minute, learner.tracks, learner.level) == ("Europe/Paris", 450, {"ml"}, 4)


async def test_the_last_tap_of_the_set_up_made_twice_asks_one_question(home: World) -> None:
    await _says(home, "/start", "Berlin", "/daily 09:00", "/track all 3")
    home.clock.move(seconds=1)

    assert "Your question is just above" in (await home.says("/track all 3"))[0].text
    assert len((await home.store.recall(ANN)).asked_lately) == 1


async def test_a_time_with_a_place_sets_both(home: World) -> None:
    assert "What are you preparing for?" in await _says(home, "/start", "/daily 7:30 pm Berlin")
    learner = await _learner(home)
    assert (learner.zone, learner.minute) == ("Europe/Berlin", 1170)


async def test_a_time_before_the_zone_asks_for_the_zone(home: World) -> None:
    heard = await _says(home, "/start", "/daily 7:30 pm")
    assert "Where are you? Tap, or type your city." in heard
    assert "When shall the daily question come?" in await _says(home, "lisbon")


async def test_starting_again_goes_through_the_whole_set_up_and_keeps_what_was_learned(home: World) -> None:
    await _says(home, "/next precision", GOOD)
    await _says(home, "/start", "Tokyo", "9", "all")
    assert "And at which level?" in home.heard
    assert (await _says(home, "junior")).startswith("Question · ")
    assert len((await home.store.recall(ANN)).past) == 1


async def test_cancel_leaves_the_set_up(home: World) -> None:
    assert "The set-up is over" in await _says(home, "/start", "/cancel")
    assert "No question is open" in await _says(home, "Berlin")


async def test_one_setting_by_itself(home: World) -> None:
    await _says(home, "/next precision")
    assert "Where are you?" in await _says(home, "/zone")
    assert "Your zone is Lisbon" in await _says(home, "lisbon")
    assert "When shall the daily question come?" in await _says(home, "/daily")
    assert "every day at 18:15, Lisbon time" in await _says(home, "18:15")
    assert "/100" in await _says(home, GOOD)


async def test_a_reply_to_the_open_question_is_not_taken_for_a_place_or_a_time(home: World) -> None:
    await _says(home, "/next precision", "/zone")
    assert "/100 · Precision" in await _says(home, GOOD)
    await _says(home, "/next recall", "/daily")
    assert "/100 · " in await _says(home, "the share of real positives that we found, TP / (TP + FN)")
    await _says(home, "/next precision", "/zone", "/hint")
    assert "/100 · Precision" in await _says(home, "TP / (TP + FP)")


async def test_a_setting_that_is_cancelled_leaves_the_question_open(home: World) -> None:
    await _says(home, "/next precision", "/zone")
    assert "Everything stays as it was" in await _says(home, "/cancel")
    assert "/100" in await _says(home, GOOD)


# ---------------------------------------------------------------------------------------------- every command


@pytest.mark.parametrize(
    ("command", "before", "after"),
    [
        ("/start", "Hello, I am your interview coach.", "Hello, I am your interview coach."),
        ("/next", "Question · ", "Question · "),
        ("/next recall", "Question · Model evaluation", "Question · Model evaluation"),
        ("/hint", "No question is open right now", "Hint 1: "),
        ("/skip", "No question is open right now", "Skipped."),
        ("/answer", "No question is open right now", "Model answer"),
        ("/daily", "UTC, where it is", "UTC, where it is"),
        ("/daily 09:00 Berlin", "Your question comes every day at 09:00, Berlin time", "Your question comes every day at 09:00"),
        ("/daily off", "No daily question any more", "No daily question any more"),
        ("/snooze 2h", "Nothing is waiting for you now", "Fine. I'll ask again at 14:"),
        ("/snooze", "For how long?", "For how long?"),
        ("/pause", "Paused. I ask nothing on my own", "Paused. I ask nothing on my own"),
        ("/pause 5", "Paused. Your daily question is back on Saturday", "Paused. Your daily question is back on Saturday"),
        ("/pause 366", "How many days?", "How many days?"),
        ("/pause 0", "How many days?", "How many days?"),
        ("/resume", "Welcome back.", "Welcome back."),
        ("/interview", "When is your interview?", "When is your interview?"),
        ("/rest", "You have no rest days", "You have no rest days"),
        ("/topics", "What I ask about", "What I ask about"),
        ("/progress", "Nothing graded yet", "Nothing graded yet"),
        ("/streak", "No streak yet", "No streak yet"),
        ("/week", "There is no week to look back on yet", "There is no week to look back on yet"),
        ("/flag", "There is no question and no grade to flag yet", "What is wrong with it?"),
        ("/flagged", "There is no question and no grade to flag yet", "There is no question and no grade to flag yet"),
        ("/appeal", "There is no grade to talk about yet", "There is no grade to talk about yet"),
        ("/link", "In your other chat with me", "In your other chat with me"),
        ("/unlink", "This chat is not linked", "This chat is not linked"),
        ("/quiz", "A quiz belongs in a server", "A quiz belongs in a server"),
        ("/mock", "Mock interview", "Mock interview"),
        ("/report", "No mock interview yet", "No mock interview yet"),
        ("/incident", "Incidents", "Incidents"),
        ("/conclude", "That incident is over", "That incident is over"),
        ("/sure", "You know the grade of that one already", "You know the grade of that one already"),
        ("/voice", "Voice", "Voice"),
        ("/voice on", "I have no voice here", "I have no voice here"),
        ("/heard", "I keep your latest voice note only", "I keep your latest voice note only"),
        ("/settings", "Your settings", "Your settings"),
        ("/export", "All that I keep of you", "All that I keep of you"),
        ("/forget", "Forget everything?", "Forget everything?"),
        ("/help", "How this works", "How this works"),
        ("/cancel", "There is nothing to cancel", "The question is closed"),
        ("/deeper", "I have no further question", "I have no further question"),
        ("/zone", "Where are you?", "Where are you?"),
        ("/track", "What are you preparing for?", "What are you preparing for?"),
        ("/level", "And at which level?", "And at which level?"),
        ("/redo precision", "Question · Model evaluation", "Question · Model evaluation"),
    ],
)
async def test_every_command_without_and_with_a_question_open(home: World, command: str, before: str, after: str) -> None:
    await home.says("/help")
    assert (await _says(home, command)).startswith(before)
    home.address = Address("console", "bob", "bob")
    assert (await _says(home, "/next precision", command)).startswith(after)


def test_every_command_is_in_the_table_above() -> None:
    marks = [mark for mark in test_every_command_without_and_with_a_question_open.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]

    assert {row[0].split()[0][1:] for row in marks[0].args[1]} == {command.name for command in COMMANDS}


async def test_help_lists_every_listed_command_as_it_is_written_in_the_table(home: World) -> None:
    await home.says("/help")

    assert "/topics - What I can ask about" in home.heard
    assert all(f"/{command.name}" in home.heard for command in COMMANDS if command.listed)
    assert not any(f"/{command.name} " in home.heard for command in COMMANDS if not command.listed)


# ---------------------------------------------------------------------------------------------- asking and answering


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("precision", "precision"),
        ("Precision", "precision"),
        ("precison", "precision"),
        ("bias variance tradeoff", "bias-variance"),
        ("random forrest", "random-forest"),
        ("confusion matirx", "confusion-matrix"),
        ("data leakage", None),
        ("drift", None),
        ("evaluation", "evaluation"),
        ("model evaluation", "evaluation"),
        ("mlops", "mlops"),
        ("deep lerning", "deep-learning"),
        ("real world scenarios", "scenarios"),
        ("quantum gastronomy", ""),
    ],
)
async def test_a_topic_by_whatever_name(home: World, name: str, asks: str | None) -> None:
    """A question's id or title, or a section's; None: any question whose prompt or answer speaks of it."""
    heard = await _says(home, f"/next {name}")
    if asks == "":
        assert heard.startswith("I have nothing on quantum gastronomy")
        return
    opened = (await home.store.recall(ANN)).open
    assert opened is not None
    question = home.library.questions[opened.question]
    assert asks in (question.id, question.section) or (asks is None and name.split()[-1] in f"{question.prompt} {question.answer}".lower())


async def test_next_tapped_twice_asks_once_whatever_was_asked_for(home: World) -> None:
    for text in ("/next", "/next recall", "/next mlops"):
        home.clock.move(seconds=30)
        await home.says(text)
        home.clock.move(seconds=1)
        assert "Your question is just above" in (await home.says(text))[0].text

    assert len((await home.store.recall(ANN)).asked_lately) == 3


async def test_two_replies_within_a_second_are_one_attempt(home: World) -> None:
    """Somebody who sends a thought in two messages is told so, and may take the question again."""
    await _says(home, "/next precision")
    home.clock.move(seconds=20)
    await home.says("precision is TP / (TP + FP)")
    home.clock.move(milliseconds=800)
    await home.says("and it says nothing about what was missed")

    assert home.heard.startswith("I had graded your first message when this one came")
    assert len((await home.store.recall(ANN)).past) == 1
    await home.taps("Take it again")
    assert home.heard.startswith("Question · Model evaluation")


async def test_the_same_message_delivered_twice_answers_once(home: World) -> None:
    await home.says("/next precision", key="a")
    assert await home.says(GOOD, key="b")
    assert await home.says(GOOD, key="b") == ()
    assert len((await home.store.recall(ANN)).past) == 1


async def test_buttons_of_a_question_that_is_closed(home: World) -> None:
    """A month later, or a second time: a sentence, and nothing changes."""
    (asked,) = await home.says("/next precision")
    buttons = [choice.text for row in asked.choices for choice in row]
    await _says(home, GOOD)
    home.clock.move(days=31)

    heard = [await _says(home, text) for text in buttons]

    assert heard[0] == heard[1] == "That question is closed already."
    assert heard[2].startswith("Model answer")
    assert (await home.store.recall(ANN)).open is None


async def test_buttons_of_an_older_question_leave_the_open_one_alone(home: World) -> None:
    (older,) = await home.says("/next precision")
    await _says(home, "/next recall")
    for row in older.choices:
        for choice in row:
            await _says(home, choice.text)

    opened = (await home.store.recall(ANN)).open
    assert opened is not None
    assert opened.question == "recall"


async def test_another_learners_button_does_nothing(home: World) -> None:
    (asked,) = await home.says("/next precision")
    bob = Address("console", "bob", "bob")

    for choice in asked.choices[0]:
        home.clock.move(seconds=30)
        await home.says(choice.text, address=bob)
        assert home.heard in ("That question is closed already.", "No question is open right now. /next asks you one.")

    await home.says("/help")
    assert (await home.store.recall(ANN)).open is not None


async def test_hints_count_and_end(home: World) -> None:
    await _says(home, "/next precision", "/hint", "/hint")
    assert "That was the last hint" in await _says(home, "/hint")
    await _says(home, GOOD)
    attempt = await home.store.last_attempt((await _learner(home)).id)
    assert attempt is not None
    assert attempt.hints == 2


async def test_going_deeper_twice_asks_two_different_follow_ups(home: World) -> None:
    await _says(home, "/next precision", "it is about positives I think")
    assert (await _says(home, "/deeper")).startswith("Follow-up")
    assert "just above" in await _says(home, "/deeper")
    first = (await home.store.recall(ANN)).open
    attempt = first.attempt if first else ""
    await _says(home, "I would not know how to say it")
    assert (await _says(home, f"/deeper {attempt}")).startswith("Follow-up")
    second = (await home.store.recall(ANN)).open
    assert first is not None
    assert second is not None
    assert first.followup != second.followup
    assert "no hint for a follow-up" in await _says(home, "/hint")


async def test_the_model_answer_after_a_grade(home: World) -> None:
    await _says(home, "/next precision", GOOD)
    await home.taps("Model answer")

    assert home.library.questions["precision"].answer[:60] in home.heard


async def test_a_photo_or_nothing_at_all(home: World) -> None:
    await _says(home, "/next precision")
    assert (await home.says("", other="sticker"))[0].text == "I can't read a sticker yet. Please type your reply."
    assert "I need words to grade" in (await home.says(" \u200b\x00 "))[0].text
    assert "/100" in await _says(home, GOOD)


# ---------------------------------------------------------------------------------------------- groups


async def test_in_a_group_commands_work_and_nothing_is_sent_there_every_day(home: World) -> None:
    await home.says("/next precision", address=GROUP, private=False)
    assert home.heard.startswith("Question · ")
    assert "/100" in (await home.says(GOOD, address=GROUP, private=False))[0].text
    assert "write to me in private" in (await home.says("/start", address=GROUP, private=False))[0].text
    home.clock.move(days=2)
    assert await home.coach.deliver_due(["telegram"]) == 0


async def test_a_mention_without_a_question(home: World) -> None:
    await home.says("hello coach", address=GROUP, private=False)

    assert home.heard.startswith("No question is open right now")


async def test_the_daily_question_goes_to_the_private_chat_even_after_a_word_in_a_group(home: World) -> None:
    private = Address("telegram", "ann", "ann")
    await home.says("/daily 09:00 Berlin", address=private)
    await home.says("/streak", address=GROUP, private=False)

    learner = (await home.store.recall(private)).learner
    assert learner is not None
    assert learner.home == private


# ---------------------------------------------------------------------------------------------- pause, progress, streak


async def test_pause_and_resume_move_the_next_question(home: World) -> None:
    await _says(home, "/daily 09:00 Berlin")
    assert (await _learner(home)).next_due_at == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    await _says(home, "/pause 3")
    assert (await _learner(home)).next_due_at == datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
    await _says(home, "/pause")
    assert (await _learner(home)).next_due_at is None
    assert (await _learner(home)).paused_until == date.max
    await _says(home, "/resume")
    assert (await _learner(home)).next_due_at == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


async def test_progress_counts_each_question_by_its_latest_grade(home: World) -> None:
    await _says(home, "/next precision", "something about positives")
    home.clock.move(days=1)
    await _says(home, "/next precision", home.library.questions["precision"].answer)
    await _says(home, "/next recall", "no words about it at all")
    latest = {one.question: one.score for one in (await home.store.recall(ANN)).past}
    mean = sum(score or 0 for score in latest.values()) / 2

    heard = await _says(home, "/progress")

    assert heard.startswith("3 replies graded · 2 days in a row")
    assert f"Model evaluation: {mean:.0f}, a guess from 2 questions" in heard
    assert f"Weakest\n{home.library.questions['recall'].title}: 0\n  ⚪ " in heard


async def test_the_streak_counts_local_days_and_remembers_the_longest(home: World) -> None:
    await _says(home, "/daily 09:00 Tokyo")
    for _ in range(3):
        home.clock.move(days=1)
        await _says(home, "/next precision", GOOD)
    assert await _says(home, "/streak") == "3 days in a row. Today counts already."
    home.clock.move(days=1)
    assert await _says(home, "/streak") == "3 days in a row. Reply once today to keep it."
    home.clock.move(days=1)
    assert (await _says(home, "/streak")).startswith("Your 3-day streak broke")
    home.clock.move(days=2)
    assert await _says(home, "/streak") == "No streak yet: one reply today begins it. Your longest was 3."
    await _says(home, "/next precision", GOOD)
    assert "Your longest was 3." in await _says(home, "/streak")


SMALL = load(Path(__file__).parent / "packs/good").questions["median"]


LIBRARY = packs()
IDS = sorted(LIBRARY.questions)


# ---------------------------------------------------------------------------------------------- everything fits a phone

QUESTION, GRADED, OTHER = 900, 2500, 1200


def _fits(reply: Reply, limit: int) -> None:
    assert 0 < len(reply.text) <= limit, reply.text
    assert not any(line != line.rstrip() for line in reply.text.split("\n")), reply.text
    for row in reply.choices:
        assert 1 <= len(row) <= 5
        for choice in row:
            assert 1 <= len(choice.label) <= 40, choice.label
            assert len(choice.text.encode()) <= 64


def _worst_grades(question: Question) -> list[Grade]:
    """Grades whose messages are as long as they can be, and the usual ones."""
    words = "so um what I would say here is that the thing depends on the data and on the way in which it was collected " * 3
    end = len(words)
    says = {
        finding: tuple(Verdict(point.id, finding, words, 0, end, 1.0 if finding is Finding.COVERED else 0.0) for point in question.points)
        for finding in (Finding.COVERED, Finding.PARTLY, Finding.CONTRADICTED)
    }
    missing = tuple(Verdict(point.id, Finding.MISSING) for point in question.points)
    stated = tuple(Mistaken(one.id, words, 0, end) for one in question.misconceptions)
    one_right = (says[Finding.COVERED][0], *missing[1:])
    return [
        *(Grade(0, verdicts, wrong, "table 1", "cut") for verdicts in (*says.values(), missing, one_right) for wrong in ((), stated)),
        Grade(None, (), (), "table 1", "language"),
        Grade(None, (), (), "table 1"),
    ]


@pytest.mark.parametrize("id", IDS)
def test_everything_about_a_question_fits_a_phone(id: str) -> None:
    question = LIBRARY.questions[id]
    asked = Asked("q" * 12, "l", id, Occasion.DAILY, MONDAY)
    for wording in range(3):
        _fits(phrases.question(replace(asked, wording=wording), question, LIBRARY), QUESTION)
    for number, hint in enumerate(question.hints, 1):
        _fits(phrases.hint(number, hint, asked), OTHER)
    for rubric in (question, *question.followups):
        _fits(phrases.model_answer(rubric), OTHER)
    for followup in question.followups:
        _fits(phrases.follow_up(asked, followup), QUESTION)
    for grade in _worst_grades(question):
        attempt = Attempt("a" * 12, "l", asked.id, id, "", "words", MONDAY, 0, grade)
        for deeper in (True, False):
            _fits(phrases.graded(attempt, question, question.title, deeper=deeper), GRADED)


def test_a_grade_with_seven_points_missing_is_still_read_at_a_glance() -> None:
    """The score first, one line a point, and one thing to add."""
    question = next(one for one in LIBRARY.questions.values() if len(one.points) == 8)
    grade = _worst_grades(question)[8]
    reply = phrases.graded(Attempt("a", "l", "q", question.id, "", "words", MONDAY, 0, grade), question, question.title, deeper=True)

    lines = reply.text.split("\n")
    assert lines[0] == f"0/100 · {question.title}"
    assert sum(line.startswith("⚪") for line in lines) == 7
    assert sum(line.startswith("✅") for line in lines) == 1
    assert max(len(line) for line in lines) <= 300
    assert sum(line.startswith("Next time: ") for line in lines) == 1
    assert len(reply.text) <= 1600


def test_a_contradicted_point_is_shown_with_the_words_and_corrected_once() -> None:
    words = "the median is the most frequent value"
    verdicts = (Verdict("definition", Finding.CONTRADICTED, words, 0, len(words)),)
    plain = Grade(0, verdicts, (), "table 1")
    corrected = Grade(0, verdicts, (Mistaken("mode", words, 0, len(words)),), "table 1")

    def told(grade: Grade) -> str:
        return phrases.graded(Attempt("a", "l", "q", "median", "", words, MONDAY, 0, grade), SMALL, "The median", deeper=False).text

    assert f"but you said “{words}”" in told(plain)
    assert told(corrected).count(words) == 1
    assert "That is the mode." in told(corrected)


ZONES = (
    "America/Argentina/ComodRivadavia",
    "America/North_Dakota/New_Salem",
    "Antarctica/DumontDUrville",
    "Etc/GMT+5",
    "UTC",
    "Asia/Kolkata",
)
LONG = "x" * 5000
SOMEBODY = Learner("l", MONDAY, ANN, zone=ZONES[0], minute=540, paused_until=date(2027, 1, 31), next_due_at=MONDAY)
RESTING = replace(SOMEBODY, paused_until=date.max, next_due_at=None)
OFF = replace(SOMEBODY, minute=None, paused_until=None, next_due_at=None, tracks=frozenset(LIBRARY.syllabus.tracks))
OPEN = Asked("q" * 12, "l", "precision", Occasion.CHOSEN, MONDAY)
SAID: dict[str, list[Reply]] = {
    "welcome": [phrases.welcome(ZONES)],
    "pick_zone": [phrases.pick_zone(ZONES, LONG), phrases.pick_zone((), LONG), phrases.pick_zone(ZONES, "")],
    "ask_time": [phrases.ask_time(SOMEBODY, MONDAY)],
    "ask_tracks": [phrases.ask_tracks(LIBRARY)],
    "ask_level": [phrases.ask_level()],
    "zone_set": [phrases.zone_set(SOMEBODY, MONDAY)],
    "daily_set": [phrases.daily_set(one, MONDAY) for one in (SOMEBODY, RESTING, OFF)],
    "daily_unclear": [phrases.daily_unclear()],
    "tracks_set": [phrases.tracks_set(one, LIBRARY) for one in (SOMEBODY, OFF)],
    "level_set": [phrases.level_set(SOMEBODY)],
    "level_unclear": [phrases.level_unclear()],
    "settings": [phrases.settings(one, LIBRARY, MONDAY) for one in (SOMEBODY, RESTING, OFF)],
    "no_more_hints": [phrases.no_more_hints(OPEN)],
    "no_hint_for_follow_up": [phrases.no_hint_for_follow_up()],
    "skipped": [phrases.skipped()],
    "nothing_open": [phrases.nothing_open()],
    "already_asked": [phrases.already_asked()],
    "closed": [phrases.closed()],
    "too_soon": [phrases.too_soon()],
    "no_such_topic": [phrases.no_such_topic(LONG, LIBRARY)],
    "topics": [phrases.topics(LIBRARY, SOMEBODY)],
    "no_words": [phrases.no_words()],
    "give_up": [phrases.give_up(OPEN)],
    "no_follow_up": [phrases.no_follow_up()],
    "two_messages": [phrases.two_messages(max(IDS, key=len)), phrases.two_messages("")],
    "follow_up_open": [phrases.follow_up_open()],
    "paused": [phrases.paused(date.max, MONDAY.date()), phrases.paused(date(2027, 11, 23), MONDAY.date())],
    "pause_unclear": [phrases.pause_unclear()],
    "resumed": [phrases.resumed(one, MONDAY) for one in (SOMEBODY, OFF)],
    "help": [phrases.help()],
    "unknown": [phrases.unknown("x" * 32, "settings"), phrases.unknown("x" * 32, "")],
    "not_text": [phrases.not_text("video note")],
    "cancelled": [phrases.cancelled(what) for what in ("setup", "setting", "followup", "question")],
    "nothing_to_cancel": [phrases.nothing_to_cancel()],
    "in_private": [phrases.in_private("start")],
    "slower": [phrases.slower()],
    "failed": [phrases.failed()],
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_everything_else_fits_a_phone(name: str) -> None:
    for reply in SAID[name]:
        _fits(reply, 1600 if name == "help" else OTHER)


def test_no_sentence_of_the_coach_was_forgotten_above() -> None:
    """Every function of `phrases` that gives a reply is rendered in one of the tests of this file."""
    speaking = {
        name for name, one in vars(phrases).items()
        if getattr(one, "__module__", "") == phrases.__name__ and getattr(one, "__annotations__", {}).get("return") == "Reply"
    }  # fmt: skip

    assert speaking == set(SAID) | {"question", "follow_up", "hint", "model_answer", "graded"}


def test_every_button_of_the_coach_means_a_command() -> None:
    """What a button says is understood when it is pressed."""
    for reply in (one for replies in SAID.values() for one in replies):
        for choice in (choice for row in reply.choices for choice in row):
            assert isinstance(choice, Choice)
            assert isinstance(commands.understand(choice.text), Called), choice.text


@given(st.text(max_size=400), st.integers(2, 120))
def test_what_is_shortened_fits_and_stays_on_one_line(text: str, limit: int) -> None:
    short = phrases.shorten(text, limit)

    assert len(short) <= limit
    assert "\n" not in short
