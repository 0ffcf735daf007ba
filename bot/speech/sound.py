"""What passes between an ear and the coach: a sound, what was heard in it, and why a recording is of no use."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from bot.errors import CoachError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE = 16_000
"""Samples a second in every `Sound`: what all the ears here were trained on."""

LARGEST = 20_000_000
"""Bytes of a recording that is looked at: as much as Telegram's bots may fetch."""

LONGEST = 300.0
"""Seconds of a recording that is listened to."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A decoded recording: one channel of samples between -1 and 1, `rate` of them a second."""

    samples: NDArray[np.float32] = field(repr=False)
    rate: int = RATE

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it was heard, with when it began and ended, in seconds from the beginning of the recording.

    sure: how sure the ear is of it, 0..1."""

    text: str = field(repr=False)
    start: float
    end: float
    sure: float = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What an ear made of a sound.

    confidence: 0..1, how sure the ear is of the whole; what it means differs from ear to ear, and so does the line under which
    it is not used (`bot.speech.usable`). words: with their times, or () where the ear has none. language: the one that was
    heard, as an ISO 639-1 code, where the ear can tell; else the ear's own."""

    text: str = field(repr=False)
    confidence: float
    words: tuple[Word, ...] = field(default=(), repr=False)
    language: str = "en"


class Reason(StrEnum):
    """Why a recording can't be used."""

    EMPTY = "empty"
    """No bytes, or no sound in them."""

    TOO_BIG = "too big"
    TOO_LONG = "too long"
    TOO_SHORT = "too short"
    NOT_AUDIO = "not audio"
    BROKEN = "broken"
    """Damaged, or cut off."""

    CHANNELS = "channels"
    """More channels than anything has that records a voice."""

    TOO_SLOW = "too slow"
    """It took longer than a recording may take."""

    NEEDS_EXTRA = "needs extra"
    """Its format can only be read with a package that is not installed here."""

    SILENCE = "silence"
    NOISE = "noise"
    MUSIC = "music"
    LANGUAGE = "language"
    """Another language than the ear's."""

    UNSURE = "unsure"
    """Speech perhaps, but not understood well enough to be used."""

    BUSY = "busy"
    """Too many recordings wait already."""

    AWAY = "away"
    """The ear can't be asked at the moment."""


class Unusable(CoachError):
    """A recording that no words can be had from: it is not graded, and nothing is kept of it.

    detail: for the owner's log, without a learner's words."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class Ear(Protocol):
    """A way of turning speech into words."""

    @property
    def name(self) -> str:
        """Engine and version, such as "pocketsphinx 5.1.1"."""

    @property
    def draft(self) -> bool:
        """Whether what it hears is a rough draft, never graded before the learner has confirmed it."""

    @property
    def language(self) -> str:
        """The language that it understands, as an ISO 639-1 code."""

    async def hear(self, sound: Sound) -> Heard:
        """What is said in `sound`; the text is "" where nothing is. Safe for concurrent tasks; never blocks the event loop.

        Raises Unusable (AWAY, TOO_SLOW) where it can't be asked."""

    async def close(self) -> None: ...
