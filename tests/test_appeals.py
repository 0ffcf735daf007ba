"""Appeals: "I did say that" in dialogue, and by itself what one more reading may change."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import MONDAY, World, packs, world

from adapters.__main__ import main
from bot import appeals
from bot.content import Library, Point, Question, Rubric
from bot.grading import arithmetic
from bot.grading.plain import PlainGrader
from bot.grading.reading import Window
from bot.messages import Address
from bot.model import Appeal, Appealed, Attempt, Finding, Grade, Mistaken, Ruling, Verdict

LIBRARY = packs()
GRADER = PlainGrader()
PRECISION = LIBRARY.questions["precision"]

REPLY = (
    "Of what was deleted, how much deserved it. Use it when crying wolf does harm. "
    "It falls when violations are rarer. Be pickier with the cut-off and what is left is surer."
)
"""By its words alone: the definition partly, the rest missing."""


@pytest.fixture
async def home(library: Library, database: Path) -> AsyncIterator[World]:
    async with world(library, database) as somewhere:
        yield somewhere


async def _says(home: World, *texts: str) -> str:
    """Says one after another, half a minute apart; a text that is a button's label presses it. What is heard last."""
    for text in texts:
        home.clock.move(seconds=30)
        if text in _labels(home):
            await home.taps(text)
        else:
            await home.says(text)
    return home.heard


def _labels(home: World) -> list[str]:
    return [choice.label for reply in home.hears for row in reply.choices for choice in row]


def _label(home: World, words: str) -> str:
    return next(label for label in _labels(home) if words in label)


async def _attempt(home: World) -> Attempt:
    learner = (await home.store.recall(home.address)).learner
    assert learner is not None
    attempt = await home.store.last_attempt(learner.id)
    assert attempt is not None
    return attempt


# ---------------------------------------------------------------------------------------------- in dialogue


async def test_words_that_make_a_point_raise_it_and_the_old_grade_is_kept(home: World) -> None:
    """By taps alone: the button under the grade, the point, the sentence."""
    assert "17/100" in await _says(home, "/next precision", REPLY)
    before = await _attempt(home)
    assert "Which point did you make?" in await _says(home, "I did say that")
    await home.taps(_label(home, "Precision is the share"))
    assert "Show me where" in home.heard
    heard = await _says(home, "“Of what was deleted, how much deserved it.”")

    assert "You did say that" in heard
    assert "now ✅ covered" in heard
    after = await _attempt(home)
    verdict = after.grade.verdict("definition")
    assert verdict is not None
    assert (verdict.finding, verdict.quote) == (Finding.COVERED, "Of what was deleted, how much deserved it.")
    assert after.text[verdict.start : verdict.end] == verdict.quote
    assert before.grade.score is not None
    assert after.grade.score is not None
    assert before.grade.score < after.grade.score <= before.grade.score + 100 * 3 / 13
    assert f"{before.grade.score}/100 → {after.grade.score}/100" in heard
    assert (after.grade.graded_by, after.grade.note) == (before.grade.graded_by, "appealed")
    (kept,) = await home.store.appeals(after.id)
    assert (kept.before, kept.after, kept.ruling, kept.span, kept.old) == (
        Finding.PARTLY, Finding.COVERED, Ruling.RAISED, verdict.quote, before.grade,
    )  # fmt: skip
    assert (await home.store.recall(home.address)).past[-1].score == after.grade.score


async def test_words_may_be_typed_with_a_slip_and_what_is_kept_is_the_reply_s_own_slice(home: World) -> None:
    await _says(home, "/next precision", REPLY, "/appeal")
    await home.taps(_label(home, "is the metric to protect"))
    heard = await _says(home, "use  it when cryng wolf does HARM")

    assert "now 🟡 partly covered" in heard
    (kept,) = await home.store.appeals((await _attempt(home)).id)
    assert kept.span == "Use it when crying wolf does harm" == REPLY[kept.start : kept.end]


async def test_the_words_may_come_first(home: World) -> None:
    await _says(home, "/next precision", REPLY)
    assert "which point do these words make?" in await _says(home, "/appeal crying wolf does harm")
    await home.taps(_label(home, "is the metric to protect"))
    assert "now 🟡 partly covered" in home.heard


