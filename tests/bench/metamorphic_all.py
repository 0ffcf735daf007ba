"""The metamorphic checks over all questions of a pack, those of the syllabus first and counted by themselves:
python -m bench.metamorphic_all [pack]"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

import metamorphic

from bot.content import Question, default_folder, load
from bot.grading.evidence import Gatherer
from bot.grading.reader import WEIGHTS, Head, ReaderGrader
from bot.grading.training.memory import Remembering


def run(grader: ReaderGrader, name: str, questions: Sequence[Question]) -> None:
    """Prints each failure by name, then how many checks of each kind held."""
    held: Counter[str] = Counter()
    total: Counter[str] = Counter()
    print(f"\n== {name}: {len(questions)} questions")
    for question in questions:
        for check in metamorphic.checks(grader, question):
            total[check.kind] += 1
            held[check.kind] += check.held
            if not check.held:
                print(f"  {check.kind}: {check.question}: {check.about}: {check.seen}", flush=True)
    for kind, count in total.items():
        print(f"  {kind:12s} {held[kind]} of {count} ({100 * held[kind] / count:.1f} %)")


def main() -> int:
    library = load(default_folder())
    pack = sys.argv[1] if len(sys.argv) > 1 else "ml-interview"
    grader = ReaderGrader(Gatherer(Remembering.load(WEIGHTS / "encoder.npz"), library), Head.load(WEIGHTS / "head.json"))
    questions = [one for one in library.questions.values() if one.pack == pack]
    first = [one for one in questions if one.id in library.syllabus.required]
    others = [one for one in questions if one.id not in library.syllabus.required]
    for name, chosen in ((f"{pack}, the syllabus", first), (f"{pack}, the others", others)):
        run(grader, name, chosen)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
