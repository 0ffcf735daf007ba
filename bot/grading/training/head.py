r"""The command that fits what turns evidence into verdicts: one small model over the encoder's numbers.

    python -m bot.grading.training.head --out bot/grading/weights/head.json \
        --replies tests/grading/own.jsonl tests/grading/dev.jsonl tests/grading/bank.jsonl tests/grading/stories.jsonl

Uses only the replies marked `held`: the encoder was not tuned on them, so its numbers for them are as good as they will be for a
reply that it never saw; and replies made from those and from the packs (`bot.grading.training.made`), which count little each. A line
without a `question_id` is a text that has nothing to do with any question.
Adam in numpy, seeded; the labels of two readers count half each; several small models are averaged.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.content import Library, default_folder, load
from bot.grading import gates
from bot.grading.evidence import FEATURES, Evidence, Gatherer
from bot.grading.reader import Head, Model
from bot.grading.reading import segments
from bot.grading.training.made import Made, cut, of_answers, of_lines, of_neighbours, of_stories, shares
from bot.grading.training.memory import Remembering
from bot.grading.training.texts import spared

Floats = NDArray[np.float64]

SEED, MODELS = 1, 10

SINGLE = 0.6
"""How much a reply that one reader marked counts beside one that two did."""

COUNTS = {
    "marked": 3.0, "hard": 1.0, "cut": 0.1, "hard cut": 0.1,
    "answer": 0.025, "answer cut": 0.05, "neighbour": 0.08, "heap": 0.025, "asked": 0.025, "lines": 0.1, "story": 0.4,
}  # fmt: skip
COUNTS |= {f"single {kind}": SINGLE * COUNTS[kind] for kind in ("marked", "cut")}
COUNTS |= {"single hard": 0.35, "single hard cut": 0.035}
"""How much a reply of each kind counts. Those written to be `hard` (swapped, right and then wrong, with wrong numbers) count less
than the others, because there are more of them than learners will write: most of all those of which there are most."""

FOR_VERDICTS = 0
"""Those of the questions that the encoder is not tuned on whose lines fit the verdicts; the others are for measuring."""

LINES = 14
"""Replies that are made of the lines of each question which the encoder was not tuned on."""


def replies(files: Sequence[Path], library: Library, gatherer: Gatherer) -> Iterator[Made]:
    """All replies to learn from; of marked ones also how many of their readers saw each misconception, if they looked for it."""
    rng = random.Random(SEED)
    held = [row for file in files for row in map(json.loads, file.read_text("utf-8").splitlines()) if row["held"]]
    marked = [row for row in held if "question_id" in row]
    for row in marked:
        question, hard = library.questions[row["question_id"]], row.get("hard", False)
        labels = tuple(shares([reader[point.id] for reader in row["points"] if point.id in reader]) for point in question.points)
        stated = {
            one.id: sum(one.id in reader for reader in row["false"]) / len(row["false"]) for one in question.misconceptions if row["false"]
        }
        single = "" if len(row["points"]) > 1 else "single "
        yield Made(single + ("hard" if hard else "marked"), question, row["answer"], labels, stated, question.id)
        for made in cut(row, question, 4 if hard else 6, rng):
            yield replace(made, kind=single + ("hard cut" if hard else "cut"))
    yield from of_answers(library, gatherer, rng)
    yield from of_neighbours(library, gatherer, marked, rng)
    for question in library.questions.values():
        if spared(question.id) == FOR_VERDICTS:
            yield from of_lines(question, LINES, rng)
    yield from of_stories(library, [row["answer"] for row in held if "question_id" not in row], rng)


@dataclass(frozen=True)
class Rows:
    """What there is to learn from: features of points or of misconceptions, what they are known to be, how much each counts, and the
    question whose marked replies each comes from ("" where it comes from none)."""

    features: Floats
    labels: Floats
    counts: Floats
    sources: NDArray[np.str_]

    def without(self, questions: Collection[str]) -> Rows:
        """Without what comes from marked replies to some questions."""
        kept = ~np.isin(self.sources, list(questions))
        return Rows(self.features[kept], self.labels[kept], self.counts[kept], self.sources[kept])


def gathered(files: Sequence[Path], library: Library, gatherer: Gatherer) -> tuple[Rows, Rows]:
    """Of points, with the chances of the four labels; and of misconceptions, with the chance that each is stated."""
    points: list[tuple[Floats, Sequence[float], float, str]] = []
    beliefs: list[tuple[Floats, float, float, str]] = []
    kinds: Counter[str] = Counter()
    for made in replies(files, library, gatherer):
        evidence = _evidence(made, gatherer)
        if evidence is None:
            continue
        kinds[made.kind] += 1
        for features, label in zip(evidence.points, made.labels, strict=True):
            if label is not None:
                points.append((features, label, COUNTS[made.kind], made.source))
        for j, one in enumerate(made.question.misconceptions):
            if one.id in made.stated:
                beliefs.append((evidence.misconceptions[j], made.stated[one.id], 1.0, made.source))
    print(", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    first, second = (Rows(*map(np.array, zip(*found, strict=True))) for found in (points, beliefs))
    return first, second


def _evidence(made: Made, gatherer: Gatherer) -> Evidence | None:
    windows, _ = gates.evidence(segments(made.text), made.question.prompt)
    if gates.language(made.text) not in ("en", "") or not windows or gates.heap(made.text):
        return None
    return gatherer.gather(made.question, windows, len(made.text.split()))


def fit(points: Rows, *, hidden: int = 32, epochs: int = 20, batch: int = 1024, decay: float = 0.003, seed: int = 1) -> Model:
    """One hidden layer of rectified units, four classes, cross entropy with weight decay, by Adam in small batches; the numbers rounded
    to five decimals."""
    rng = np.random.default_rng(seed)
    mean, scale = points.features.mean(axis=0), points.features.std(axis=0) + 1e-6
    rows, labels = ((points.features - mean) / scale).astype(np.float32), points.labels.astype(np.float32)
    share = (points.counts / points.counts.mean()).astype(np.float32)[:, None]
    shapes = {"hidden": (hidden, rows.shape[1]), "hidden_bias": (hidden,), "out": (4, hidden), "out_bias": (4,)}
    held = {name: (rng.normal(0, 0.2, shape) if len(shape) == 2 else np.zeros(shape)).astype(np.float32) for name, shape in shapes.items()}
    first = {name: np.zeros_like(value) for name, value in held.items()}
    second = {name: np.zeros_like(value) for name, value in held.items()}
    order = np.concatenate([rng.permutation(len(rows)) for _ in range(epochs)])
    steps = range(0, len(order), batch)
    for step, start in enumerate(steps, 1):
        chosen = order[start : start + batch]
        before = rows[chosen] @ held["hidden"].T + held["hidden_bias"]
        after = np.maximum(before, 0)
        logits = after @ held["out"].T + held["out_bias"]
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        wrong = (chances - labels[chosen]) * share[chosen] / np.float32(len(chosen))
        back = (wrong @ held["out"]) * (before > 0)
        slopes = {"out": wrong.T @ after, "out_bias": wrong.sum(axis=0), "hidden": back.T @ rows[chosen], "hidden_bias": back.sum(axis=0)}
        rate = 0.02 * (1 - step / (len(steps) + 1))
        for name, slope in slopes.items():
            slope = slope + (decay * held[name] if held[name].ndim == 2 else np.float32(0))
            first[name] = 0.9 * first[name] + 0.1 * slope
            second[name] = 0.999 * second[name] + 0.001 * slope**2
            held[name] -= rate * (first[name] / (1 - 0.9**step)) / (np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8)
    return Model(**{name: np.round(value.astype(np.float64), 5) for name, value in {"mean": mean, "scale": scale, **held}.items()})


def fit_stated(beliefs: Rows) -> Floats:
    """Logistic regression by Newton's method with a little ridge: weights, then the constant."""
    rows = np.hstack([beliefs.features, np.ones((len(beliefs.features), 1))])
    weights = np.zeros(rows.shape[1])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (chance - beliefs.labels) + 0.1 * weights
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + 0.1 * np.eye(len(weights))
        weights -= np.linalg.solve(curve, slope)
    return weights


def fitted(points: Rows, beliefs: Rows) -> Head:
    """What turns evidence into verdicts, learnt from rows."""
    models = tuple(fit(points, seed=SEED + number) for number in range(MODELS))
    return Head(models, np.round(fit_stated(beliefs), 5))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bot.grading.training.head", description=__doc__)
    parser.add_argument("--replies", type=Path, nargs="+", required=True, help="marked replies with labels per point (JSON lines)")
    parser.add_argument("--weights", type=Path, default=Path(__file__).parent.parent / "weights" / "encoder.npz")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    library = load(default_folder())
    points, beliefs = gathered(chosen.replies, library, Gatherer(Remembering.load(chosen.weights), library))
    head = fitted(points, beliefs)
    made = {
        "features": list(FEATURES),
        "fitted_on": len(points.features),
        "stated": head.stated.tolist(),
        "models": [{one.name: getattr(model, one.name).tolist() for one in fields(Model)} for model in head.models],
    }
    chosen.out.write_text(json.dumps(made) + "\n", "utf-8")
    print(f"{chosen.out.name}: fitted on {len(points.features)} points and {len(beliefs.features)} misconceptions")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
