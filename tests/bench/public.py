"""How well answers are graded by a reference alone, on public short-answer sets: a part of `make bench-grading`.

The folder holds one `<set>.jsonl` a set, a line an answer: {"question", "question_id", "reference", "answer", "score" (0..1),
"extra": {"split"}}. Only the test part is measured (see `bot.grading.training.reference`); the controls are fitted to the scale of
the marks on the train part, and chosen by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench.measures import error, interval, kappa, pearson
from rapidfuzz import fuzz

from bot.grading.encoder import Encoder
from bot.grading.reader import ReaderGrader
from bot.grading.reading import LONGEST
from bot.grading.reference import Reference, ReferenceGrader, against
from bot.grading.training.reference import Marked, read, sample

TEST, TRAIN = 1500, 500
"""The most answers of a set that are measured, and that the controls are fitted on."""

Fit = Callable[[np.ndarray], np.ndarray]


def public(folder: Path, reader: ReaderGrader) -> None:
    """Prints the figures for every set in `folder`."""
    grader = against(reader)
    assert isinstance(grader, ReferenceGrader)
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        print(f"\nno public sets in {folder}")
    for file in files:
        answers = read(file)
        test, train = (sample([one for one in answers if one.test is part], most) for part, most in ((True, TEST), (False, TRAIN)))
        measured(file.stem, test, train, sum(one.test for one in answers), grader)


def measured(name: str, test: Sequence[Marked], train: Sequence[Marked], whole: int, grader: ReferenceGrader) -> None:
    print(f"\n== {name}, by the reference alone: {len(test)} of the {whole} answers of the test part; controls fitted on {len(train)}")
    grades = [grader.judge(Reference(one.question, one.reference), one.answer) for one in test]
    marks, known = 100 * np.array([one.mark for one in test]), 100 * np.array([one.mark for one in train])
    told = np.array([-1.0 if made.score is None else made.score for made in grades])
    given = told >= 0
    shown(grader.name, marks[given], told[given], told[given])
    fitting = np.array([grader.judge(Reference(one.question, one.reference), one.answer).score or 0 for one in train])
    shown("  on their scale", marks[given], told[given], fitted(fitting, known)(told[given]))
    print(f"  {'':28s} no score: {int((~given).sum())}")
    controls: dict[str, Callable[[Marked], float]] = {
        "length": lambda one: math.log1p(len(one.answer.split())),
        "rapidfuzz": lambda one: fuzz.token_set_ratio(one.reference, one.answer),
        "cosine": cosine(grader.encoder),
    }
    for control, of in controls.items():
        values = np.array([of(one) for one in test])
        shown(control, marks, values, fitted(np.array([of(one) for one in train]), known)(values))
    lost = sum(
        verdict.quote != one.answer[verdict.start : verdict.end]
        for one, made in zip(test, grades, strict=True)
        for verdict in made.verdicts
        if verdict.quote
    )
    print(f"  quotes that are not in their answer: {lost}")


def shown(name: str, marks: np.ndarray, values: np.ndarray, scores: np.ndarray) -> None:
    """`values` for Pearson's r, the same on the scale of the marks for the rest."""
    cells = [
        f"{label} {measure(marks, given):.3f} [{low:.3f}, {high:.3f}]"
        for label, measure, given in (("r", pearson, values), ("QWK", kappa, scores), ("MAE", error, scores))
        for low, high in [interval(measure, marks, given)]
    ]
    print(f"  {name:16s} {'  '.join(cells)}")


def cosine(encoder: Encoder) -> Callable[[Marked], float]:
    """The cosine of a reference and an answer, each read whole."""
    kept: dict[str, Any] = {}

    def of(one: Marked) -> float:
        for text in (one.reference, one.answer):
            if text not in kept:
                kept[text] = encoder.vectors([text[:LONGEST]])[0]
        return float(kept[one.reference] @ kept[one.answer])

    return of


def fitted(values: np.ndarray, marks: np.ndarray) -> Fit:
    """A control on the scale of the marks: a straight line, the same spread, or any rising steps, whichever has the best kappa on
    what it is fitted on."""
    slope, start = np.polyfit(values, marks, 1)
    sign = 1.0 if slope >= 0 else -1.0
    ways: list[Fit] = [
        lambda given: np.clip(slope * given + start, 0, 100),
        lambda given: np.clip(marks.mean() + sign * (given - values.mean()) / max(values.std(), 1e-9) * marks.std(), 0, 100),
        steps(values, marks),
    ]
    return max(ways, key=lambda way: kappa(marks, way(values)))


def steps(values: np.ndarray, marks: np.ndarray) -> Fit:
    """Isotonic regression: the nearest function of rising steps."""
    made: list[tuple[float, int, float]] = []  # mean, count, first value
    for at in np.argsort(values, kind="stable"):
        made.append((float(marks[at]), 1, float(values[at])))
        while len(made) > 1 and made[-2][0] >= made[-1][0]:
            (low, few, first), (high, more, _) = made[-2:]
            made[-2:] = [((low * few + high * more) / (few + more), few + more, first)]
    means, starts = np.array([one[0] for one in made]), np.array([one[2] for one in made])
    return lambda given: means[np.clip(np.searchsorted(starts, given, side="right") - 1, 0, len(means) - 1)]