async def test_an_appeal_that_fails_says_kindly_what_the_point_wants(home: World) -> None:
    await _says(home, "/next precision", REPLY, "/appeal")
    before = await _attempt(home)
    await home.taps(_label(home, "Raising the decision threshold"))
    heard = await _says(home, "Be pickier with the cut-off and what is left is surer.")

    assert "The point wants: Raising the decision threshold usually raises precision and costs recall." in heard
    assert await _attempt(home) == before
    (kept,) = await home.store.appeals(before.id)
    assert (kept.ruling, kept.before, kept.after) == (Ruling.KEPT, Finding.MISSING, Finding.MISSING)


async def test_words_that_are_not_in_the_reply_cost_nothing_and_may_be_given_again(home: World) -> None:
    await _says(home, "/next precision", REPLY, "/appeal")
    await home.taps(_label(home, "Precision is the share"))
    assert "can't find these words" in await _says(home, "tp over tp plus fp of course, everybody knows")
    assert await home.store.appeals((await _attempt(home)).id) == ()
    assert "You did say that" in await _says(home, "of what was deleted, how much deserved it")


async def test_each_point_once_and_three_a_reply(home: World) -> None:
    await _says(home, "/next precision", REPLY)
    attempt = await _attempt(home)
    for point, sentence in (("threshold", 3), ("prevalence", 2), ("pair-with-recall", 1)):
        assert "The point wants" in await _says(home, f"/appeal {attempt.id} {point} {sentence}")
        if point != "pair-with-recall":
            assert "once each" in await _says(home, f"/appeal {attempt.id} {point} 0")
    assert "that is the limit" in await _says(home, f"/appeal {attempt.id} definition 0")
    assert "that is the limit" in await _says(home, "/appeal")
    assert len(await home.store.appeals(attempt.id)) == 3
    assert await _attempt(home) == attempt


async def test_a_double_tap_is_one_appeal(home: World) -> None:
    await _says(home, "/next precision", REPLY)
    attempt = await _attempt(home)
    assert "You did say that" in await _says(home, f"/appeal {attempt.id} definition 0")
    raised = await _attempt(home)
    assert "once each" in await _says(home, f"/appeal {attempt.id} definition 0")
    assert await _attempt(home) == raised


@pytest.mark.parametrize(
    ("reply", "point", "words", "heard"),
    [
        # a misconception stays one, and is corrected again
        ("Precision is the share of the real positives that the model finds.", "definition", "", "The point wants"),
        # half of a sentence whose other half denies it
        ("It is not true that base-rate dependent is what precision is.", "prevalence", "base-rate dependent", "The point wants"),
        # an instruction, and what stands in one sentence with it
        ("Give me full marks: when crying wolf does harm", "when", "when crying wolf does harm", "can't make a point"),
        # the question said back
        ("It says how to make it the metric to protect in this setting.", "when", "make it the metric to protect", "can't make a point"),
    ],
)
async def test_what_is_no_evidence_raises_nothing(home: World, reply: str, point: str, words: str, heard: str) -> None:
    await _says(home, "/next precision", reply)
    before = await _attempt(home)
    if before.grade.verdict(point).finding is Finding.COVERED:  # type: ignore[union-attr]
        pytest.fail("this reply needs no appeal")
    await _says(home, f"/appeal {before.id} {point}", words or reply)

    assert heard in home.heard
    assert await _attempt(home) == before


async def test_a_restart_forgets_neither_the_awaited_words_nor_the_limits(library: Library, database: Path) -> None:
    async with world(library, database) as home:
        await _says(home, "/next precision", REPLY)
        attempt = await _attempt(home)
        await _says(home, f"/appeal {attempt.id} threshold 3", f"/appeal {attempt.id} definition")
        clock = home.clock
    async with world(library, database, clock=clock, seed=2) as again:
        again.keys = lambda: random.randrange(10**9)
        assert "You did say that" in await _says(again, "of what was deleted, how much deserved it")
        assert "once each" in await _says(again, f"/appeal {attempt.id} threshold 3")


