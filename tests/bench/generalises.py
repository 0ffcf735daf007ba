"""How well the grader does on rubrics, and on lines of rubrics, that its encoder never saw; part of `make bench-grading`.

Each line that is tried (a phrasing, a contrary, a misconception's phrasing) is first taken out of its rubric. Then it is the whole
reply, or stands in the model answer in place of the sentence that makes its point. No marked reply is needed, so that it can be run
over the whole bank. `--fast` asks the encoder's judge alone, without the verdicts: seconds, to compare weights.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rewordings

from bot.content import Library, Misconception, Point, Question, default_folder, load
from bot.grading.encoder import Encoder
from bot.grading.evidence import Gatherer
from bot.grading.reader import WEIGHTS, Head, ReaderGrader
from bot.grading.training import validation
from bot.grading.training.memory import Remembering
from bot.grading.training.texts import Material, apart, read, spared
from bot.model import Finding

SEED = 5

Chosen = Callable[[str], bool]
"""Whether a line may be tried."""


@dataclass(frozen=True)
class Group:
    """Questions, and which of their lines are tried."""

    name: str
    questions: tuple[Question, ...]
    line: Chosen


def groups(library: Library, count: int, rng: random.Random) -> list[Group]:
    """At most `count` questions each: rubrics that the encoder never saw; lines that it never saw of rubrics that it knows; and
    lines that it was tuned on. The first 55 questions were all tuned on once, so none of them is new."""
    first = set(library.syllabus.required)
    later = [one for one in library.questions.values() if one.id not in first]
    unseen = [one for one in later if spared(one.id) == 1]
    known = [one for one in later if spared(one.id) is None]
    tuned = [one for one in library.questions.values() if one.id in first and spared(one.id) is None]
    return [
        Group("rubrics never seen", _some(unseen, count, rng), lambda line: True),
        Group("lines never seen, of rubrics seen", _some(known, 3 * count, rng), apart),
        Group("lines seen", _some(tuned, count, rng), lambda line: not apart(line)),
    ]


def _some(questions: Sequence[Question], count: int, rng: random.Random) -> tuple[Question, ...]:
    return tuple(rng.sample(questions, min(count, len(questions))))


# ----------------------------------------------------------------------------------------------- the judge alone


def judged(encoder: Encoder, group: Group, materials: Mapping[str, Material]) -> None:
    """Prints how well the judge tells the kinds of lines apart."""
    pairs = validation.drawn([materials[one.id] for one in group.questions], random.Random(SEED), group.line)
    texts = list(dict.fromkeys(text for found in pairs.values() for pair in found for text in pair))
    read = dict(zip(texts, encoder.read(texts), strict=True))
    logits = {kind: encoder.judge([(read[claim], read[passage]) for claim, passage in found]) for kind, found in pairs.items() if found}
    near = {kind: np.array([read[claim].vector @ read[passage].vector for claim, passage in found]) for kind, found in pairs.items()}
    print(f"\n== the judge alone, {group.name}: {len(group.questions)} questions\n  {validation.summary(logits, near)}", flush=True)


def _spread(texts: Sequence[str], line: Chosen, most: int, rng: random.Random) -> list[str]:
    free = [text for text in texts if line(text)]
    return rng.sample(free, min(most, len(free)))


# ------------------------------------------------------------------------------------------------------ verdicts


def without(question: Question, text: str) -> Question:
    """The question, but for one line."""

    def left(lines: Sequence[str]) -> tuple[str, ...]:
        return tuple(line for line in lines if line != text)

    return question.model_copy(
        update={
            "points": tuple(
                one.model_copy(update={"phrasings": left(one.phrasings), "contrary": left(one.contrary)}) for one in question.points
            ),
            "misconceptions": tuple(one.model_copy(update={"phrasings": left(one.phrasings)}) for one in question.misconceptions),
        }
    )


def embedded(grader: ReaderGrader, question: Question, point: str, text: str) -> str | None:
    """The model answer with `text` in place of the sentence that makes a point; None where no sentence does."""
    found = rewordings.sentences(question.answer)
    verdict = grader.judge(question, question.answer).verdict(point)
    if verdict.start is None:
        return None
    at = 0
    for number, sentence in enumerate(found):
        at = question.answer.index(sentence, at)
        if at <= verdict.start < at + len(sentence):
            line = text[:1].upper() + text[1:].rstrip(".") + "."
            return " ".join([*found[:number], line, *found[number + 1 :]])
        at += len(sentence)
    return None


def light(text: str, rng: random.Random) -> str:
    """A line as it might be said by another: contractions, an opener, in lower case."""
    way = rng.randrange(3)
    if way == 0:
        return rewordings.contracted(text)
    if way == 1:
        return f"I'd say {text[:1].lower()}{text[1:]}"
    return text.lower().rstrip(".")


class Tally:
    """Counts of what became of the lines of each kind."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)

    def print(self) -> None:
        for kind, found in self.counts.items():
            total = found.pop("n")
            print(
                f"  {kind:34s} {total:4d}: "
                + ", ".join(f"{name} {count} ({100 * count / total:.0f} %)" for name, count in found.most_common()),
                flush=True,
            )


