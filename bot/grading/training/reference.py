r"""The command that fits how an answer is held against a reference, on public sets of marked short answers.

    python -m bot.grading.training.reference --from DIR --out bot/grading/weights/reference.json

DIR holds one `<set>.jsonl` a set, a line an answer: {"question", "question_id", "reference", "answer", "score" (0..1), "extra":
{"split"}}. Of a set with splits only the train part is fitted on: where `split` begins with "train". A set without them is fitted on
whole, and measured by leaving each of its questions out in turn (`Table.without`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.grading.encoder import Encoder
from bot.grading.reading import LONGEST
from bot.grading.reference import NUMBERS, Fitted, Reference, ReferenceGrader, evidence

Floats = NDArray[np.float64]

MOST = 500
"""Answers of a set that are fitted on, at most."""

COUNTS = {"stita": 0.5, "saf_real": 0.8}
"""How much a set counts, where not 1: these have few questions."""

RIDGE = 1500.0


@dataclass(frozen=True)
class Marked:
    """A marked answer of a public set. mark: 0..1; part: "train" or "test", "" where the set has no such parts."""

    question: str
    reference: str
    answer: str
    mark: float
    part: str

    @property
    def asked(self) -> str:
        """What tells its question from the others."""
        return f"{self.question}\n{self.reference}"


def read(file: Path) -> list[Marked]:
    """The answers of a set, in its order, without copies of their reference."""
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    found = []
    for row in rows:
        split = row["extra"].get("split")
        part = "" if split is None else "train" if split.startswith("train") else "test"
        if row["answer"].strip() != row["reference"].strip():
            found.append(Marked(row["question"], row["reference"], row["answer"], float(row["score"]), part))
    return found


def sample(answers: Sequence[Marked], most: int) -> list[Marked]:
    """At most `most` of the answers: those whose SHA-256 comes first, in their order."""
    chosen = sorted(range(len(answers)), key=lambda n: (_order(f"{answers[n].question}\n{answers[n].answer}"), n))[:most]
    return [answers[n] for n in sorted(chosen)]


def _order(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Table:
    """What is fitted on: a row an answer, the mean over its reference's clauses."""

    numbers: Floats
    marks: Floats
    sets: NDArray[np.str_]
    questions: NDArray[np.str_]

    def without(self, question: str) -> Table:
        """All but the answers to one question (`Marked.asked`)."""
        kept = self.questions != question
        return Table(self.numbers[kept], self.marks[kept], self.sets[kept], self.questions[kept])


def gathered(folder: Path, weights: Path) -> Table:
    """What may be fitted on of every set in `folder`."""
    grader = ReferenceGrader(Encoder.load(weights), Fitted(np.zeros(len(NUMBERS)), 0.0))
    rows, marks, sets, questions = [], [], [], []
    for file in sorted(folder.glob("*.jsonl")):
        for one in sample([one for one in read(file) if one.part != "test"], MOST):
            windows, _ = evidence(one.answer[:LONGEST])
            reference = Reference(one.question, one.reference)
            if windows and reference.clauses():
                prepared = grader.prepared(reference)
                rows.append(prepared.weights @ grader.compare(prepared, reference, windows).numbers)
                marks.append(one.mark)
                sets.append(file.stem)
                questions.append(one.asked)
        print(f"{file.stem}: {sets.count(file.stem)} answers", file=sys.stderr, flush=True)
    return Table(np.array(rows), np.array(marks), np.array(sets), np.array(questions))


def fit(table: Table) -> Fitted:
    """The weights of NUMBERS and the constant."""
    counts = np.zeros(len(table.marks))
    for name in np.unique(table.sets):
        chosen = table.sets == name
        counts[chosen] = 1000 * COUNTS.get(str(name), 1.0) / chosen.sum()
    rows = (_against(table.numbers, table.sets) + _against(table.numbers, table.questions)) / 2
    wanted = (_against(table.marks[:, None], table.sets) + _against(table.marks[:, None], table.questions))[:, 0] / 2
    for name in np.unique(table.sets):
        wanted[table.sets == name] /= wanted[table.sets == name].std()
    spread = np.sqrt(np.average(rows**2, axis=0, weights=counts)) + 1e-9
    better = _ridge(rows / spread, wanted, counts) / spread
    told = table.numbers @ better
    steep, constant = _logistic(np.column_stack([told, np.ones(len(told))]), table.marks, counts)
    return Fitted(steep * better, float(constant))


def _against(values: Floats, groups: NDArray[np.str_]) -> Floats:
    """Each row less the mean of its group."""
    _, place = np.unique(groups, return_inverse=True)
    sums = np.zeros((place.max() + 1, values.shape[1]))
    np.add.at(sums, place, values)
    made: Floats = values - (sums / np.bincount(place)[:, None])[place]
    return made


def _ridge(rows: Floats, wanted: Floats, counts: Floats) -> Floats:
    """Weights of least squares, none below 0, by coordinate descent."""
    curve = (rows * counts[:, None]).T @ rows + RIDGE * np.eye(rows.shape[1])
    pull = rows.T @ (counts * wanted)
    weights = np.zeros(rows.shape[1])
    for _ in range(500):
        for j in range(len(weights)):
            weights[j] = max(0.0, weights[j] + (pull[j] - curve[j] @ weights) / curve[j, j])
    return weights


def _logistic(rows: Floats, marks: Floats, counts: Floats) -> Floats:
    """Logistic regression by Newton's method, with a trace of ridge."""
    weights = np.zeros(rows.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (counts * (chance - marks)) + 1e-3 * weights
        curve = (rows * (counts * (chance * (1 - chance) + 1e-6))[:, None]).T @ rows + 1e-3 * np.eye(len(weights))
        weights -= np.linalg.solve(curve, slope)
    return weights


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bot.grading.training.reference", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--from", dest="folder", type=Path, required=True, help="the public sets, one <set>.jsonl each")
    parser.add_argument("--weights", type=Path, default=Path(__file__).parent.parent / "weights" / "encoder.npz")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    table = gathered(chosen.folder, chosen.weights)
    fitted = fit(table)
    made = {
        "numbers": list(NUMBERS),
        "weights": [round(float(one), 4) for one in fitted.weights],
        "constant": round(fitted.constant, 4),
        "fitted_on": {str(name): int((table.sets == name).sum()) for name in np.unique(table.sets)},
    }
    chosen.out.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    print(f"{chosen.out.name}: fitted on {len(table.marks)} answers")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
