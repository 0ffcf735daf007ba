"""What can't be graded and is told so: silence, noise, music, another language, and what an ear is too unsure of.

The lines were drawn between synthetic speech (espeak-ng, twelve voices of six languages, clean and with noise down to 5 dB) and
what is none (tests/test_usable.py holds them to it; docs/voice.md has the figures). No human voice was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.grading.gates import language
from bot.speech.pace import QUIET, loudness
from bot.speech.sound import Ear, Heard, Reason, Sound, Unusable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FAINTEST = -55.0
"""Decibels below full scale of the loud parts: a voice at arm's length is at -30 to -15, a room in which nobody speaks under -60."""

FLATTEST = 0.4
"""Spectral flatness of noise: speech has .003 to .27 (whispered, or at 5 dB), noise, wind and drums .56 and more."""

PUREST = 0.0003
"""Spectral flatness of music: tones, chords, melodies and an organ have .0001 and less. A band with drums passes (.0015): it is for
the ear to be unsure of."""

STEADIEST = 0.065
"""Spread of the zero crossings per sample: speech changes between vowels and hisses (.08 and more), rumbling doesn't (.057)."""

LINES = {"pocketsphinx": 0.42, "faster-whisper": 0.37, "endpoint": 0.37}
"""The confidence under which what an ear heard is not used, by the first word of its name.

pocketsphinx: half the posterior of its words, half how far a free phone recogniser agrees with them. Six other languages had .25
to .38, an American voice .43 to .74, voices of which it gets every second word wrong .31 to .65. The others: the mean
probability of a token; e^-1 is where Whisper's own decoder gives a piece up (A. Radford et al., "Robust
speech recognition via large-scale weak supervision", 2022, section 4.5)."""

FRAME = 512
"""Samples that are looked at together: 32 ms."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a sound is like, over its loud parts. loud: decibels below full scale. flatness: 0 for a pure tone to 1 for noise, the
    median. crossings: what lies between the 10th and the 90th percentile of the zero crossings per sample."""

    loud: float
    flatness: float
    crossings: float


def look(sound: Sound) -> Look:
    import numpy as np

    levels = loudness(sound)
    loud = float(np.percentile(levels, 95)) if len(levels) else -120.0
    hop = sound.rate // 100
    count = (len(sound.samples) - FRAME) // hop
    if count < 1 or loud <= FAINTEST:
        return Look(loud, 1.0, 0.0)
    chosen = np.flatnonzero(levels[:count] > loud - QUIET)[: 60 * 100]  # a minute of speech says enough
    frames = sound.samples[chosen[:, None] * hop + np.arange(FRAME)].astype(np.float64)
    frames -= frames.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME), 2 * FRAME)) ** 2
    band = power[:, 6:256] + 1e-12  # 94 to 4000 Hz
    flatness = np.exp(np.log(band).mean(axis=1)) / band.mean(axis=1)
    crossings: NDArray[np.float64] = np.diff(np.signbit(frames), axis=1).mean(axis=1)
    low, high = np.percentile(crossings, (10, 90))
    return Look(loud, float(np.median(flatness)), float(high - low))


def check_sound(sound: Sound) -> None:
    """Raises Unusable (SILENCE, NOISE, MUSIC) where nobody speaks."""
    seen = look(sound)
    if seen.loud <= FAINTEST:
        raise Unusable(Reason.SILENCE)
    if seen.flatness > FLATTEST:
        raise Unusable(Reason.NOISE)
    if seen.flatness < PUREST:
        raise Unusable(Reason.MUSIC)
    if seen.crossings < STEADIEST:
        raise Unusable(Reason.NOISE)


def check_heard(heard: Heard, ear: Ear) -> None:
    """Raises Unusable (LANGUAGE, UNSURE) where what was heard is not to be used."""
    if heard.language != ear.language or language(heard.text) not in ("", ear.language):
        raise Unusable(Reason.LANGUAGE, heard.language)
    if not heard.text.strip() or heard.confidence < LINES.get(ear.name.split()[0], 0.0):
        raise Unusable(Reason.UNSURE, f"confidence {heard.confidence:.2f}")