def tried(grader: ReaderGrader, group: Group) -> None:
    """Prints the verdicts on the lines of a group: at most one phrasing, one contrary and one misconception's phrasing a point."""
    tally = Tally()
    for question in group.questions:
        rng = random.Random(f"{SEED} {question.id}")
        for point in question.points:
            for text in _spread(point.phrasings, group.line, 1, rng):
                _line(grader, question, point, text, "phrasing", tally, rng)
            for text in _spread(point.contrary, group.line, 1, rng):
                _line(grader, question, point, text, "contrary", tally, rng)
        for one in question.misconceptions:
            for text in _spread(one.phrasings, group.line, 1, rng):
                _false(grader, question, one, text, tally)
    print(f"\n== verdicts, {group.name}: {len(group.questions)} questions")
    tally.print()


def _line(grader: ReaderGrader, question: Question, point: Point, text: str, kind: str, tally: Tally, rng: random.Random) -> None:
    rubric = without(question, text)
    ways = {"alone": text, "reworded": light(text, rng), "in the model answer": embedded(grader, question, point.id, text)}
    for way, reply in ways.items():
        if reply is None:
            continue
        grade = grader.judge(rubric, reply)
        found = tally.counts[f"{kind} {way}"]
        found["n"] += 1
        found[grade.verdict(point.id).finding.value] += 1
        if way == "alone":
            others = [verdict for verdict in grade.verdicts if verdict.point != point.id]
            beside = tally.counts[f"other points, {kind} alone"]
            beside["n"] += len(others)
            beside["covered"] += sum(one.finding is Finding.COVERED for one in others)
            beside["contradicted"] += sum(one.finding is Finding.CONTRADICTED for one in others)


def _false(grader: ReaderGrader, question: Question, one: Misconception, text: str, tally: Tally) -> None:
    rubric = without(question, text)
    ways = {"alone": text, "in the model answer": embedded(grader, question, one.reverses, text) if one.reverses else None}
    for way, reply in ways.items():
        if reply is None:
            continue
        grade = grader.judge(rubric, reply)
        found = tally.counts[f"misconception {way}"]
        found["n"] += 1
        found["named"] += any(found.misconception == one.id for found in grade.misconceptions)
        found["another named"] += any(found.misconception != one.id for found in grade.misconceptions)
        if one.reverses:
            found[f"reversed point {grade.verdict(one.reverses).finding.value}"] += 1
        if way == "alone":
            found["earns"] += bool(grade.score)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--questions", type=int, default=20, help="of a group, at most")
    parser.add_argument("--fast", action="store_true", help="the encoder's judge alone")
    parser.add_argument("--weights", type=Path, default=WEIGHTS / "encoder.npz", help="of the encoder")
    parser.add_argument("--head", type=Path, default=WEIGHTS / "head.json", help="what was fitted on its numbers")
    chosen = parser.parse_args(arguments)
    library = load(default_folder())
    encoder = Remembering.load(chosen.weights)
    materials = {one.id: one for one in read(default_folder())}
    grader = None if chosen.fast else ReaderGrader(Gatherer(encoder, library), Head.load(chosen.head))
    for group in groups(library, chosen.questions, random.Random(SEED)):
        judged(encoder, group, materials)
        if grader is not None:
            tried(grader, group)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
