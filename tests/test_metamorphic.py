"""Some questions here, and all of them in `make bench-grading`: what must stay and what must fall when a reply is changed."""

from __future__ import annotations

import metamorphic
import pytest

from bot.content import Library
from bot.grading.evidence import Gatherer
from bot.grading.reader import WEIGHTS, Head, ReaderGrader
from bot.grading.training.memory import Remembering

QUESTIONS = ("feature-scaling", "clustering", "what-is-ml")
"""Of each the whole list; what fails of all the others is printed by `make bench-grading`."""


@pytest.fixture(scope="module")
def grader(library: Library) -> ReaderGrader:
    """The grader that comes with the coach, which here remembers the sentences that it read."""
    return ReaderGrader(Gatherer(Remembering.load(WEIGHTS / "encoder.npz"), library), Head.load(WEIGHTS / "head.json"))


@pytest.mark.parametrize("id", QUESTIONS)
def test_a_changed_reply_keeps_what_it_says_and_loses_what_it_no_longer_says(grader: ReaderGrader, library: Library, id: str) -> None:
    failed = [one for one in metamorphic.checks(grader, library.questions[id]) if not one.held]

    assert failed == []
