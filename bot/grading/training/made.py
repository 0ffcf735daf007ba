"""Replies whose labels are known because they were made: marked ones with parts left out, model answers with sentences left out,
answers to neighbouring questions, words in a heap, and lines of a rubric that the rubric is then judged without.

A good reply makes most of its points, so from marked replies alone one learns that a good reply makes them all. These have
every mixture of said and unsaid.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from bot.content import Library, Question
from bot.grading.evidence import Gatherer
from bot.grading.reading import segments
from bot.grading.training.texts import noisy

LETTERS = "CPMX"
"""Covered, partly, missing, contradicted: the order of `bot.grading.reader.CLASSES`."""

SAID, UNSAID, REVERSED = (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0)

WHOLE, GONE = 0.9, 0.1
"""Shares of a quote that must be left for its label to stand, and at most for the point to be unsaid; between them nothing is known."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+")

SAMPLE = 110
"""Questions whose model answers are taken."""

Labels = tuple[float, ...] | None


@dataclass(frozen=True)
class Made:
    """A reply to a question (or to one with a few lines less), with the chances of LETTERS for each point, None where unknown."""

    kind: str
    question: Question
    text: str
    labels: tuple[Labels, ...]


def shares(letters: Sequence[str]) -> Labels:
    """The labels of the readers as chances; None where there is none."""
    return tuple(letters.count(letter) / len(letters) for letter in LETTERS) if letters else None


def cut(reply: dict[str, Any], question: Question, times: int, rng: random.Random) -> Iterator[Made]:
    """A marked reply with some of its segments left out, each time others."""
    parts = segments(reply["answer"])
    done: set[tuple[int, ...]] = set()
    for _ in range(2 * times):
        kept = tuple(i for i in range(len(parts)) if rng.random() < rng.choice((0.4, 0.6, 0.8)))
        if len(done) == times or not kept or len(kept) == len(parts) or kept in done:
            continue
        done.add(kept)
        text = " ".join(parts[i].text + ("" if parts[i].text[-1] in ".!?;" else ".") for i in kept)
        labels = tuple(shares(found) if (found := _left(reply, point.id, kept)) else None for point in question.points)
        if any(one is not None for one in labels):
            yield Made("cut", question, text, labels)


def _left(reply: dict[str, Any], point: str, kept: Sequence[int]) -> list[str]:
    """The labels of a point when only the segments `kept` are left; [] where that can't be said."""
    parts, made = segments(reply["answer"]), []
    for letters, spans in zip_longest(reply["points"], reply["spans"], fillvalue=reply["spans"][0]):  # the first reader quoted
        letter = letters.get(point)
        if letter is None or letter == "M":
            made += [letter] if letter else []
            continue
        start = reply["answer"].find(spans[point]) if spans.get(point) else -1
        if start < 0:
            return []
        shared = [max(0, min(part.end, start + len(spans[point])) - max(part.start, start)) for part in parts]
        left = sum(shared[i] for i in kept) / (sum(shared) or 1)
        if GONE <= left <= WHOLE:
            return []
        made.append(letter if left > WHOLE else "M")
    return made


def of_answers(library: Library, gatherer: Gatherer, rng: random.Random) -> Iterator[Made]:
    """Model answers: whole, with sentences left out, against a neighbour's rubric; its points' words in a heap; its prompt."""
    questions = list(library.questions.values())
    for question in rng.sample(questions, min(len(questions), SAMPLE)):
        sentences = _SENTENCE.split(question.answer)
        windows = segments(question.answer)
        evidence = gatherer.gather(question, windows, len(question.answer.split()))
        ends = [sum(len(one) + 1 for one in sentences[: n + 1]) for n in range(len(sentences))]
        home = [
            next(n for n, end in enumerate(ends) if windows[said if said is not None else best].start < end)
            for said, best in zip(evidence.verbatim, evidence.best, strict=True)
        ]
        none = (UNSAID,) * len(question.points)
        yield Made("answer", question, question.answer, (SAID,) * len(question.points))
        for _ in range(4):
            kept = [n for n in range(len(sentences)) if rng.random() < rng.choice((0.3, 0.6, 0.85))]
            if 0 < len(kept) < len(sentences):
                text = " ".join(sentences[n] for n in kept)
                yield Made("answer cut", question, text, tuple(SAID if n in kept else UNSAID for n in home))
        kin = [one for one in questions if one.file == question.file and one is not question]
        for one in rng.sample(kin, min(2, len(kin))):
            theirs = _SENTENCE.split(one.answer)
            yield Made("neighbour", question, " ".join(rng.sample(theirs, min(len(theirs), rng.choice((2, 4, 9))))), none)
        words = [word for point in question.points for word in point.statement.split()]
        rng.shuffle(words)
        yield Made("heap", question, " ".join(words[: rng.choice((20, 40, 80))]), none)
        yield Made("asked", question, question.prompt, none)


def of_lines(question: Question, times: int, rng: random.Random) -> Iterator[Made]:
    """Lines of a rubric as a reply: some that say a point, some that say it wrongly; the rubric is judged without those very lines.

    Only for questions whose lines the encoder was not tuned on."""
    for _ in range(times):
        likely = rng.choice((0.25, 0.5, 0.75))
        texts, labels, points = [], [], []
        for point in question.points:
            reversing = [text for one in question.misconceptions if one.reverses == point.id for text in one.phrasings]
            chance = rng.random()
            if chance < likely:
                texts.append(rng.choice(point.phrasings))
                labels.append(SAID)
            elif chance < likely + 0.12 and (point.contrary or reversing):
                texts.append(rng.choice([*point.contrary, *reversing]))
                labels.append(REVERSED)
            else:
                labels.append(UNSAID)
            used = set(texts)
            lines = {
                "phrasings": tuple(x for x in point.phrasings if x not in used),
                "contrary": tuple(x for x in point.contrary if x not in used),
            }
            points.append(point.model_copy(update=lines))
        if not texts:
            continue
        beliefs = tuple(
            one.model_copy(update={"phrasings": tuple(text for text in one.phrasings if text not in texts)})
            for one in question.misconceptions
        )
        rng.shuffle(texts)
        said = [noisy(text, rng).rstrip(".") for text in texts]
        reply = " ".join(f"{text[:1].upper()}{text[1:]}." for text in said)
        yield Made("lines", question.model_copy(update={"points": tuple(points), "misconceptions": beliefs}), reply, tuple(labels))
