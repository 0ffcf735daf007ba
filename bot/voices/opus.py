"""Speech as a voice note: one channel of Opus in an OGG file, with its length and its waveform, as chat platforms play them."""

from __future__ import annotations

import math
from io import BytesIO
from typing import TYPE_CHECKING

from bot.messages import VoiceNote
from bot.voices import Speech, VoiceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE = 48_000
"""Samples a second, as the platforms' own clients record. https://docs.discord.com/developers/resources/message#voice-messages"""

STEPS, SHORTEST_STEP = 256, 0.1
"""A waveform has at most so many steps, and none is shorter than this, in seconds (the same page)."""

LONGEST = 300.0
"""Seconds of a voice note."""


def decoded(sound: bytes) -> Speech:
    """What is in a WAV, FLAC, MP3 or OGG file, as one channel. Raises VoiceError."""
    import soundfile

    try:
        with soundfile.SoundFile(BytesIO(sound)) as file:
            rate = file.samplerate
            # A file that was made while it was spoken says nothing true of its length: what is there is read.
            samples = file.read(int(LONGEST * rate), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise VoiceError("what the voice made is no sound") from error
    if not len(samples):
        raise VoiceError("the voice said nothing")
    return Speech(samples.mean(axis=1), rate)


def note(speech: Speech) -> VoiceNote:
    """`speech` as a voice note of at most `LONGEST` seconds. Raises VoiceError where there is nothing in it."""
    import soundfile
    import soxr

    samples = speech.samples[: int(LONGEST * speech.rate)]
    if not len(samples):
        raise VoiceError("the voice said nothing")
    samples = soxr.resample(samples, speech.rate, RATE) if speech.rate != RATE else samples
    sound = BytesIO()
    with soundfile.SoundFile(sound, "w", RATE, 1, format="OGG", subtype="OPUS") as file:
        for start in range(0, len(samples), RATE):  # the library overruns its stack where it is given all at once
            file.write(samples[start : start + RATE])
    return VoiceNote(sound.getvalue(), len(samples) / RATE, waveform(samples, RATE))


def waveform(samples: NDArray[np.float32], rate: int) -> bytes:
    """How loud it is from step to step, 0..255, the loudest of all being 255."""
    import numpy as np

    steps = max(1, min(STEPS, math.ceil(len(samples) / rate / SHORTEST_STEP)))
    peaks = np.array([np.abs(part).max() if len(part) else 0.0 for part in np.array_split(samples, steps)])
    return bytes((peaks * (255 / max(float(peaks.max()), 1e-9))).round().clip(0, 255).astype(np.uint8).tolist())
