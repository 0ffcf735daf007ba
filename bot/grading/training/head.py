r"""The command that fits what turns evidence into verdicts: one small model over the encoder's numbers.

    python -m bot.grading.training.head --replies tests/grading/own.jsonl --out bot/grading/weights/head.json

Uses only the replies marked `held`: the encoder was not tuned on them, so its numbers for them are as good as they will be for a
reply that it never saw. One in five of them is also read against a question of another section, of which it makes no point.
Full-batch Adam in numpy, seeded; the labels of two readers count half each; several small models are averaged.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.content import Question, default_folder, load
from bot.grading import gates
from bot.grading.encoder import Encoder
from bot.grading.evidence import FEATURES, Gatherer
from bot.grading.reading import segments

Floats = NDArray[np.float64]

SEED, MODELS, ELSEWHERE = 1, 5, 0.2

LETTERS = "CPMX"
"""Covered, partly, missing, contradicted: the order of `bot.grading.reader.CLASSES`."""


def gathered(replies: Path, weights: Path) -> tuple[Floats, Floats, Floats, Floats]:
    """Features and labels of points, and of misconceptions."""
    library, rng = load(default_folder()), random.Random(SEED)
    gatherer = Gatherer(Encoder.load(weights), library)
    points: list[Floats] = []
    labels: list[list[float]] = []
    tables: list[Floats] = []
    stated: list[float] = []

    def add(row: dict[str, Any], question: Question, own: bool) -> None:
        windows, _ = gates.evidence(segments(row["answer"]))
        if gates.language(row["answer"]) not in ("en", "") or not windows or gates.heap(row["answer"]):
            return
        evidence = gatherer.gather(question, windows, len(row["answer"].split()))
        for k, point in enumerate(question.points):
            given = [reader[point.id] for reader in row["points"] if point.id in reader] if own else ["M"]
            if given:
                points.append(evidence.points[k])
                labels.append([given.count(letter) / len(given) for letter in LETTERS])
        for j, one in enumerate(question.misconceptions):
            tables.append(evidence.misconceptions[j])
            stated.append(sum(one.id in reader for reader in row["false"]) / len(row["false"]) if own else 0.0)

    for line in replies.read_text("utf-8").splitlines():
        row = json.loads(line)
        if not row["held"]:
            continue
        question = library.questions[row["question_id"]]
        add(row, question, True)
        if rng.random() < ELSEWHERE:
            add(row, rng.choice([one for one in library.questions.values() if one.section != question.section]), False)
    return np.array(points), np.array(labels), np.array(tables), np.array(stated)


def fit(points: Floats, labels: Floats, *, hidden: int = 32, steps: int = 800, decay: float = 0.2, seed: int = 1) -> dict[str, Floats]:
    """One hidden layer of rectified units, four classes, cross entropy with weight decay."""
    rng = np.random.default_rng(seed)
    mean, scale = points.mean(axis=0), points.std(axis=0) + 1e-6
    rows = (points - mean) / scale
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
        wrong = (chances - labels) / len(rows)
        back = (wrong @ held["out"]) * (before > 0)
        slopes = {"out": wrong.T @ after, "out_bias": wrong.sum(axis=0), "hidden": back.T @ rows, "hidden_bias": back.sum(axis=0)}
        rate = 0.02 * (1 - step / (steps + 1))
        for name, slope in slopes.items():
            slope = slope + (decay / 10 * held[name] if held[name].ndim == 2 else 0.0)
            first[name] = 0.9 * first[name] + 0.1 * slope
            second[name] = 0.999 * second[name] + 0.001 * slope**2
            held[name] -= rate * (first[name] / (1 - 0.9**step)) / (np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8)
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
    points, labels, table, stated = gathered(chosen.replies, chosen.weights)
    models = [
        {name: np.round(value, 5).tolist() for name, value in fit(points, labels, seed=SEED + number).items()} for number in range(MODELS)
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
