"""What the coach says aloud: a voice is chosen, a text is read as a person would, and a voice note is made of it once.

Voice notes that come in are `bot.speech`'s business.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from bot.errors import CoachError, SettingsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydantic import SecretStr

    from bot.voices.speaker import Speaker

Kind = Literal["", "off", "espeak-ng", "piper", "endpoint"]

NO_ESPEAK = "COACH_VOICE is espeak-ng, which is not installed here: apt-get install espeak-ng, or set COACH_VOICE=off"


class VoiceError(CoachError):
    """Nothing could be said: the program, the file or the endpoint failed. Its text never holds what was to be said."""


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """What a voice said: one channel of samples between -1 and 1, `rate` of them a second."""

    samples: NDArray[np.float32] = field(repr=False)
    rate: int


class Voice(Protocol):
    """A way of turning words into speech."""

    @property
    def name(self) -> str:
        """Engine and voice, such as "espeak-ng en-us": what it says is kept under this name."""

    async def say(self, text: str) -> Speech:
        """`text` (words alone, see `bot.voices.spoken`) as speech. Safe for concurrent tasks; never blocks the event loop.

        Raises VoiceError."""

    async def close(self) -> None: ...


class Configured(Protocol):
    """The settings that are read here (see `bot.config`)."""

    @property
    def voice(self) -> Kind: ...
    @property
    def voice_model(self) -> str: ...
    @property
    def voice_name(self) -> str: ...
    @property
    def voice_base_url(self) -> str: ...
    @property
    def voice_key(self) -> SecretStr | None: ...
    @property
    def voice_timeout(self) -> float: ...
    @property
    def cache(self) -> Path: ...


def open_speaker(settings: Configured) -> Speaker | None:
    """What speaks by the settings, or None where nothing does: it is switched off, or nothing was chosen and espeak-ng is not here.

    Raises SettingsError where what was chosen can't be had."""
    from bot.voices.speaker import Speaker

    voice = _voice(settings)
    return Speaker(voice, settings.cache / "voice") if voice is not None else None


def _voice(settings: Configured) -> Voice | None:
    if settings.voice in ("", "espeak-ng"):
        from bot.voices.espeak import Espeak

        program = shutil.which("espeak-ng")
        if program is None and settings.voice:
            raise SettingsError(NO_ESPEAK)
        return Espeak(program, settings.voice_model or "en-us", settings.voice_timeout) if program else None
    if settings.voice == "piper":
        from bot.voices.piper import Piper

        return Piper(settings.voice_model, settings.voice_timeout)
    if settings.voice == "endpoint":
        from bot.voices.endpoint import Endpoint

        if not settings.voice_base_url or not settings.voice_model:
            raise SettingsError("COACH_VOICE=endpoint needs COACH_VOICE_BASE_URL and COACH_VOICE_MODEL")
        key = settings.voice_key.get_secret_value() if settings.voice_key else ""
        return Endpoint(settings.voice_base_url, settings.voice_model, settings.voice_name or "alloy", key, settings.voice_timeout)
    return None
