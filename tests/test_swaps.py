"""What is swapped: a formula that is another rate's, an inequality turned round, and the answer to a neighbouring question."""

from __future__ import annotations

import pytest

from bot.content import Library
from bot.grading import inequalities
from bot.grading.figures import Figures, numbers
from bot.grading.formulas import Sheet, found
from bot.grading.inequalities import orders
from bot.grading.others import CONTRASTS, NEUTRAL, Others
from bot.grading.reader import ReaderGrader
from bot.grading.reading import segments, stems
from bot.model import Finding


@pytest.mark.parametrize(
    ("question", "reply", "right"),
    [
        ("precision", "It is TP/(TP+FN)", [False]),
        ("precision", "TP / (TP + FN)", [False]),
        ("precision", "That is tp over tp plus fn", [False]),
        ("recall", "We compute TP/(TP+FP)", [False]),
        ("precision", "It is TP/(TP+FP)", [True]),
        ("precision", "TP/(TP+FN) is recall", []),
        ("precision", "Recall is another one. It is TP/(TP+FN).", []),
        ("precision", "It is not TP/(TP+FN)", []),
    ],
)
def test_a_formula_without_a_name_is_of_what_is_spoken_of(library: Library, question: str, reply: str, right: list[bool]) -> None:
    sheet = Sheet.of_rubric(library.questions[question])

    assert [one.right for one in found(sheet, reply, segments(reply))] == right


@pytest.mark.parametrize(
    ("one", "other", "turned"),
    [
        ("val loss > train loss", "train loss < val loss", False),
        ("val loss > train loss", "val loss < train loss", True),
        ("validation error is much higher than the training error", "the training error exceeds the validation error", True),
        ("RMSE is at least the MAE, so RMSE >= MAE", "MAE \u2264 RMSE", False),
        ("p < 0.001", "p > 0.001", True),
        ("p < 0.001", "p > 0.01", False),
        ("a < b < c", "c < b", True),
    ],
)
def test_an_inequality_has_a_direction(one: str, other: str, turned: bool) -> None:
    said, told = list(orders(one)), list(orders(other))

    assert said
    assert told
    assert any(a.turns(b) for a in said for b in told) is turned
    assert any(a.agrees(b) for a in said for b in told) is not (turned or "0.01" in other.split())


@pytest.mark.parametrize("text", ["x -> y", "a => b", "we compare train and val loss", "", "<", "> 5 of them"])
def test_what_is_no_inequality(text: str) -> None:
    assert list(orders(text)) == []


def test_no_line_of_any_rubric_turns_an_inequality_of_its_own_point(library: Library) -> None:
    """And most of them are seen when their sign is turned."""
    seen = turnable = 0
    for question in library.questions.values():
        told = inequalities.of_rubric(question)
        for id, _ in told:
            point = question.point(id)
            assert point is not None
            for line in (point.statement, *point.phrasings):
                assert not inequalities.turned(told, line, segments(line)), line
                if " > " in line and list(orders(line)):
                    turnable += 1
                    other = line.replace(" > ", " < ")
                    seen += any(one.point == id for one in inequalities.turned(told, other, segments(other)))
    assert seen > 0.8 * turnable > 5


def test_the_answer_to_the_neighbouring_question_earns_little(grader: ReaderGrader, library: Library) -> None:
    """Even where it is the right answer to the very next question, in nearly the same words; one's own stays what it was."""
    own, other = library.questions["precision"], library.questions["recall"]
    both = f"{own.answer} By the way: {other.answer}"

    grade = grader.judge(own, other.answer)
    assert (grade.score or 0) < 30
    assert "neighbour" in grade.note.split()
    assert (grader.judge(other, own.answer).score or 0) < 30
    assert (grader.judge(own, both).score or 0) >= 90
    assert grader.judge(own, own.answer).note == ""


def test_a_formula_of_another_rate_is_no_definition(grader: ReaderGrader, library: Library) -> None:
    grade = grader.judge(library.questions["precision"], "It is TP/(TP+FN)")

    verdict = grade.verdict("definition")
    assert verdict is not None
    assert (verdict.finding, verdict.quote) == (Finding.CONTRADICTED, "TP/(TP+FN)")
    assert grade.score == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12 of 1,500 rows, so 0.8%", {12.0, 1500.0, 0.008}),
        ("80 % of seven", {0.8, 7.0}),
        ("F1 at x2 and v1.5, one or two", set()),
        (".05 and 0.05", {0.05}),
    ],
)
def test_numbers_of_a_text(text: str, found: set[float]) -> None:
    assert numbers(text) == found


def test_a_point_s_own_numbers_and_strange_ones(library: Library) -> None:
    """The share of the numbers that the point's lines agree on; and of numbers that stand nowhere in the rubric."""
    question = library.questions["forecast-naive-baseline"]
    figures = Figures.of_rubric(question)
    for k, point in enumerate(question.points):
        assert figures.compared(k, point.statement)[1] == 0
        if figures.points[k]:
            assert figures.compared(k, "no number at all")[0] == 0
            assert figures.compared(k, " and ".join(map(str, figures.points[k])))[0] == 1
    assert figures.compared(0, "31337 things")[1] == 1


def test_the_words_of_a_neighbour_are_told_from_one_s_own(library: Library) -> None:
    """The contrast of words needs no encoder; a question that is alone, or of no pack, has none."""
    import numpy as np

    others = Others(library, lambda texts: np.zeros((len(texts), 4), np.float32))
    own, other = library.questions["precision"], library.questions["recall"]
    at = CONTRASTS.index("told_all")

    def told(text: str) -> float:
        zero = np.zeros((1, len(own.points)), np.float32)
        return float(others.contrast(own, np.zeros((1, 4), np.float32), np.zeros((1, 4), np.float32), zero, [stems(text)])[0][0, at])

    assert told(own.answer) > 0.3 > 0 > -0.3 > told(other.answer)
    assert told("zxcv qwer") == NEUTRAL[at]


@pytest.mark.parametrize("reply", ["fine", "fine, thanks", "no idea"])
def test_of_a_word_or_two_nothing_is_said_about_other_questions(grader: ReaderGrader, library: Library, reply: str) -> None:
    grade = grader.judge(library.questions["precision"], reply)

    assert grade.score == 0
    assert grade.note == ""
