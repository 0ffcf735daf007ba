"""Follow-ups: which one a reply calls for and why, what it quotes, and what the reply to it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from worlds import ANN, World, packs, world

from bot import course, interviews
from bot.content import Library, Question, load
from bot.interviews import Chosen, Reason, asks_why, follow_up, helped, memorised, on_its_own
from bot.model import Asked, Attempt, Finding, Grade, Mistaken, Verdict

LIBRARY = packs()
SMALL = load(Path(__file__).parent / "packs/good").questions["median"]
CLAIM, ARGUED = "the median is robust", "the median is robust because one huge salary moves only the mean"


def graded(
    score: int | None, *, missing: Iterable[str] = (), partly: Iterable[str] = (), wrong: Iterable[str] = (), words: str = CLAIM
) -> Grade:
    """A grade of SMALL: what is named nowhere is covered."""
    gone, part = set(missing), set(partly)
    verdicts = tuple(
        Verdict(point.id, Finding.MISSING)
        if point.id in gone
        else Verdict(point.id, Finding.PARTLY, words, 0, len(words), 0.5)
        if point.id in part
        else Verdict(point.id, Finding.COVERED, words, 0, len(words), 1.0)
        for point in SMALL.points
    )
    return Grade(score, verdicts, tuple(Mistaken(id, "the most frequent", 0, 17) for id in wrong), "table 1")


NOTHING = Grade(None, (), (), "table 1", "language")
ALL = [point.id for point in SMALL.points]


@pytest.mark.parametrize(
    ("grade", "asked", "said", "expected", "reason", "quote"),
    [
        (graded(100), (), (), "deeper", Reason.STRONG, CLAIM),
        (graded(80, missing=["skew"]), (), (), "deeper", Reason.STRONG, CLAIM),
        (graded(40, missing=["definition"]), (), (), "middle", Reason.CORE, CLAIM),
        (graded(90, missing=["definition"]), (), (), "middle", Reason.CORE, CLAIM),
        (graded(0, missing=ALL), (), (), "middle", Reason.CORE, ""),
        (graded(90, wrong=["mode"]), (), (), "mode", Reason.MISCONCEPTION, "the most frequent"),
        (graded(20, missing=["definition"], wrong=["mode"]), (), (), "mode", Reason.MISCONCEPTION, "the most frequent"),
        (graded(20, missing=["definition"], wrong=["mode"]), ["mode"], (), "middle", Reason.CORE, CLAIM),
        (graded(20, missing=["definition"], wrong=["mode"]), (), ["mode"], "middle", Reason.CORE, CLAIM),
        (graded(20, missing=["definition"], wrong=["mode"]), (), ["mode", "middle"], None, None, ""),
        (graded(10, missing=["definition"]), (), (), "middle", Reason.CORE, ""),
        (graded(49, missing=["skew"]), (), (), None, None, ""),
        (graded(50, missing=["skew"]), (), (), "deeper", Reason.STRONG, CLAIM),
        (graded(60, partly=["definition"]), (), (), "middle", Reason.UNSUPPORTED, CLAIM),
        (graded(60, partly=["robust"]), (), (), "support-robust", Reason.UNSUPPORTED, CLAIM),
        (graded(60, partly=["robust"]), ["support-robust"], (), "deeper", Reason.STRONG, CLAIM),
        (graded(60, partly=["robust"], words=ARGUED), (), (), "deeper", Reason.STRONG, ARGUED),
        (graded(60, partly=["definition"], words=ARGUED), (), (), "middle", Reason.POINT, ARGUED),
        (graded(60, missing=["skew"], wrong=["always-better"]), (), (), "deeper", Reason.STRONG, CLAIM),
        (graded(0, missing=["skew"]), (), (), None, None, ""),
        (graded(100), ["deeper"], (), None, None, ""),
        (graded(100), (), ["deeper"], None, None, ""),
        (NOTHING, (), (), None, None, ""),
    ],
)
def test_the_follow_up_that_a_reply_calls_for(
    grade: Grade, asked: list[str], said: list[str], expected: str | None, reason: Reason | None, quote: str
) -> None:
    """Grade and history in, follow-up, reason and the words it takes up out."""
    found = follow_up(SMALL, grade, asked, lambda one: one.id in said)

    assert (found and (found.followup.id, found.reason, found.quote)) == (expected and (expected, reason, quote))


@pytest.mark.parametrize("most", [interviews.IN_A_DRILL, *sorted(set(course.FOLLOW_UPS.values()))])
def test_there_is_an_end_to_follow_ups(most: int) -> None:
    """Whatever a reply lacks, two in a drill and one to three in a mock are enough; none comes twice."""
    grade = graded(20, missing=["definition"], partly=["robust", "cost"], wrong=["mode"])
    asked: list[str] = []
    while (found := follow_up(SMALL, grade, asked, most=most)) is not None:
        assert found.followup.id not in asked
        asked.append(found.followup.id)
    assert len(asked) == most


def test_a_core_point_is_missing_only_where_it_was_looked_for() -> None:
    assert interviews.core_missing(SMALL, graded(40, missing=["definition", "cost"])) == ["definition"]
    assert interviews.core_missing(SMALL, graded(40, partly=["definition"])) == []
    assert interviews.core_missing(SMALL, NOTHING) == []


@pytest.mark.parametrize("id", sorted(LIBRARY.questions))
def test_every_claim_may_be_asked_for_its_support(id: str) -> None:
    """Each point has such a follow-up, which is found again by its id."""
    question = LIBRARY.questions[id]
    for point in question.points:
        made = asks_why(question, point.id)
        assert made is not None and interviews.find(question, made.id) == made
    assert asks_why(question, "no-such-point") is None


def test_help_counts_half_and_says_so() -> None:
    """Only what was missing, and only where the reply to the follow-up is good enough."""
    middle = SMALL.followup("middle")
    assert middle is not None
    words = "take the mean of the two in the middle"
    good = Grade(100, (Verdict("two", Finding.COVERED, words, 0, len(words), 1.0),), (), "table 1")
    raised = helped(graded(40, missing=["definition"]), middle, good)
    assert raised is not None
    (first, *others) = raised
    assert (first.point, first.finding, first.helped, first.strength, first.quote) == ("definition", Finding.COVERED, True, 0.5, words)
    assert others == list(graded(40, missing=["definition"]).verdicts[1:])
    assert helped(graded(100), middle, good) is None
    weak = Grade(60, good.verdicts, (), "table 1")
    assert helped(graded(40, missing=["definition"]), middle, weak) is None
    deeper = SMALL.followup("deeper")
    assert deeper is not None and helped(graded(40, missing=["definition"]), deeper, good) is None


def test_a_follow_up_about_a_claim_is_graded_on_that_point_alone() -> None:
    why = asks_why(SMALL, "robust")
    assert why is not None
    own = on_its_own(graded(20, partly=["robust"], missing=["definition"], wrong=["mode"]), why)
    assert (own.score, [one.point for one in own.verdicts], own.misconceptions) == (50, ["robust"], ())
    assert on_its_own(NOTHING, why).score is None


@pytest.mark.parametrize("id", ["precision", "overfitting", "train-prod-gap"])
def test_the_model_answer_by_heart_is_recognised(id: str) -> None:
    """Word for word, or with a few words changed; a reply of one's own is not, and a short one never."""
    question: Question = LIBRARY.questions[id]
    answer = question.answer
    assert memorised(answer, answer)
    assert memorised("Well, " + answer.replace(" the ", " this ", 2).lower(), answer)
    assert memorised(" ".join(answer.split()[:60]), answer)
    assert not memorised(" ".join(answer.split()[:20]), answer)
    assert not memorised(" ".join(text for point in question.points for text in point.phrasings[1:]), answer)


