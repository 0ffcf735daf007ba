"""The grader that comes with the coach: reads every clause of a reply against every point with its own small encoder.

Evidence (bot.grading.evidence) goes through one small model of four classes a point, fitted on marked replies; what it finds is
a verdict with the segment that speaks most for it. Deterministic, offline, and never a score without its evidence.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.content import Library, Point, Rubric
from bot.grading import arithmetic, directions, formulas, gates, inequalities
from bot.grading.claims import KEPT, Numbers
from bot.grading.encoder import Encoder, WeightsError
from bot.grading.evidence import FEATURES, Evidence, Gatherer
from bot.grading.reading import LONGEST, Window, segments, shortened, stems
from bot.model import Finding, Grade, Mistaken, Verdict

VERSION = "reader 6"
WEIGHTS = Path(__file__).parent / "weights"

LEAST, MOST = 0.2, 0.75
"""Expected shares of a point up to and from which it counts as nothing and as all."""

SOME, ENOUGH = 0.15, 0.65
"""Strengths from which a point is partly said, and covered."""

STATED = 0.5
"""Chance from which a misconception is named."""

CERTAIN = 0.95
"""Chance of covered from which a point that is about a number is made by half without one."""

_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    r"|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|millions?|half|halves|third|quarter|percent|double|twice)\b",
    re.IGNORECASE,
)

HASTY = 0.75
"""Chance from which a point is contradicted by a reply that was typed in haste."""

QUOTED = 5
"""Words in a row from which a segment is known for one of the model answer."""

CONTRADICTED = 3
CLASSES = (Finding.COVERED, Finding.PARTLY, Finding.MISSING, Finding.CONTRADICTED)

Floats = NDArray[np.float64]


SAID = 5
"""Words that carry meaning from which a learner is told that a reply answers another question."""


@dataclass(frozen=True)
class Model:
    """One model of four classes: means and scales of the features, and a hidden layer of rectified units. Or several with one more
    axis, which comes first."""

    mean: Floats
    scale: Floats
    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: Floats

    def __call__(self, features: Numbers) -> Floats:
        rows = (features - self.mean[..., None, :]) / self.scale[..., None, :]
        hidden = np.maximum(np.sum(rows[..., None, :] * self.hidden[..., None, :, :], axis=-1) + self.hidden_bias[..., None, :], 0.0)
        logits = np.sum(hidden[..., None, :] * self.out[..., None, :, :], axis=-1) + self.out_bias[..., None, :]
        logits = np.exp(logits - logits.max(axis=-1, keepdims=True))
        made: Floats = logits / logits.sum(axis=-1, keepdims=True)
        return made


@dataclass(frozen=True)
class Head:
    """What was fitted on marked replies (see `bot.grading.training.head`): models that are averaged, and the misconceptions' own."""

    models: tuple[Model, ...]
    stated: Floats

    @classmethod
    def load(cls, file: Path) -> Head:
        """Reads the fitted numbers. Raises WeightsError where they are missing or made for other features."""
        try:
            raw = json.loads(file.read_text("utf-8"))
            if tuple(raw["features"]) != FEATURES:
                raise WeightsError(f"{file.name} was fitted on other features")
            models = tuple(Model(**{name: np.array(value) for name, value in one.items()}) for one in raw["models"])
            return cls(models, np.array(raw["stated"]))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise WeightsError(f"cannot read {file.name}: {problem}") from problem

    def points(self, features: Numbers) -> Floats:
        """Probabilities of CLASSES for each point, [points, 4]."""
        made: Floats = self._together(features).mean(axis=0)
        return made

    @cached_property
    def _together(self) -> Model:
        """The models as one, which is quicker than one after another."""
        return Model(**{one.name: np.stack([getattr(model, one.name) for model in self.models]) for one in fields(Model)})

    def misconceptions(self, table: Numbers) -> Floats:
        """The probability that each is stated, [misconceptions]."""
        made: Floats = 1.0 / (1.0 + np.exp(-(np.sum(table * self.stated[:-1], axis=1) + self.stated[-1])))
        return made


