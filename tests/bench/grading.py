"""How well the graders agree with markers: `make bench-grading`.

Each reply is graded with verdicts that were fitted without any marked reply to its question, nor to the others of its fold (the
encoder was tuned on other replies; see docs/grading.md). Prints, for each set of marked replies and each grader, Pearson's r,
quadratic weighted kappa over five bands of 20, mean absolute error, the mean score of each kind of reply, the shares that matter
most, and how often a point's verdict is its readers'. Intervals are 95 % bootstraps over replies.
Where COACH_PUBLIC_SETS or --public names a folder, the public sets in it too (see `bench.public`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench.measures import error, interval, kappa, pearson
from bench.public import public
from rapidfuzz import fuzz

from bot.content import Library, Question, default_folder, load
from bot.grading.evidence import Gatherer
from bot.grading.plain import PlainGrader
from bot.grading.reader import VERSION, WEIGHTS, Head, ReaderGrader
from bot.grading.training.head import Rows, fitted, gathered
from bot.grading.training.memory import Remembering
from bot.model import Finding, Grade

HERE = Path(__file__).parent.parent / "grading"
LETTERS = {"C": Finding.COVERED, "P": Finding.PARTLY, "M": Finding.MISSING, "X": Finding.CONTRADICTED}
RIGHT = (
    "excellent",
    "dense",
    "typos",
    "dictated",
    "nonnative",
    "bullets",
    "rambling_right",
    "expert",
    "plain-words",
    "dense-b",
    "plain",
    "war-story",
)

SETS = ("dev", "own", "hard", "bank", "aside", "fresh", "unseen")
UNTOUCHED = ("fresh", "unseen")
"""Sets on replies to whose questions nothing was ever fitted: the shipped verdicts grade them."""

LEARNT = ("own", "dev", "bank", "stories")
"""The files of replies that the verdicts are fitted on; the last one's are to no question."""

FOLDS = 13
"""Parts of the questions of LEARNT; each is left out once."""

Row = dict[str, Any]


class LeftOut:
    """The reader, but for each question with verdicts fitted without the marked replies to it and to the others of its fold."""

    def __init__(self, gatherer: Gatherer, learnt: tuple[Rows, Rows], folds: Sequence[Collection[str]]) -> None:
        self.name = VERSION
        points, beliefs = learnt
        self._graders: dict[str, ReaderGrader] = {}
        for fold in folds:
            grader = ReaderGrader(gatherer, fitted(points.without(fold), beliefs.without(fold)))
            self._graders.update(dict.fromkeys(fold, grader))

    def judge(self, rubric: Question, reply: str) -> Grade:
        return self._graders[rubric.id].judge(rubric, reply)


def folds() -> list[list[str]]:
    """The questions of dev, own and bank in FOLDS parts, each with as many of each."""
    questions: list[str] = []
    for names in (("dev",), ("own", "hard"), ("bank",)):
        questions += sorted({row["question_id"] for name in names for row in rows(name)} - set(questions))
    return [questions[at::FOLDS] for at in range(FOLDS)]


def rows(name: str) -> list[Row]:
    """A set's replies, but those that the encoder was tuned on; of our own the plain ones as "own" and the others as "hard"."""
    file = "own" if name == "hard" else name
    found: list[Row] = [json.loads(line) for line in (HERE / f"{file}.jsonl").read_text("utf-8").splitlines()]
    if file == "stories":
        return found
    return [row for row in found if row.get("held", True) and (file != "own" or row.get("hard", False) == (name == "hard"))]


def report(title: str, found: list[Row], scores: dict[str, list[float | None]]) -> None:
    print(f"\n== {title}: {len(found)} replies")
    for name, given in scores.items():
        told = [(row, score) for row, score in zip(found, given, strict=True) if score is not None]
        marks, values = np.array([row["mark"] for row, _ in told]), np.array([score for _, score in told])
        cells = [
            f"{label} {measure(marks, values):.3f} [{low:.3f}, {high:.3f}]"
            for label, measure in (("r", pearson), ("QWK", kappa), ("MAE", error))
            for low, high in [interval(measure, marks, values)]
        ]
        print(f"  {name:16s} {'  '.join(cells)}  no score: {len(given) - len(told)}")


