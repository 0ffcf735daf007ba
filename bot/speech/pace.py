"""How a reply was spoken: its pace, fillers and pauses. Feedback for the learner, never part of a score."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from bot.speech.sound import Heard, Sound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

USUAL = (125, 210)
"""Words a minute from a lecture's slow end to an interview's fast one: lectures 125 to 160, interviews 160 to 210, in
S. Tauroza and D. Allison, "Speech rates in British English", Applied Linguistics 11 (1990), 90-105."""

FILLERS = frozenset("um uh uhm umm uhh er erm ah hm hmm mm mmm eh".split())  # noqa: SIM905

STEP = 0.01
"""Seconds from one look at the loudness to the next."""

QUIET = 25.0
"""Decibels under the loud parts at which nothing is said: pauses between words lie 30 and more below, the weakest sounds of
speech about 20."""


@dataclass(frozen=True, slots=True)
class Pace:
    """words: those said, fillers left out. seconds: how long the recording is. per_minute: words a minute from the first to the
    last sound, or None where that is under five seconds. fillers: how many. longest_pause: seconds between two words."""

    words: int
    seconds: float
    per_minute: int | None
    fillers: int
    longest_pause: float


FEW = 5.0
"""Seconds of speech under which a pace says nothing."""


def pace(sound: Sound, heard: Heard) -> Pace:
    """The pace of a reply: by the words' times where the ear gives them, else by how loud it is when."""
    said = [word for word in re.findall(r"[^\W_](?:[\w'’.-]*[^\W_])?", heard.text.lower())]
    fillers = sum(word in FILLERS for word in said) + len(re.findall(r",\s*(?:you know|i mean)\s*,", heard.text.lower()))
    words = len(said) - sum(word in FILLERS for word in said)
    spans = [(word.start, word.end) for word in heard.words] or voiced(sound)
    pauses = [after - end for (_, end), (after, _) in pairwise(spans)]
    spoken = spans[-1][1] - spans[0][0] if spans else 0.0
    rate = round(60 * words / spoken) if spoken >= FEW else None
    return Pace(words, sound.seconds, rate, fillers, max([0.0, *pauses]))


def voiced(sound: Sound) -> list[tuple[float, float]]:
    """From when to when something is said, in seconds, by the loudness alone; gaps of under 0.1 s are none."""
    loud = loudness(sound)
    if not len(loud):
        return []
    import numpy as np

    on = loud > np.percentile(loud, 95) - QUIET
    edges = np.flatnonzero(np.diff(np.concatenate(([False], on, [False])).astype(np.int8)))
    spans: list[tuple[float, float]] = []
    for start, end in edges.reshape(-1, 2) * STEP:
        if spans and start - spans[-1][1] < 0.1:
            spans[-1] = (spans[-1][0], float(end))
        else:
            spans.append((float(start), float(end)))
    return spans


def loudness(sound: Sound) -> NDArray[np.float64]:
    """Decibels below full scale of every STEP, over 25 milliseconds; -120 at the least."""
    import numpy as np

    hop, size = round(STEP * sound.rate), round(0.025 * sound.rate)
    if len(sound.samples) < size:
        return np.zeros(0)
    squares = np.concatenate(([0.0], np.cumsum(sound.samples.astype(np.float64) ** 2)))
    starts = np.arange(0, len(sound.samples) - size + 1, hop)
    return np.asarray(10 * np.log10(np.maximum((squares[starts + size] - squares[starts]) / size, 1e-12)))
