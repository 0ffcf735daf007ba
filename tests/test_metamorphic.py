"""A sample here, and all questions in `make bench-grading`: what must stay and what must fall when a reply is changed."""

from __future__ import annotations

import random
from pathlib import Path

import metamorphic

from bot.content import Library
from bot.grading.evidence import Gatherer
from bot.grading.reader import WEIGHTS, Head, ReaderGrader
from bot.grading.training.memory import Remembering

SEED, QUESTIONS = 29, 2
"""The questions of the sample, of one topic of the first pack."""

FAILING = 0.1
"""The share of all checks that may fail: of the whole list about one in twenty does, and is printed by `make bench-grading`."""


def test_a_changed_reply_keeps_what_it_says_and_loses_what_it_no_longer_says(library: Library, claims: Path) -> None:
    grader = ReaderGrader(Gatherer(Remembering.load(WEIGHTS / "encoder.npz"), library, claims), Head.load(WEIGHTS / "head.json"))
    rng = random.Random(SEED)
    topic = rng.choice(sorted({one.file for one in library.questions.values() if one.pack == "ml-interview"}))
    chosen = rng.sample([one for one in library.questions.values() if one.file == topic], QUESTIONS)
    checks = [check for question in chosen for check in metamorphic.some(grader, question, rng)]

    failed = [check for check in checks if not check.held]
    assert len(failed) <= FAILING * len(checks), failed
