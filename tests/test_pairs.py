"""A true line and its false twin are told apart by the word that they differ in."""

from __future__ import annotations

import pytest

from bot.content import Library
from bot.grading.pairs import content, says
from bot.grading.polarity import line
from bot.grading.reader import ReaderGrader
from bot.model import Finding

TRUE = ("F1 is the harmonic mean of precision and recall, 2 * P * R / (P + R).", "raising the threshold raises precision and costs recall")
FALSE = ("F1 is the arithmetic mean of precision and recall.", "raising the threshold raises recall and costs precision")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("F1 is the harmonic mean of precision and recall.", True),
        ("f1 is a harmonic average of the precision and the recall", True),
        ("F1 is the arithmetic mean of precision and recall.", False),
        ("F1 is the mean of precision and recall.", False),
        ("F1 is not the harmonic mean of precision and recall.", False),
        ("When one raises the threshold, that raises precision and costs recall.", True),
        ("Raising the threshold raises recall and costs precision.", False),
        ("Raising the threshold lowers precision and costs recall.", False),
        ("precision and recall", False),
        ("A good model needs care and much more data than people think.", False),
    ],
)
def test_a_segment_is_a_true_line_only_by_the_word_that_tells_it_from_the_false_one(text: str, said: bool) -> None:
    of, true, false = content(line(text)), [content(line(one)) for one in TRUE], [content(line(one)) for one in FALSE]

    assert (says(of, true, false) > 0) is said


@pytest.mark.parametrize(
    ("id", "reply", "point", "finding"),
    [
        ("f1", "F1 is the harmonic mean of precision and recall.", "definition", Finding.COVERED),
        ("f1", "F1 is the arithmetic mean of precision and recall.", "definition", Finding.CONTRADICTED),
        ("rmse", "RMSE is the square root of the average squared error.", "definition", Finding.COVERED),
    ],
)
def test_a_definition_in_one_sentence_is_read_as_what_it_is(
    library: Library, grader: ReaderGrader, id: str, reply: str, point: str, finding: Finding
) -> None:
    verdict = grader.judge(library.questions[id], reply).verdict(point)

    assert verdict is not None
    assert verdict.finding is finding
    assert reply[verdict.start : verdict.end] == verdict.quote
