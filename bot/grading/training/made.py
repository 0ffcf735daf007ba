"""Replies whose labels are known because they were made: marked ones with parts left out, model answers with sentences left out,
answers to neighbouring questions, words in a heap, and lines of a rubric that the rubric is then judged without.

A good reply makes most of its points, so from marked replies alone one learns that a good reply makes them all. These have
every mixture of said and unsaid.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from bot.content import Library, Misconception, Question
from bot.grading.evidence import Gatherer
from bot.grading.others import TWINS
from bot.grading.reading import segments
from bot.grading.training.texts import noisy

LETTERS = "CPMX"
"""Covered, partly, missing, contradicted: the order of `bot.grading.reader.CLASSES`."""

SAID, UNSAID, REVERSED = (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0)

WHOLE, GONE = 0.9, 0.1
"""Shares of a quote that must be left for its label to stand, and at most for the point to be unsaid; between them nothing is known."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+")

GOOD = 50
"""Mark from which a reply to another question of the topic is a good one."""

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
    stated: Mapping[str, float] = field(default_factory=dict)
    """How sure it is that each misconception is stated; those of which that is not known are left out."""
    source: str = ""
    """The question whose marked replies it is, or was made of; "" where it is made of the packs alone."""


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
            yield Made("cut", question, text, labels, source=question.id)


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
    """Model answers: whole, and with sentences left out; the points' words in a heap; the prompt."""
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
        words = [word for point in question.points for word in point.statement.split()]
        rng.shuffle(words)
        yield Made("heap", question, " ".join(words[: rng.choice((20, 40, 80))]), none)
        yield Made("asked", question, question.prompt, none)


def of_neighbours(library: Library, gatherer: Gatherer, replies: Sequence[dict[str, Any]], rng: random.Random) -> Iterator[Made]:
    """Model answers to other questions of the topic, whole and in part, and good marked replies to them. Never the answer to the
    very next question: what that one earns is a proof of every rubric (`bot.grading.proof.besides`), and must not be learnt."""
    topics: dict[str, list[Question]] = {}
    for question in library.questions.values():
        topics.setdefault(question.file, []).append(question)

    def kin(question: Question) -> list[Question]:
        topic = topics[question.file]
        following = topic[(topic.index(question) + 1) % len(topic)]
        return [one for one in topic if one is not question and one is not following]

    for question in library.questions.values():
        chosen = rng.sample(kin(question), min(3, len(kin(question))))
        for number, one in enumerate(chosen):
            theirs = _SENTENCE.split(one.answer)
            text = one.answer if number < 2 else " ".join(rng.sample(theirs, min(len(theirs), rng.choice((2, 4, 9)))))
            yield Made("neighbour", question, text, _apart(question, one, gatherer))
    for reply in replies:
        answered = library.questions[reply["question_id"]]
        others = [one for one in topics[answered.file] if answered in kin(one)]
        if reply["mark"] >= GOOD and others:
            question = rng.choice(others)
            yield Made("neighbour", question, reply["answer"], _apart(question, answered, gatherer), source=answered.id)


def of_stories(library: Library, texts: Sequence[str], rng: random.Random) -> Iterator[Made]:
    """Two texts that have nothing to do with any question, for each question."""
    for question in library.questions.values():
        for text in rng.sample(texts, min(2, len(texts))):
            yield Made("story", question, text, (UNSAID,) * len(question.points))


def _apart(question: Question, other: Question, gatherer: Gatherer) -> tuple[Labels, ...]:
    """Labels for an answer to `other`: each point is unsaid, unless the other question's rubric has a line that says the same."""
    own, theirs = gatherer.claims(question), gatherer.claims(other)
    lines = theirs.vectors[[n for group in theirs.right for n in group]]
    return tuple(None if (own.vectors[list(group)] @ lines.T).max() >= TWINS else UNSAID for group in own.right)


def of_lines(question: Question, times: int, rng: random.Random) -> Iterator[Made]:
    """Lines of a rubric as a reply: some that say a point, some that say it wrongly, some that state a misconception; the rubric is
    judged without those very lines. Every other time the reply is one line alone.

    Only for questions whose lines the encoder was not tuned on."""
    for time in range(times):
        likely = rng.choice((0.25, 0.5, 0.75))
        told = _Told(question)
        order = rng.sample(question.points, len(question.points))
        if time % 2:
            point, kind = order[0], rng.random()
            if kind < 0.4:
                told.say(point.id, rng.choice(point.phrasings))
            elif kind < 0.7 and point.contrary:
                told.reverse(point.id, rng.choice(point.contrary))
            elif question.misconceptions:
                told.believe(rng.choice(question.misconceptions), rng)
        else:
            for point in order:
                reversing = [one for one in question.misconceptions if one.reverses == point.id]
                chance = rng.random()
                if chance < likely:
                    told.say(point.id, rng.choice(point.phrasings))
                elif chance < likely + 0.12 and (point.contrary or reversing):
                    if reversing and (not point.contrary or rng.random() < 0.5):
                        told.believe(rng.choice(reversing), rng)
                    else:
                        told.reverse(point.id, rng.choice(point.contrary))
            loose = [one for one in question.misconceptions if not one.reverses]
            if loose and rng.random() < 0.15:
                told.believe(rng.choice(loose), rng)
        if told.texts:
            yield told.made(rng)


class _Told:
    """A reply in the making: its lines, and what they are to each point and misconception."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.texts: list[str] = []
        self._labels: dict[str, Labels] = dict.fromkeys((point.id for point in question.points), UNSAID)
        self._stated = dict.fromkeys((one.id for one in question.misconceptions), 0.0)

    def say(self, point: str, text: str) -> None:
        self._labels[point] = SAID
        self.texts.append(text)

    def reverse(self, point: str, text: str) -> None:
        self._labels[point] = REVERSED
        self.texts.append(text)
        for one in self.question.misconceptions:  # its lines may say the same or not: nobody knows
            if one.reverses == point:
                self._stated.pop(one.id, None)

    def believe(self, one: Misconception, rng: random.Random) -> None:
        if one.reverses in self._labels:
            self.reverse(one.reverses, rng.choice(one.phrasings))
        else:
            self.texts.append(rng.choice(one.phrasings))
        self._stated[one.id] = 1.0

    def made(self, rng: random.Random) -> Made:
        rng.shuffle(self.texts)
        words = [noisy(text, rng).rstrip(".") for text in self.texts]
        reply = " ".join(f"{text[:1].upper()}{text[1:]}." for text in words)
        labels = tuple(self._labels[point.id] for point in self.question.points)
        return Made("lines", without(self.question, self.texts), reply, labels, self._stated)


def without(question: Question, texts: Sequence[str]) -> Question:
    """A question whose rubric lacks some lines."""

    def rest(lines: Sequence[str]) -> tuple[str, ...]:
        return tuple(line for line in lines if line not in texts)

    points = tuple(one.model_copy(update={"phrasings": rest(one.phrasings), "contrary": rest(one.contrary)}) for one in question.points)
    beliefs = tuple(one.model_copy(update={"phrasings": rest(one.phrasings)}) for one in question.misconceptions)
    return question.model_copy(update={"points": points, "misconceptions": beliefs})
