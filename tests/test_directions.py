"""What moves with what: read from a sentence, held against the rubric's own lines, and what that does to a verdict."""

from __future__ import annotations

import pytest

from bot.content import Library
from bot.grading.directions import applied, found, links, of_rubric
from bot.grading.formulas import Found
from bot.grading.reader import ReaderGrader
from bot.grading.reading import segments, stem
from bot.model import Finding, Verdict

TRADE = {"precision threshold": 1, "recall threshold": -1, "precision recall": -1}


def told(text: str) -> dict[str, int]:
    return {" ".join(sorted((link.one.head, link.other.head))): link.sign for link in links(text)}


@pytest.mark.parametrize(
    "text",
    [
        "Raise the threshold and precision usually goes up while recall falls.",
        "Lower the threshold and recall goes up, precision usually drops.",
        "raising the decision threshold usually raises precision and costs recall",
        "higher cut-off, more precision, less recall",
        "Lowering the bar pulls recall up and precision down",
        "threshold \u2191 precision \u2191 recall \u2193",
    ],
)
def test_however_it_is_put_the_same_moves_with_the_same(text: str) -> None:
    wanted = {" ".join(sorted(stem(word) for word in pair.split())): sign for pair, sign in TRADE.items()}

    assert told(text) == wanted


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ("Raising the threshold raises both precision and recall.", [1, 1, 1]),
        ("A larger k raises bias and lowers variance", [1, -1, -1]),
        ("Raising the threshold does not raise precision.", []),
        ("Does raising the threshold raise precision?", []),
        ("Raise the threshold or lower the threshold and precision falls.", []),
        ("Lowering the threshold raises it.", []),
        ("The training error falls while the test error rises.", []),
        ("It depends on the data.", []),
    ],
)
def test_what_is_denied_asked_or_said_both_ways_says_nothing(text: str, signs: list[int]) -> None:
    assert [link.sign for link in links(text)] == signs


def test_no_line_of_any_rubric_is_taken_for_its_contrary(library: Library) -> None:
    """A true line is never found turned round, nor a false one right."""
    seen = 0
    for question in library.questions.values():
        moves = of_rubric(question)
        for point in question.points if moves else ():
            own = [one for one in moves if one.point == point.id]
            seen += len(own)
            for line in (point.statement, *point.phrasings, question.answer):
                assert all(one.right for one in found(own, line, segments(line))), line
            for line in point.contrary:
                assert not any(one.right for one in found(own, line, segments(line))), line
    assert seen > 100


@pytest.mark.parametrize(
    ("question", "reply", "point", "finding"),
    [
        ("precision", "Raise the threshold and precision usually goes up while recall falls.", "threshold", Finding.COVERED),
        ("precision", "Raise the threshold and precision usually falls while recall goes up.", "threshold", Finding.CONTRADICTED),
        ("recall", "Lower the threshold and recall goes up, precision usually drops.", "threshold", Finding.COVERED),
        ("recall", "Raise the threshold and recall goes up, precision usually drops.", "threshold", Finding.CONTRADICTED),
        ("bias-variance", "A more flexible model lowers bias and raises variance.", "opposite-moves", Finding.COVERED),
        ("bias-variance", "A more flexible model raises bias and lowers variance.", "opposite-moves", Finding.CONTRADICTED),
    ],
)
def test_the_grade_of_one_sentence_goes_by_its_directions(
    grader: ReaderGrader, library: Library, question: str, reply: str, point: str, finding: Finding
) -> None:
    verdict = grader.judge(library.questions[question], reply).verdict(point)

    assert (verdict.finding, verdict.quote) == (finding, reply)


def test_the_rubric_s_own_words_and_what_is_said_both_ways_stay_however_sure_the_encoder_is() -> None:
    text = "It rises. It falls."
    certain = Verdict("a", Finding.COVERED, "It rises.", 0, 9, 1.0, sure=1.0)
    unsure = Verdict("b", Finding.PARTLY, "It rises.", 0, 9, 0.5, sure=0.5)
    both = [Found("b", 0, 9, True), Found("b", 10, 19, False)]
    falls = [Found("a", 10, 19, False), *both]

    assert applied((certain, unsure), falls, text, {"a"}) == (certain, unsure)
    turned, left = applied((certain, unsure), falls, text, ())
    assert (turned.finding, turned.quote, left) == (Finding.CONTRADICTED, "It falls.", unsure)
