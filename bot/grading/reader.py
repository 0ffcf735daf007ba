"""The grader that comes with the coach: reads every clause of a reply against every point with its own small encoder.

Evidence (bot.grading.evidence) goes through one small model of four classes a point, fitted on marked replies; what it finds is
a verdict with the segment that speaks most for it. Deterministic, offline, and never a score without its evidence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.content import Rubric
from bot.grading import arithmetic, gates
from bot.grading.encoder import Encoder, WeightsError
from bot.grading.evidence import FEATURES, Evidence, Gatherer
from bot.grading.reading import LONGEST, Window, segments
from bot.model import Finding, Grade, Mistaken, Verdict

VERSION = "reader 1"
WEIGHTS = Path(__file__).parent / "weights"

CLASSES = (Finding.COVERED, Finding.PARTLY, Finding.MISSING, Finding.CONTRADICTED)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Head:
    """The model of four classes: means and scales of the features, one hidden layer, and the misconceptions' own."""

    mean: Floats
    scale: Floats
    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: Floats
    stated: Floats

    @classmethod
    def load(cls, file: Path) -> Head:
        """Reads the fitted numbers. Raises WeightsError where they are missing or made for other features."""
        try:
            raw = json.loads(file.read_text("utf-8"))
            if tuple(raw["features"]) != FEATURES:
                raise WeightsError(f"{file.name} was fitted on other features")
            return cls(**{name: np.array(raw[name]) for name in cls.__dataclass_fields__})
        except (OSError, ValueError, KeyError) as problem:
            raise WeightsError(f"cannot read {file.name}: {problem}") from problem

    def points(self, features: Floats) -> Floats:
        """Probabilities of CLASSES for each point, [points, 4]."""
        rows = (features - self.mean) / self.scale
        hidden = np.maximum(np.sum(rows[:, None, :] * self.hidden[None], axis=2) + self.hidden_bias, 0.0)
        logits = np.sum(hidden[:, None, :] * self.out[None], axis=2) + self.out_bias
        logits = np.exp(logits - logits.max(axis=1, keepdims=True))
        made: Floats = logits / logits.sum(axis=1, keepdims=True)
        return made

    def misconceptions(self, table: Floats) -> Floats:
        """The probability that each is stated, [misconceptions]."""
        made: Floats = 1.0 / (1.0 + np.exp(-(np.sum(table * self.stated[:-1], axis=1) + self.stated[-1])))
        return made


class ReaderGrader:
    """Grades with the encoder. The first grade against a rubric reads the rubric, which takes about a second."""

    name = VERSION

    def __init__(self, encoder: Encoder, head: Head, cache: Path | None = None) -> None:
        self.gatherer = Gatherer(encoder, cache)
        self._head = head

    @classmethod
    def load(cls, folder: Path = WEIGHTS, cache: Path | None = None) -> ReaderGrader:
        """Reads the weights that come with the coach. Raises WeightsError in a sentence."""
        return cls(Encoder.load(folder / "encoder.npz"), Head.load(folder / "head.json"), cache)

    async def grade(self, rubric: Rubric, reply: str) -> Grade:
        return self.judge(rubric, reply)

    def judge(self, rubric: Rubric, reply: str) -> Grade:
        """As `grade`, without waiting."""
        text = reply[:LONGEST]
        notes = ["cut"] if len(reply) > LONGEST else []
        if gates.language(text) not in ("en", ""):
            verdicts = tuple(Verdict(point.id, Finding.CANNOT_TELL) for point in rubric.points)
            return Grade(None, verdicts, (), VERSION, "language")
        windows, orders = gates.evidence(segments(text))
        if orders:
            notes.append("instructions")
        if not windows or gates.heap(text):
            verdicts = tuple(Verdict(point.id, Finding.MISSING) for point in rubric.points)
            return Grade(0, verdicts, (), VERSION, " ".join([*notes, *(["keywords"] if windows else [])]))
        evidence = self.gatherer.gather(rubric, windows, len(text.split()))
        verdicts = self.verdicts(rubric, evidence, windows)
        mistaken = self.mistaken(rubric, evidence, windows, verdicts)
        return Grade(arithmetic.score(rubric, verdicts, mistaken), verdicts, mistaken, VERSION, " ".join(notes))

    def verdicts(self, rubric: Rubric, evidence: Evidence, windows: Sequence[Window]) -> tuple[Verdict, ...]:
        """A verdict for each point: the likeliest class, and the earned share that is to be expected."""
        found = []
        for k, (point, chances) in enumerate(zip(rubric.points, self._head.points(evidence.points), strict=True)):
            finding = CLASSES[int(np.argmax(chances))]
            window = windows[evidence.worst[k] if finding is Finding.CONTRADICTED else evidence.best[k]]
            earned = float(chances[0] + 0.5 * chances[1])
            sure = float(chances.max())
            if finding is Finding.MISSING:
                found.append(Verdict(point.id, finding, strength=round(min(earned, 0.4), 4), sure=round(sure, 4)))
            elif finding is Finding.CONTRADICTED:
                found.append(Verdict(point.id, finding, window.text, window.start, window.end, 0.0, sure=round(sure, 4)))
            else:
                found.append(Verdict(point.id, finding, window.text, window.start, window.end, round(earned, 4), sure=round(sure, 4)))
        return tuple(found)

    def mistaken(self, rubric: Rubric, evidence: Evidence, windows: Sequence[Window], verdicts: Sequence[Verdict]) -> tuple[Mistaken, ...]:
        """The misconceptions that are stated, each with its words; none that reverses a point which the reply gets right."""
        right = {verdict.point for verdict in verdicts if verdict.finding is Finding.COVERED}
        chances = self._head.misconceptions(evidence.misconceptions)
        return tuple(
            Mistaken(
                one.id,
                windows[evidence.stated[j]].text,
                windows[evidence.stated[j]].start,
                windows[evidence.stated[j]].end,
                sure=round(float(chances[j]), 4),
            )
            for j, one in enumerate(rubric.misconceptions)
            if chances[j] >= 0.5 and one.reverses not in right
        )
