"""Turns a recording into sound, in a process of its own: within limits of size, length, memory and time."""

from __future__ import annotations

import importlib.util

from bot.messages import Clip
from bot.speech.processes import Died, Limits, run
from bot.speech.sound import LARGEST, LONGEST, RATE, Reason, Sound, Unusable

SHORTEST = 0.3
"""Seconds: nobody says a word in less."""

SLACK = 0.8
"""Share of the length that the platform tells which must be there; encoders and platforms round differently."""

LIMITS = Limits(memory=1 << 30, processor=20, clock=40.0, answer=int(LONGEST + 2) * RATE * 4)
"""Five minutes of Opus take about two seconds of a processor; what takes ten times as long is made to."""


async def decode(clip: Clip, limits: Limits = LIMITS) -> Sound:
    """The sound of a recording, from all its channels. Raises Unusable."""
    import numpy as np

    if not clip.data:
        raise Unusable(Reason.EMPTY)
    if len(clip.data) > LARGEST:
        raise Unusable(Reason.TOO_BIG)
    if clip.seconds is not None and clip.seconds > LONGEST:
        raise Unusable(Reason.TOO_LONG)
    if importlib.util.find_spec("soundfile") is None or importlib.util.find_spec("soxr") is None:
        raise Unusable(Reason.NEEDS_EXTRA, "the extra `voice` is not installed")
    try:
        told, data = await run("decode", {"rate": RATE, "longest": LONGEST}, clip.data, limits)
    except TimeoutError:
        raise Unusable(Reason.TOO_SLOW) from None
    except Died as died:
        raise Unusable(Reason.BROKEN, str(died)) from None
    if "refused" in told:
        raise Unusable(Reason(told["refused"]))
    sound = Sound(np.frombuffer(data, dtype=np.float32))
    if not len(sound.samples):
        raise Unusable(Reason.EMPTY)
    if clip.seconds is not None and sound.seconds < SLACK * clip.seconds - 1:
        raise Unusable(Reason.BROKEN, "shorter than the platform said")
    if sound.seconds < SHORTEST:
        raise Unusable(Reason.TOO_SHORT)
    return sound