def kinds(found: list[Row], scores: list[float | None]) -> None:
    by_kind: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row, score in zip(found, scores, strict=True):
        if score is not None:
            by_kind[row.get("kind", "?")].append((row["mark"], score))
    print(f"  {'kind':32s} {'n':>4s} {'marked':>7s} {'scored':>7s} {'MAE':>6s}")
    for kind, pairs in sorted(by_kind.items()):
        marks, given = zip(*pairs, strict=True)
        print(f"  {kind:32s} {len(pairs):4d} {np.mean(marks):7.1f} {np.mean(given):7.1f} {error(marks, given):6.1f}")

    def share(of: Callable[[str], bool], bad: Callable[[float], bool]) -> str:
        values = [score for kind, pairs in by_kind.items() if of(kind) for _, score in pairs]
        count = sum(map(bad, values))
        return f"{count} of {len(values)} ({100 * count / max(1, len(values)):.0f} %)"

    print("  wrong replies over 30:        ", share(lambda kind: kind == "wrong", lambda score: score > 30))
    print(
        "  adversarial over 15:          ",
        share(lambda kind: kind.startswith("adversarial") and "language" not in kind, lambda score: score > 15),
    )
    print("  right in any form, under 60:  ", share(lambda kind: kind in RIGHT, lambda score: score < 60))


def points(found: list[Row], grades: list[Grade]) -> None:
    """How often a verdict is the one that both readers gave; only points on which they agree."""
    table: dict[tuple[Finding, Finding], int] = defaultdict(int)
    for row, grade in zip(found, grades, strict=True):
        if grade.score is None:
            continue
        for verdict in grade.verdicts:
            letters = {reader.get(verdict.point) for reader in row["points"]}
            if len(letters) == 1 and (letter := letters.pop()) is not None:
                table[LETTERS[letter], verdict.finding] += 1
    total = sum(table.values())
    same = sum(count for (true, given), count in table.items() if true is given)
    print(f"  verdicts of points: {same} of {total} as both readers ({100 * same / max(1, total):.1f} %)")
    for true in LETTERS.values():
        line = "  ".join(f"{given.value} {table[true, given]}" for given in LETTERS.values())
        print(f"    read as {true.value:13s} graded: {line}")


def ours(name: str, library: Library, judge: Any, plain: PlainGrader) -> None:
    found = [row for row in rows(name) if row["question_id"] in library.questions]
    questions = [library.questions[row["question_id"]] for row in found]
    grades = [judge.judge(question, row["answer"]) for row, question in zip(found, questions, strict=True)]
    quoted = sum(
        1 for row, grade in zip(found, grades, strict=True) for v in grade.verdicts if v.quote and v.quote != row["answer"][v.start : v.end]
    )
    scores: dict[str, list[float | None]] = {
        judge.name: [grade.score for grade in grades],
        plain.name: [plain.judge(question, row["answer"]).score for row, question in zip(found, questions, strict=True)],
        "length": [100 * (1 - math.exp(-len(row["answer"].split()) / 60)) for row in found],
        "rapidfuzz": [fuzz.token_set_ratio(question.answer, row["answer"]) for row, question in zip(found, questions, strict=True)],
    }
    report(name, found, scores)
    kinds(found, scores[judge.name])
    if found and "points" in found[0]:
        points(found, grades)
    print(f"  quotes that are not in their reply: {quoted}")


def stories(library: Library, judge: ReaderGrader) -> None:
    """What texts that have nothing to do with any question earn from each question of the syllabus."""
    texts = [row["answer"] for row in rows("stories") if not row["held"]]
    questions = [library.questions[name] for name in sorted(library.syllabus.required)]
    scores = [judge.judge(question, text).score or 0 for question in questions for text in texts]
    over = ", ".join(f"{sum(score > most for score in scores)} over {most}" for most in (15, 30))
    print(f"\n== stories: {len(texts)} texts about something else, against {len(questions)} questions each")
    print(f"  mean score {np.mean(scores):.2f}, highest {max(scores)}; of {len(scores)}: {over}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("sets", nargs="*", default=list(SETS), help=f"some of {', '.join(SETS)}")
    folder = os.environ.get("COACH_PUBLIC_SETS")
    parser.add_argument("--public", metavar="DIR", type=Path, default=folder and Path(folder), help="public sets; COACH_PUBLIC_SETS")
    chosen = parser.parse_args(arguments)
    library = load(default_folder())
    gatherer = Gatherer(Remembering.load(WEIGHTS / "encoder.npz"), library)
    learnt = gathered([HERE / f"{name}.jsonl" for name in LEARNT], library, gatherer)
    shipped = ReaderGrader(gatherer, Head.load(WEIGHTS / "head.json"))
    by_question = LeftOut(gatherer, learnt, folds()) if set(chosen.sets) - {"aside", *UNTOUCHED} else None
    for name in chosen.sets:
        judge: Any = by_question
        if name == "aside":
            judge = LeftOut(gatherer, learnt, [sorted({row["question_id"] for row in rows("aside")})])
        elif name in UNTOUCHED:
            judge = shipped
        ours(name, library, judge, PlainGrader())
    stories(library, shipped)
    if chosen.public is None:
        print("\nThe public sets were skipped: COACH_PUBLIC_SETS names no folder.")
    else:
        public(chosen.public, shipped)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
