"""The sums that a text states are worked out again."""

from __future__ import annotations

import pytest

from bot.content import Library
from bot.grading.proof import taught
from bot.grading.sums import sums


@pytest.mark.parametrize(
    ("text", "worked"),
    [
        ("so 0.9 / 1.2 = 0.75 of them", 0.75),
        ("precision is 80 / 575 = 13.9%", 80 / 575),
        ("the loss grows by 15 / 600 = 2.5 points", 0.025),
        ("8 * 1,200 = 9,600 calls", 9600),
        ("it takes 8 / 0.017 = 470 a second", 8 / 0.017),
        ("sqrt(0.06^2 + 0.08^2) = 0.1, so", 0.1),
        ("1 / log2(4) = 0.5", 0.5),
        ("that is 20% * 50 = 10 people", 10),
        ("2 million / 4 = 500,000", 500_000),
        ("in all (52 - 50) - (46 - 48) = 4", 4),
        ("a fifth (40 of 200), 1 - 0.49 = 51%", 0.51),
        ("3 x 4 = 12", 12),
    ],
)
def test_a_sum_that_is_right_is_found_and_worked_out(text: str, worked: float) -> None:
    [one] = sums(text)
    assert one.right
    assert one.worked == pytest.approx(worked)


@pytest.mark.parametrize(
    "text",
    [
        "so 0.9 / 1.2 = 0.76",
        "80 / 575 = 14.9%",
        "80 / 575 = 0.14%",
        "8 * 1,200 = 9,500 calls",
        "8 / 0.017 = 480",
        "1 / 1.38 = 73% of the truth",
        "2 million / 4 = 500",
        "as (1 + 2 = 4) shows",
    ],
)
def test_a_sum_that_is_wrong_is_told(text: str) -> None:
    assert [one.right for one in sums(text)] == [False]


@pytest.mark.parametrize(
    "text",
    [
        "n = 3",
        "with k = 5 and 3 folds",
        "2 * w = 6",
        "w - 3 = 6",
        "30e6 / 2000 = 15,000 s",
        "ceil((4000 - 640) / 540) = 7",
        "time(8) / time(1) = 1.7",
        "precision = 3 / 4 = 0.7 times recall",
        "2 * 3 = 6 * w",
        "x >= 3 - 1",
        "from 2020-01-05 = 7 days",
        "1 / 0 = 5",
    ],
)
def test_what_is_no_sum_of_plain_numbers_is_left_alone(text: str) -> None:
    assert [one.written for one in sums(text) if not one.right] == []


def test_every_question_is_right_in_its_sums(library: Library) -> None:
    """Some hundreds are stated; each comes to what it says."""
    found = [(question.id, one) for question in library.questions.values() for _, text in taught(question) for one in sums(text)]

    assert [(id, one.written, one.worked) for id, one in found if not one.right] == []
    assert len(found) > 500