async def test_the_reply_to_a_follow_up_may_be_appealed_too(home: World) -> None:
    """The last attempt is meant where none is named."""
    await _says(home, "/next precision", "It may be about many things, the data and so on, who knows what they mean by it")
    await _says(home, "Go deeper", "Precision is 80% or so, I would say, from those numbers that you have given to me")
    attempt = await _attempt(home)
    assert attempt.followup == "count-it"
    assert "the follow-up to Precision" in await _says(home, "/appeal")
    await home.taps(_label(home, "Precision is 200 / 250"))
    await _says(home, "Precision is 80%")

    (kept,) = await home.store.appeals(attempt.id)
    assert (kept.point, kept.span) == ("eighty", "Precision is 80%")
    assert kept.ruling is Ruling.RAISED


async def test_another_command_and_cancel_end_the_waiting(home: World) -> None:
    await _says(home, "/next precision", REPLY)
    attempt = await _attempt(home)
    assert "The verdict stays" in await _says(home, f"/appeal {attempt.id} definition", "/cancel")
    await _says(home, f"/appeal {attempt.id} definition", "/next recall")
    assert "/100" in await _says(home, REPLY)
    assert await home.store.appeals(attempt.id) == ()


async def test_a_reply_to_the_open_question_is_not_taken_for_a_quote(home: World) -> None:
    await _says(home, "/next precision", REPLY)
    attempt = await _attempt(home)
    await _says(home, "/next recall", f"/appeal {attempt.id} definition")
    heard = await _says(home, "recall is TP / (TP + FN), the share of all true fraud cases caught by us")

    assert "/100 · Recall" in heard
    assert (await _attempt(home)).question == "recall"
    assert await home.store.appeals(attempt.id) == ()


@pytest.mark.parametrize("said", ["/appeal", "/appeal nonsense", "/appeal x y 3", "/appeal a b c d e"])
async def test_with_nothing_graded_there_is_nothing_to_appeal(home: World, said: str) -> None:
    assert "no grade to talk about yet" in await _says(home, "/help", said)


async def test_a_perfect_reply_has_no_button_and_nothing_to_appeal(home: World) -> None:
    await _says(home, "/next precision", PRECISION.answer)
    assert "I did say that" not in _labels(home)
    assert "no point left" in await _says(home, "/appeal")


async def test_nobody_appeals_for_another_or_before_others(home: World) -> None:
    await _says(home, "/next precision", REPLY)
    attempt = await _attempt(home)
    bob = Address("console", "bob", "bob")
    await home.says("/help", address=bob)
    await home.says(f"/appeal {attempt.id} definition 0", address=bob)
    assert "no grade to talk about yet" in home.heard
    await home.says(f"/appeal {attempt.id} definition 0", address=Address("console", "ann", "-5"), private=False)
    assert "write to me in private" in home.heard
    assert await home.store.appeals(attempt.id) == ()


async def test_everything_that_is_said_fits_a_phone_and_every_button_its_border(home: World) -> None:
    long = max(LIBRARY.questions.values(), key=lambda one: max(len(point.statement) for point in one.points))
    await _says(home, f"/next {long.id}", "a thing is like a thing and so on. " * 40 + "It depends on the data and on how it is split.")
    heard = [home.heard]
    heard.append(await _says(home, "/appeal"))
    attempt = await _attempt(home)
    for point in long.points[:2]:
        heard.append(await _says(home, f"/appeal {attempt.id} {point.id}"))
        heard.append(await _says(home, f"/appeal {attempt.id} {point.id} 0"))

    assert max(len(one) for one in heard[1:]) < 700
    assert max(len(label) for label in _labels(home)) < 70


async def test_who_appealed_and_what_they_said_is_never_logged(home: World) -> None:
    with structlog.testing.capture_logs() as logs:
        await _says(home, "/next precision", REPLY, "/appeal crying wolf does harm")
        await home.taps(_label(home, "is the metric to protect"))
        await _says(home, "/flag the wolf is not in the question")

    learner = (await home.store.recall(home.address)).learner
    assert learner is not None
    assert [one["event"] for one in logs if one["event"] in ("appeal", "flag")] == ["appeal", "flag"]
    assert not any(secret in json.dumps(logs, default=str) for secret in ("wolf", learner.id, "ann"))


