"""What an appeal lets through: `PYTHONPATH=tests python -m bench.appeals [plain]`, some minutes.

For every point of the labelled replies in tests/grading/aside.jsonl that the grader did not find covered: where both readers
found it made, the words that a reader marked are pointed at; where both found it missing, the two sentences that are nearest to
the point by their words. Printed is how many verdicts an appeal raises.
"""

from __future__ import annotations

import sys
from collections import Counter

from bench.grading import rows
from worlds import MONDAY

from bot import appeals
from bot.content import default_folder, load
from bot.grading import Judge, offline
from bot.grading.plain import PlainGrader
from bot.model import Attempt, Finding, Grade, Ruling

TRUTH = {frozenset("C"): "made", frozenset("CP"): "made", frozenset("P"): "partly", frozenset("M"): "missing", frozenset("X"): "contrary"}


def main() -> None:
    library = load(default_folder())
    judge: Judge = PlainGrader() if "plain" in sys.argv else offline(library)[0]
    seen: Counter[tuple[str, str]] = Counter()
    raised: Counter[tuple[str, str]] = Counter()
    for row in sorted(rows("aside"), key=lambda one: str(one["question_id"])):
        question = library.questions[row["question_id"]]
        text: str = row["answer"]
        grade = judge.judge(question, text)
        attempt = Attempt("", "", "", question.id, "", text, MONDAY, 0, grade)
        for point in appeals.appealable(question, grade):
            truth = TRUTH.get(frozenset(one.get(point.id, "M") for one in row["points"]))
            verdict = grade.verdict(point.id)
            if truth is None or verdict is None:
                continue
            if truth in ("made", "partly"):
                marked = [spans[point.id] for spans in row["spans"] if spans.get(point.id)][:1]
                places = [place for words in marked if (place := appeals.located(text, words).place)]
            else:
                found = appeals.sentences(text)
                places = [found[number] for number in appeals.offered(text, question, point, 2)]
            if not places:
                continue
            rulings = []
            for place in places:
                span = appeals.in_context(text, place)
                struck: Grade | None = judge.judge(question, verdict.quote) if verdict.finding is Finding.CONTRADICTED else None
                rulings.append(appeals.rule(question, attempt, point, span, judge.judge(question, span.text), struck).ruling)
            seen[truth, verdict.finding.value] += 1
            raised[truth, verdict.finding.value] += Ruling.RAISED in rulings
    print(f"{judge.name}: raised of those that could be appealed, by what two readers found and the verdict before")
    for truth, before in sorted(seen):
        print(f"  {truth:<9} {before:<13} {raised[truth, before]:>3} of {seen[truth, before]:>3}")


if __name__ == "__main__":
    main()
