"""How well answers are graded by a reference alone, on public short-answer sets: a part of `make bench-grading`.

The folder holds one `<set>.jsonl` a set, a line an answer: {"question", "question_id", "reference", "answer", "score" (0..1),
"extra": {"split"}}. Only the test part is measured (see `bot.grading.training.reference`); the controls are fitted to the scale of
the marks on the train part, and chosen by it. Of a set without such parts each question is left out in turn, for grader and controls.
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
from bot.grading.reader import WEIGHTS, ReaderGrader
from bot.grading.reading import LONGEST
from bot.grading.reference import Reference, ReferenceGrader, against
from bot.grading.training.reference import Marked, Table, fit, gathered, read, sample

TEST, TRAIN = 1500, 500
"""The most answers of a set that are measured, and that the controls are fitted on."""

Fit = Callable[[np.ndarray], np.ndarray]
Control = Callable[[Marked], float]


def public(folder: Path, reader: ReaderGrader) -> None:
    """Prints the figures for every set in `folder`."""
    grader = against(reader)
    assert isinstance(grader, ReferenceGrader)
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        print(f"\nno public sets in {folder}")
    table: Table | None = None
    for file in files:
        answers = read(file)
        test, train = (sample([one for one in answers if one.part == part], most) for part, most in (("test", TEST), ("train", TRAIN)))
        if test:
            whole = sum(one.part == "test" for one in answers)
            told = f"{len(test)} of the {whole} answers of the test part; controls fitted on {len(train)}"
            measured(file.stem, told, [(grader, test, train)])
        else:
            table = table or gathered(folder, WEIGHTS / "encoder.npz")
            measured(file.stem, f"{len(answers)} answers, each question left out in turn", left_out(answers, table, grader.encoder))


Fold = tuple[ReferenceGrader, Sequence[Marked], Sequence[Marked]]
"""A grader, what it is measured on, and what the controls are fitted on."""


def left_out(answers: Sequence[Marked], table: Table, encoder: Encoder) -> list[Fold]:
    """A fold a question, with weights that were fitted without it."""
    return [
        (
            ReferenceGrader(encoder, fit(table.without(asked))),
            [one for one in answers if one.asked == asked],
            [one for one in answers if one.asked != asked],
        )
        for asked in sorted({one.asked for one in answers})
    ]


def measured(name: str, told_of: str, folds: Sequence[Fold]) -> None:
    print(f"\n== {name}, by the reference alone: {told_of}")
    test = [one for _, part, _ in folds for one in part]
    grades = [grader.judge(Reference(one.question, one.reference), one.answer) for grader, part, _ in folds for one in part]
    marks = 100 * np.array([one.mark for one in test])
    told = np.array([-1.0 if made.score is None else made.score for made in grades])
    given = told >= 0
    scores = {one: float(made.score or 0) for one, made in zip(test, grades, strict=True)}
    for grader, _, train in folds:
        for one in train:
            if one not in scores:
                scores[one] = float(grader.judge(Reference(one.question, one.reference), one.answer).score or 0)
    shown(folds[0][0].name, marks[given], told[given], told[given])
    shown("  on their scale", marks[given], told[given], on_their_scale(folds, scores.__getitem__)[given])
    print(f"  {'':28s} no score: {int((~given).sum())}")
    controls: dict[str, Control] = {
        "length": lambda one: math.log1p(len(one.answer.split())),
        "rapidfuzz": lambda one: fuzz.token_set_ratio(one.reference, one.answer),
        "cosine": cosine(folds[0][0].encoder),
    }
    for control, of in controls.items():
        shown(control, marks, np.array([of(one) for one in test]), on_their_scale(folds, of))
    lost = sum(
        verdict.quote != one.answer[verdict.start : verdict.end]
        for one, made in zip(test, grades, strict=True)
        for verdict in made.verdicts
        if verdict.quote
    )
    print(f"  quotes that are not in their answer: {lost}")


def on_their_scale(folds: Sequence[Fold], of: Control) -> np.ndarray:
    """What a control says of each answer, on the scale of the marks as far as its fold's other answers tell it."""
    parts = []
    for _, test, train in folds:
        known = 100 * np.array([one.mark for one in train])
        parts.append(fitted(np.array([of(one) for one in train]), known)(np.array([of(one) for one in test])))
    return np.concatenate(parts)


def shown(name: str, marks: np.ndarray, values: np.ndarray, scores: np.ndarray) -> None:
    """`values` for Pearson's r, the same on the scale of the marks for the rest."""
    cells = [
        f"{label} {measure(marks, given):.3f} [{low:.3f}, {high:.3f}]"
        for label, measure, given in (("r", pearson, values), ("QWK", kappa, scores), ("MAE", error, scores))
        for low, high in [interval(measure, marks, given)]
    ]
    print(f"  {name:16s} {'  '.join(cells)}")


def cosine(encoder: Encoder) -> Control:
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