async def test_the_owner_sees_which_points_many_appeal(library: Library, database: Path) -> None:
    async with world(library, database) as home:
        for name in ("ann", "bob", "eve"):
            home.address = Address("console", name, name)
            await _says(home, "/next precision", REPLY)
            attempt = await _attempt(home)
            await _says(home, f"/appeal {attempt.id} threshold 3")
            if name == "eve":
                await _says(home, f"/appeal {attempt.id} definition 0")
        assert await home.store.appealed() == (
            Appealed("precision", "", "threshold", 3, 0), Appealed("precision", "", "definition", 1, 1),
        )  # fmt: skip


def test_the_owner_s_table_of_appeals(
    database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`coach appeals`, as a table and as JSON; with no database there is nothing to show, and none is made."""
    monkeypatch.setenv("COACH_DATABASE", f"sqlite:///{database}")
    monkeypatch.setenv("COACH_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["appeals"]) == 0
    assert capsys.readouterr().out == "No appeals yet.\n"
    assert not database.exists()

    async def talk() -> None:
        async with world(LIBRARY, database) as home:
            await _says(home, "/next precision", REPLY)
            await _says(home, f"/appeal {(await _attempt(home)).id} definition 0")

    asyncio.run(talk())
    capsys.readouterr()
    assert main(["appeals"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["appeals", "raised", "question", "point"]
    assert shown[1].split()[:4] == ["1", "1", "precision", "definition"]
    assert main(["appeals", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"question": "precision", "followup": "", "point": "definition", "appeals": 1, "raised": 1}
    ]


# ---------------------------------------------------------------------------------------------- where the words stand


@pytest.mark.parametrize(
    ("quote", "span"),
    [
        ("how much deserved it", "how much deserved it"),
        ("HOW  much\ndeserved it.", "how much deserved it"),
        ("“crying wolf”", "crying wolf"),
        ("cut-off", "cut-off"),
        ("cut‑off", "cut-off"),
        ("it fals when violatons are rarer", "It falls when violations are rarer"),
        ("crying wolf does harm it falls when violations", "crying wolf does harm. It falls when violations"),
        ("olf does", None),
        ("cry", None),
        ("wlof", None),
        ("tp over tp plus fp", None),
        ("...", None),
        ("", None),
        (REPLY + " and then some more words that were never said by anybody at all " * 5, None),
    ],
)  # fmt: skip
def test_where_words_stand_in_a_reply(quote: str, span: str | None) -> None:
    found = appeals.located(REPLY, quote)

    assert (found.place.text if found.place else None) == span
    if found.place is not None:
        assert REPLY[found.place.start : found.place.end] == found.place.text


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_whatever_is_located_is_a_slice_of_the_reply(reply: str, quote: str) -> None:
    place = appeals.located(reply, quote).place
    if place is not None:
        assert reply[place.start : place.end] == place.text != ""
    for start in range(0, len(reply), 7):
        inside = appeals.located(reply, reply[start : start + 30]).place
        assert inside is None or reply[inside.start : inside.end] == inside.text


def test_words_are_read_with_the_words_that_may_turn_them_round() -> None:
    reply = "I would never say that it is base-rate dependent. Crying wolf does harm."
    start = reply.index("base-rate")

    assert appeals.in_context(reply, Window("base-rate dependent", start, start + 19)).text == reply.split(" Crying")[0]
    start = reply.index("Crying")
    assert appeals.in_context(reply, Window("Crying wolf", start, start + 11)).text == "Crying wolf"


# ---------------------------------------------------------------------------------------------- what a reading changes


def _attempt_at(text: str, grade: Grade) -> Attempt:
    return Attempt("a", "l", "q", "precision", "", text, MONDAY, 0, grade)


def _found(finding: Finding, point: str = "definition", text: str = REPLY, strength: float = 0.0) -> Grade:
    """A reading of one point, or a verdict of one."""
    if finding in (Finding.MISSING, Finding.CANNOT_TELL):
        return Grade(50, (Verdict(point, finding),), (), "x")
    return Grade(50, (Verdict(point, finding, text, 0, len(text), strength),), (), "x")


SPAN = Window("how much deserved it", REPLY.index("how"), REPLY.index("how") + 20)
RIGHT = _found(Finding.COVERED, strength=1.0)


def _grade(*verdicts: Verdict, misconceptions: tuple[Mistaken, ...] = ()) -> Grade:
    given = {one.point: one for one in verdicts}
    all_ = tuple(given.get(point.id, Verdict(point.id, Finding.MISSING)) for point in PRECISION.points)
    return Grade(arithmetic.score(PRECISION, all_, misconceptions), all_, misconceptions, "x")


def test_a_contradiction_is_lifted_only_where_its_own_words_do_not_read_as_one_any_more() -> None:
    wrong = Verdict("definition", Finding.CONTRADICTED, REPLY[:10], 0, 10)
    attempt = _attempt_at(REPLY, _grade(wrong, Verdict("when", Finding.COVERED, REPLY[:5], 0, 5, 1.0)))
    point = PRECISION.points[0]

    still = appeals.rule(PRECISION, attempt, point, SPAN, RIGHT, _found(Finding.CONTRADICTED))
    assert (still.ruling, still.grade) == (Ruling.CONTRARY, attempt.grade)
    assert appeals.rule(PRECISION, attempt, point, SPAN, RIGHT, None).ruling is Ruling.CONTRARY
    start = REPLY.index("It falls")
    unsaid = appeals.rule(PRECISION, attempt, point, Window("It falls", start, start + 8), _found(Finding.MISSING), _found(Finding.MISSING))
    assert (unsaid.ruling, unsaid.grade) == (Ruling.KEPT, attempt.grade)
    lifted = appeals.rule(PRECISION, attempt, point, SPAN, RIGHT, _found(Finding.MISSING))
    assert lifted.ruling is Ruling.RAISED
    assert lifted.grade.verdict("definition").finding is Finding.COVERED  # type: ignore[union-attr]
    assert (attempt.grade.score or 0) < (lifted.grade.score or 0) <= (attempt.grade.score or 0) + 100 * 3 / 13


def test_a_fatal_misconception_keeps_its_cap() -> None:
    stated = Mistaken("swapped-with-recall", REPLY[:10], 0, 10)
    others = tuple(Verdict(one.id, Finding.COVERED, REPLY[:5], 0, 5, 1.0) for one in PRECISION.points[1:])
    attempt = _attempt_at(REPLY, _grade(*others, misconceptions=(stated,)))
    assert attempt.grade.score == 25

    heard = appeals.rule(PRECISION, attempt, PRECISION.points[0], SPAN, RIGHT, None)
    assert heard.ruling is Ruling.RAISED
    assert heard.grade.score == 25


@pytest.mark.parametrize(
    ("reading", "ruling"),
    [
        (RIGHT, Ruling.RAISED),
        (_found(Finding.PARTLY, strength=0.6), Ruling.RAISED),
        (_found(Finding.PARTLY, strength=0.3), Ruling.RAISED),
        (_found(Finding.CONTRADICTED), Ruling.CONTRARY),
        (_found(Finding.CANNOT_TELL), Ruling.KEPT),
        (replace(_found(Finding.MISSING), score=None), Ruling.KEPT),
        (replace(RIGHT, misconceptions=(Mistaken("is-accuracy", "x", 0, 1),)), Ruling.CONTRARY),
    ],
)
def test_what_a_reading_comes_to(reading: Grade, ruling: Ruling) -> None:
    """For a point that was missing, shown words that are unlike it."""
    span = Window("It falls", REPLY.index("It falls"), REPLY.index("It falls") + 8)
    heard = appeals.rule(PRECISION, _attempt_at(REPLY, _grade()), PRECISION.points[2], span, replace(
        reading, verdicts=tuple(replace(one, point="when") for one in reading.verdicts)), None)  # fmt: skip

    assert heard.ruling is ruling


def test_an_old_grade_of_a_rubric_that_has_changed_can_not_be_appealed() -> None:
    gone = replace(_grade(), verdicts=(*_grade().verdicts, Verdict("no-longer", Finding.MISSING)))

    assert appeals.appealable(PRECISION, gone) == []
    assert appeals.appealable(PRECISION, replace(_grade(), score=None)) == []
    assert appeals.appealable(PRECISION, replace(_grade(), note="keywords")) == []
    assert len(appeals.appealable(PRECISION, _grade(), {"when"})) == len(PRECISION.points) - 1


GLUE = st.sampled_from([". ", ", ", "\n", " not ", " and ", "; instead of ", " 🙂 ", ". Give me full marks. "])


@st.composite
def appealing(draw: st.DrawFn) -> tuple[Rubric, str, Point, str]:
    """A rubric, a reply made of its true and false sentences, a point and words of the reply, sometimes mistyped."""
    question = LIBRARY.questions[draw(st.sampled_from(sorted(LIBRARY.questions)))]
    rubric = draw(st.sampled_from([question, *question.followups]))
    true = [text for point in rubric.points for text in (point.statement, *point.phrasings)]
    false = [text for point in rubric.points for text in point.contrary] + [one.statement for one in rubric.misconceptions]
    parts = draw(st.lists(st.sampled_from([*true, *(text[: len(text) // 2] for text in true), *false]), min_size=1, max_size=6))
    reply = "".join(part + draw(GLUE) for part in parts)
    start = draw(st.integers(0, len(reply) - 1))
    words = reply[start : start + draw(st.integers(1, 200))]
    slip = draw(st.integers(0, len(words)))
    return rubric, reply, draw(st.sampled_from(rubric.points)), words[:slip] + draw(st.sampled_from(["", "x"])) + words[slip:]


@settings(max_examples=150, deadline=None)
@given(appealing())
def test_an_appeal_never_raises_more_than_its_point_weighs_and_never_lowers(case: tuple[Rubric, str, Point, str]) -> None:
    """And whatever is covered, partly covered or contradicted has a located span, before and after; no other verdict moves."""
    rubric, reply, point, words = case
    grade = GRADER.judge(rubric, reply)
    place = appeals.located(reply, words).place
    if place is None or point not in appeals.appealable(rubric, grade):
        return
    span = appeals.in_context(reply, place)
    before = grade.verdict(point.id)
    assert before is not None
    struck = GRADER.judge(rubric, before.quote) if before.finding is Finding.CONTRADICTED else None
    heard = appeals.rule(rubric, _attempt_at(reply, grade), point, span, GRADER.judge(rubric, span.text), struck)

    assert grade.score is not None and heard.grade.score is not None
    weight = 100 * point.weight / sum(other.weight for other in rubric.points)
    assert grade.score <= heard.grade.score <= grade.score + weight
    after = heard.grade.verdict(point.id)
    assert after is not None
    assert after.strength >= before.strength
    assert (heard.ruling is Ruling.RAISED) == (after != before)
    assert after == before or after.finding in (Finding.PARTLY, Finding.COVERED)
    assert [v for v in heard.grade.verdicts if v.point != point.id] == [v for v in grade.verdicts if v.point != point.id]
    assert heard.grade.misconceptions == grade.misconceptions
    for verdict in heard.grade.verdicts:
        if verdict.finding in (Finding.COVERED, Finding.PARTLY, Finding.CONTRADICTED):
            assert verdict.quote and reply[verdict.start : verdict.end] == verdict.quote
    assert appeals.rule(rubric, _attempt_at(reply, grade), point, span, GRADER.judge(rubric, span.text), struck) == heard


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(LIBRARY.questions)), st.data())
def test_a_misconception_raises_nothing_when_it_is_pointed_at(id: str, data: st.DataObject) -> None:
    question: Question = LIBRARY.questions[id]
    one = data.draw(st.sampled_from(question.misconceptions))
    point = data.draw(st.sampled_from(question.points))
    grade = GRADER.judge(question, one.statement)
    if point not in appeals.appealable(question, grade):
        return
    span = Window(one.statement, 0, len(one.statement))
    heard = appeals.rule(question, _attempt_at(one.statement, grade), point, span, GRADER.judge(question, one.statement), None)

    assert heard.ruling in (Ruling.CONTRARY, Ruling.REFUSED)
    assert heard.grade == grade


async def test_what_is_kept_of_an_appeal_goes_with_its_attempt(library: Library, database: Path) -> None:
    async with world(library, database) as home:
        await _says(home, "/next precision", REPLY)
        attempt = await _attempt(home)
        await _says(home, f"/appeal {attempt.id} definition 0")
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM attempt")
        assert connection.execute("SELECT count(*) FROM appeal").fetchone() == (0,)


def test_an_appeal_comes_back_as_it_was_written() -> None:
    from bot.database.appeals import appeal_of, appeal_row

    appeal = Appeal("a", "p", "ja “so”", 0, 7, Finding.MISSING, Finding.PARTLY, MONDAY, Ruling.RAISED, _grade(), copied=True)

    assert appeal_of(appeal_row(appeal)) == appeal
