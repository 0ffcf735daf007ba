r"""The command that fits what turns evidence into verdicts: one small model over the encoder's numbers.

    python -m bot.grading.training.head --replies tests/grading/own.jsonl --out bot/grading/weights/head.json

Uses only the replies marked `held`: the encoder was not tuned on them, so its numbers for them are as good as they will be for a
reply that it never saw; and replies made from those and from the packs (`bot.grading.training.made`), which count little each.
Full-batch Adam in numpy, seeded; the labels of two readers count half each; several small models are averaged.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.content import Library, default_folder, load
from bot.grading import gates
from bot.grading.evidence import FEATURES, Evidence, Gatherer
from bot.grading.reading import segments
from bot.grading.training.made import Made, cut, of_answers, of_lines, of_neighbours, shares
from bot.grading.training.memory import Remembering
from bot.grading.training.texts import spared

Floats = NDArray[np.float64]

SEED, MODELS = 1, 5

COUNTS = {
    "marked": 3.0, "hard": 1.0, "cut": 0.2, "hard cut": 0.1,
    "answer": 0.025, "answer cut": 0.05, "neighbour": 0.08, "heap": 0.025, "asked": 0.025, "lines": 0.1,
}  # fmt: skip
"""How much a reply of each kind counts. Those written to be `hard` (swapped, right and then wrong, with wrong numbers) count less
than the others, because there are more of them than learners will write."""

RARER = 0.4
"""By how much the log-odds of a contradiction are lowered in the end, for the same reason."""

FOR_VERDICTS = 0
"""Those of the questions that the encoder is not tuned on whose lines fit the verdicts; the others are for measuring."""

LINES = 14
"""Replies that are made of the lines of each question which the encoder was not tuned on."""


def replies(file: Path, library: Library, gatherer: Gatherer) -> Iterator[Made]:
    """All replies to learn from; of marked ones also how many of their readers saw each misconception, if they looked for it."""
    rng = random.Random(SEED)
    marked = [row for row in map(json.loads, file.read_text("utf-8").splitlines()) if row["held"]]
    for row in marked:
        question, hard = library.questions[row["question_id"]], row.get("hard", False)
        labels = tuple(shares([reader[point.id] for reader in row["points"] if point.id in reader]) for point in question.points)
        stated = {
            one.id: sum(one.id in reader for reader in row["false"]) / len(row["false"]) for one in question.misconceptions if row["false"]
        }
        yield Made("hard" if hard else "marked", question, row["answer"], labels, stated)
        for made in cut(row, question, 4 if hard else 6, rng):
            yield replace(made, kind="hard cut" if hard else "cut")
    yield from of_answers(library, gatherer, rng)
    yield from of_neighbours(library, gatherer, marked, rng)
    for question in library.questions.values():
        if spared(question.id) == FOR_VERDICTS:
            yield from of_lines(question, LINES, rng)


def gathered(file: Path, weights: Path) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Features, labels and counts of points; features of misconceptions, and how sure it is that each is stated."""
    library = load(default_folder())
    gatherer = Gatherer(Remembering.load(weights), library)
    points: list[Floats] = []
    labels: list[tuple[float, ...]] = []
    counts: list[float] = []
    tables: list[Floats] = []
    believed: list[float] = []
    kinds: Counter[str] = Counter()
    for made in replies(file, library, gatherer):
        evidence = _evidence(made, gatherer)
        if evidence is None:
            continue
        kinds[made.kind] += 1
        for features, label in zip(evidence.points, made.labels, strict=True):
            if label is not None:
                points.append(features)
                labels.append(label)
                counts.append(COUNTS[made.kind])
        for j, one in enumerate(made.question.misconceptions):
            if one.id in made.stated:
                tables.append(evidence.misconceptions[j])
                believed.append(made.stated[one.id])
    print(", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    return np.array(points), np.array(labels), np.array(counts), np.array(tables), np.array(believed)


def _evidence(made: Made, gatherer: Gatherer) -> Evidence | None:
    windows, _ = gates.evidence(segments(made.text), made.question.prompt)
    if gates.language(made.text) not in ("en", "") or not windows or gates.heap(made.text):
        return None
    return gatherer.gather(made.question, windows, len(made.text.split()))


def fit(
    points: Floats, labels: Floats, counts: Floats, *, hidden: int = 32, steps: int = 500, decay: float = 0.2, seed: int = 1
) -> dict[str, Floats]:
    """One hidden layer of rectified units, four classes, cross entropy with weight decay."""
    rng = np.random.default_rng(seed)
    mean, scale = points.mean(axis=0), points.std(axis=0) + 1e-6
    rows = (points - mean) / scale
    share = (counts / counts.sum())[:, None]
    shapes = {"hidden": (hidden, rows.shape[1]), "hidden_bias": (hidden,), "out": (4, hidden), "out_bias": (4,)}
    held = {name: rng.normal(0, 0.2, shape) if len(shape) == 2 else np.zeros(shape) for name, shape in shapes.items()}
    first = {name: np.zeros_like(value) for name, value in held.items()}
    second = {name: np.zeros_like(value) for name, value in held.items()}
    for step in range(1, steps + 1):
        before = rows @ held["hidden"].T + held["hidden_bias"]
        after = np.maximum(before, 0)
        logits = after @ held["out"].T + held["out_bias"]
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        wrong = (chances - labels) * share
        back = (wrong @ held["out"]) * (before > 0)
        slopes = {"out": wrong.T @ after, "out_bias": wrong.sum(axis=0), "hidden": back.T @ rows, "hidden_bias": back.sum(axis=0)}
        rate = 0.02 * (1 - step / (steps + 1))
        for name, slope in slopes.items():
            slope = slope + (decay / 10 * held[name] if held[name].ndim == 2 else 0.0)
            first[name] = 0.9 * first[name] + 0.1 * slope
            second[name] = 0.999 * second[name] + 0.001 * slope**2
            held[name] -= rate * (first[name] / (1 - 0.9**step)) / (np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8)
    held["out_bias"][3] -= RARER
    return {"mean": mean, "scale": scale, **held}


def fit_stated(table: Floats, stated: Floats) -> Floats:
    """Logistic regression by Newton's method with a little ridge: weights, then the constant."""
    rows = np.hstack([table, np.ones((len(table), 1))])
    weights = np.zeros(rows.shape[1])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (chance - stated) + 0.1 * weights
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + 0.1 * np.eye(len(weights))
        weights -= np.linalg.solve(curve, slope)
    return weights


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bot.grading.training.head", description=__doc__)
    parser.add_argument("--replies", type=Path, required=True, help="marked replies with labels per point (JSON lines)")
    parser.add_argument("--weights", type=Path, default=Path(__file__).parent.parent / "weights" / "encoder.npz")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    points, labels, counts, table, stated = gathered(chosen.replies, chosen.weights)
    models = [
        {name: np.round(value, 5).tolist() for name, value in fit(points, labels, counts, seed=SEED + number).items()}
        for number in range(MODELS)
    ]
    made = {
        "features": list(FEATURES),
        "fitted_on": len(points),
        "stated": np.round(fit_stated(table, stated), 5).tolist(),
        "models": models,
    }
    chosen.out.write_text(json.dumps(made) + "\n", "utf-8")
    print(f"{chosen.out.name}: fitted on {len(points)} points and {len(table)} misconceptions")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
