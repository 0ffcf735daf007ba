"""The metamorphic checks over all questions of a pack: python -m bench.metamorphic_all [pack]"""

from __future__ import annotations

import sys
from collections import Counter

import metamorphic

from bot.content import default_folder, load
from bot.grading.evidence import Gatherer
from bot.grading.reader import WEIGHTS, Head, ReaderGrader
from bot.grading.training.memory import Remembering


def main() -> int:
    library = load(default_folder())
    pack = sys.argv[1] if len(sys.argv) > 1 else "ml-interview"
    grader = ReaderGrader(Gatherer(Remembering.load(WEIGHTS / "encoder.npz"), library), Head.load(WEIGHTS / "head.json"))
    held: Counter[str] = Counter()
    total: Counter[str] = Counter()
    questions = [one for one in library.questions.values() if one.pack == pack]
    for question in questions:
        for check in metamorphic.checks(grader, question):
            total[check.kind] += 1
            held[check.kind] += check.held
            if not check.held:
                print(f"  {check.kind}: {check.question}: {check.about}: {check.seen}")
    print(f"== {pack}: {len(questions)} questions")
    for kind, count in total.items():
        print(f"  {kind:12s} {held[kind]} of {count} ({100 * held[kind] / count:.1f} %)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