class ReaderGrader:
    """Grades with the encoder. The first grade against a rubric reads the rubric, which takes about a second."""

    name = VERSION

    def __init__(self, gatherer: Gatherer, head: Head) -> None:
        self.gatherer = gatherer
        self.head = head
        self._sheets: OrderedDict[int, tuple[Rubric, formulas.Sheet, inequalities.Told, tuple[directions.Moves, ...]]] = OrderedDict()

    @classmethod
    def load(cls, library: Library, cache: Path | None = None, folder: Path = WEIGHTS, encoder: type[Encoder] = Encoder) -> ReaderGrader:
        """Reads the weights that come with the coach. Raises WeightsError in a sentence."""
        return cls(Gatherer(encoder.load(folder / "encoder.npz"), library, cache), Head.load(folder / "head.json"))

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        return self.judge(rubric, reply)

    def judge(self, rubric: Rubric, reply: str) -> Grade:
        """As `grade`, without waiting."""
        text = shortened(reply)
        notes = ["cut"] if len(reply) > LONGEST else []
        if gates.language(text) not in ("en", ""):
            verdicts = tuple(Verdict(point.id, Finding.CANNOT_TELL) for point in rubric.points)
            return Grade(None, verdicts, (), VERSION, "language")
        windows, orders = gates.evidence(segments(text), rubric.prompt)
        if orders:
            notes.append("instructions")
        if not windows or gates.heap(text):
            verdicts = tuple(Verdict(point.id, Finding.MISSING) for point in rubric.points)
            return Grade(0, verdicts, (), VERSION, " ".join([*notes, *(["keywords"] if windows else [])]))
        evidence = self.gatherer.gather(rubric, windows, sum(len(window.text.split()) for window in windows))
        if evidence.foreign:
            notes.append("off-topic")
        elif evidence.beside and len(stems(text)) >= SAID:  # of "fine" nobody can tell what it answers
            notes.append("neighbour")
        sheet, orders_of, moves = self._sheet(rubric)
        settled = {point.id for k, point in enumerate(rubric.points) if evidence.settled(k)}
        verdicts = directions.applied(self.verdicts(rubric, evidence, windows), directions.found(moves, text, windows), text, settled)
        told = formulas.found(sheet, text, windows) + inequalities.turned(orders_of, text, windows)
        verdicts = formulas.applied(verdicts, told, text, settled)
        mistaken = self.mistaken(rubric, evidence, windows, verdicts)
        return Grade(arithmetic.score(rubric, verdicts, mistaken), verdicts, mistaken, VERSION, " ".join(notes))

    def _sheet(self, rubric: Rubric) -> tuple[formulas.Sheet, inequalities.Told, tuple[directions.Moves, ...]]:
        """The rubric's formulas, inequalities and directions, read once."""
        kept = self._sheets.get(id(rubric))
        if kept is None or kept[0] is not rubric:
            kept = self._sheets[id(rubric)] = (
                rubric, formulas.Sheet.of_rubric(rubric), inequalities.of_rubric(rubric), directions.of_rubric(rubric),
            )  # fmt: skip
            while len(self._sheets) > KEPT:
                self._sheets.popitem(last=False)
        return kept[1:]

    def verdicts(self, rubric: Rubric, evidence: Evidence, windows: Sequence[Window]) -> tuple[Verdict, ...]:
        """A verdict for each point: contradicted where that is the likeliest, else by the share of it that is expected."""
        found = []
        true = {place for place, _ in filter(None, evidence.plain)}
        # A segment that says a misconception in the rubric's own words makes no point.
        false = ({*evidence.believed} - true) | evidence.echoed
        answer = _flat(rubric.answer)
        for k, (point, chances) in enumerate(zip(rubric.points, self.head.points(evidence.points), strict=True)):
            if evidence.hasty and chances[CONTRADICTED] < HASTY:
                chances = np.append(chances[:CONTRADICTED] / chances[:CONTRADICTED].sum(), 0.0)
            expected = (float(chances[0] + 0.5 * chances[1]) - LEAST) / (MOST - LEAST)
            strength = round(min(max(expected, 0.0), 1.0), 3)
            likeliest = int(np.argmax(chances)) == CONTRADICTED
            quoted = _quoted(windows[evidence.worst[k]], answer)  # the model answer contradicts nothing
            contradicted = likeliest and not quoted
            sure = float(chances[CONTRADICTED]) if contradicted else max(strength, 1.0 - strength)
            said, unsaid, plain = evidence.verbatim[k], evidence.reversed[k], evidence.plain[k]
            elsewhere = bool(evidence.taken) and evidence.worst[k] in evidence.taken[k]
            if likeliest and quoted and not elsewhere and said is None and unsaid is None:
                said = evidence.worst[k]
            if contradicted and unsaid is None and evidence.worst[k] in true:  # what says one point contradicts no other
                contradicted = False
            if said is None and plain is not None and unsaid in (None, plain[0]) and plain[0] not in false:
                unsaid = None
                contradicted = False
                if plain[1] > strength:
                    said, strength = plain[0], round(plain[1], 3)
                sure = 1.0
            elif said is not None:  # the rubric's own words need no judgement
                contradicted, strength, sure = False, 1.0, 1.0
            elif unsaid is not None:
                contradicted, sure = True, 1.0
            elif evidence.best[k] in false or (evidence.taken and evidence.best[k] in evidence.taken[k]):
                strength = 0.0
            if not contradicted and (evidence.best[k] if said is None else said) in evidence.beside:
                said, strength = None, 0.0
            if (
                said is None
                and not contradicted
                and strength >= SOME
                and numeric(point)
                and not any(_counted(window.text) for window in windows)
            ):
                strength = min(strength, 0.5 if chances[0] >= CERTAIN else 0.0)
            doubt = 0.0 if contradicted or quoted or said is not None else round(float(chances[CONTRADICTED]), 3)
            if contradicted:
                window = windows[evidence.worst[k] if unsaid is None else unsaid]
                found.append(Verdict(point.id, Finding.CONTRADICTED, window.text, window.start, window.end, sure=round(sure, 3)))
            elif strength < SOME:
                found.append(Verdict(point.id, Finding.MISSING, sure=round(sure, 3), doubt=doubt))
            else:
                window = windows[evidence.best[k] if said is None else said]
                finding = Finding.COVERED if strength >= ENOUGH else Finding.PARTLY
                found.append(Verdict(point.id, finding, window.text, window.start, window.end, strength, sure=round(sure, 3), doubt=doubt))
        return tuple(found)

    def mistaken(self, rubric: Rubric, evidence: Evidence, windows: Sequence[Window], verdicts: Sequence[Verdict]) -> tuple[Mistaken, ...]:
        """The misconceptions that are stated, each with its words; none that reverses a point which the reply gets right."""
        right = {verdict.point for verdict in verdicts if verdict.finding is Finding.COVERED}
        true = {place for place, _ in filter(None, evidence.plain)}
        chances = self.head.misconceptions(evidence.misconceptions)
        answer = _flat(rubric.answer)
        found = []
        for j, one in enumerate(rubric.misconceptions):
            said = evidence.believed[j]
            if said in true and said not in evidence.echoed:
                said = None
            likely = (
                chances[j] >= STATED
                and evidence.stated[j] not in true
                and one.reverses not in right
                and not _quoted(windows[evidence.stated[j]], answer)
            )
            if said is None and not likely:
                continue
            window = windows[evidence.stated[j] if said is None else said]
            sure = 1.0 if said is not None else round(float(chances[j]), 3)
            found.append(Mistaken(one.id, window.text, window.start, window.end, sure=sure))
        return tuple(found)


def _counted(text: str) -> bool:
    """Whether there is a number in a text, in digits or as a word."""
    return _NUMBER.search(text) is not None


@lru_cache(maxsize=4096)
def numeric(point: Point) -> bool:
    """Whether a point is about a number: one is in its statement and in each of its phrasings."""
    return _counted(point.statement) and all(map(_counted, point.phrasings))


def _flat(text: str) -> str:
    return " ".join(text.casefold().split())


def _quoted(window: Window, answer: str) -> bool:
    """Whether a segment stands so in the model answer, given as `_flat` has it: what it says of a point is then right, whatever it
    sounds like."""
    said = _flat(window.text)
    return len(said.split()) >= QUOTED and said in answer
