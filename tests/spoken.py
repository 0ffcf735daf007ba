"""Speech made in the tests by espeak-ng, and recordings as the platforms send them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from functools import cache

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from bot.speech import Sound
from bot.speech.sound import RATE

Samples = NDArray[np.float32]

OPUS_RATE = 48_000


@cache
def speech(text: str, voice: str = "en-us", words_a_minute: int = 160) -> Samples:
    """`text` spoken by a voice of espeak-ng, at 16 kHz; skips the test where there is no espeak-ng."""
    program = shutil.which("espeak-ng")
    if program is None:
        if os.environ.get("COACH_TEST_ESPEAK"):  # asked for by name: then its absence is a failure
            pytest.fail("espeak-ng is not installed")
        pytest.skip("espeak-ng is not installed: apt-get install espeak-ng")
    command = [program, "-v", voice, "-s", str(words_a_minute), "--stdout", text]
    wave = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    samples, rate = soundfile.read(io.BytesIO(wave), dtype="float32")
    made: Samples = soxr.resample(samples, rate, RATE)
    made.flags.writeable = False
    return made


def sound(samples: Samples) -> Sound:
    return Sound(samples.astype(np.float32))


def encoded(samples: Samples, format: str = "OGG", subtype: str | None = None, rate: int = RATE) -> bytes:
    """`samples` (one channel, or [frames, channels]) as a file that soundfile writes."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


def voice_note(samples: Samples) -> bytes:
    """OGG/Opus, as Telegram and Discord send voice messages."""
    return encoded(soxr.resample(samples, RATE, OPUS_RATE), "OGG", "OPUS", OPUS_RATE)