# ---------------------------------------------------------------------------------------------- as it happens


@pytest.fixture
async def home(library: Library, database: Path) -> AsyncIterator[World]:
    async with world(library, database) as running:
        yield running


async def opened(home: World) -> Asked:
    found = (await home.store.recall(ANN)).open
    assert found is not None
    return found


async def attempt(home: World, id: str) -> Attempt:
    learner = (await home.store.recall(ANN)).learner
    assert learner is not None
    found = await home.store.attempt(learner.id, id)
    assert found is not None
    return found


async def test_a_misconception_is_corrected_by_asking_in_the_learners_words(home: World) -> None:
    false = home.library.questions["precision"].misconceptions[0]
    await home.says("/next precision")
    await home.says(false.phrasings[0])
    await home.taps("Go deeper")
    assert f"You said “{false.phrasings[0]}”. Think that through once more." in home.heard


async def test_what_a_follow_up_brings_out_counts_with_help(home: World) -> None:
    """The first grade's missing point is covered with help, the score says so, and after two follow-ups there is an end."""
    question = home.library.questions["precision"]
    await home.says("/next precision")
    await home.says("It falls when the positive class becomes rarer, at the same true and false positive rates.")
    (before, id) = (await attempt(home, (await home.taps("Go deeper")) and (await opened(home)).attempt)), (await opened(home)).attempt
    followup = interviews.find(question, (await opened(home)).followup)
    assert followup is not None and followup.when.startswith("missing:")
    point = followup.when.removeprefix("missing:")
    await home.says(f"{followup.answer} " + " ".join(f"{one.statement}" for one in followup.points))
    after = await attempt(home, id)
    verdict = after.grade.verdict(point)
    assert verdict is not None and verdict.helped and verdict.finding is Finding.COVERED
    assert (after.grade.score or 0) > (before.grade.score or 0)
    assert f"your first reply counts {after.grade.score}/100" in home.heard
    assert after.text == before.text
    await home.taps("Go deeper")
    second = await opened(home)
    assert second.attempt == id and second.followup != followup.id
    await home.says("I would look at both")
    assert "Go deeper" not in [choice.label for reply in home.hears for row in reply.choices for choice in row]
    assert "no further question" in (await home.says(f"/deeper {id}"))[0].text


async def test_what_was_said_already_is_not_asked(home: World) -> None:
    """A reply that answers the deeper question unasked is not asked it."""
    question = home.library.questions["precision"]
    deeper = next(one for one in question.followups if one.when == "strong")
    asked: list[Chosen] = []
    for text in (question.answer, f"{question.answer} {' '.join(point.statement for point in deeper.points)}"):
        await home.says("/redo precision")
        home.clock.move(minutes=2)
        await home.says(text)
        buttons = [choice.label for reply in home.hears for row in reply.choices for choice in row]
        if "Go deeper" in buttons:
            await home.taps("Go deeper")
            asked.append(Chosen(deeper, Reason.STRONG) if (await opened(home)).followup == deeper.id else Chosen(deeper, Reason.POINT))
    assert [one.reason for one in asked].count(Reason.STRONG) == 1


async def test_a_recited_model_answer_is_told_so(home: World) -> None:
    await home.says("/next precision")
    await home.says(home.library.questions["precision"].answer)
    assert "the model answer's own words" in home.heard
