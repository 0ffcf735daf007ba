"""Which ear listens, by the settings: one that is there, or a sentence why none is."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Set
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from bot.content import Library
from bot.speech.listening import Listener
from bot.speech.sound import Ear

if TYPE_CHECKING:
    from pydantic import SecretStr

Kind = Literal["", "off", "pocketsphinx", "whisper", "endpoint"]

NO_VOICE = "I can't listen to voice notes: the extra `voice` is not installed (pip install 'interview-coach[voice]')"
OFF = "COACH_EAR is off"
NO_ENDPOINT = "COACH_EAR is endpoint, which needs COACH_EAR_BASE_URL and COACH_EAR_MODEL"


class Configured(Protocol):
    """The settings that are read here (see `bot.config`)."""

    @property
    def ear(self) -> Kind: ...
    @property
    def ear_model(self) -> str: ...
    @property
    def ear_base_url(self) -> str: ...
    @property
    def ear_key(self) -> SecretStr | None: ...
    @property
    def ear_timeout(self) -> float: ...
    @property
    def cache(self) -> Path: ...
    @property
    def keep_audio(self) -> Path | None: ...


def installed(*packages: str) -> bool:
    return all(importlib.util.find_spec(package) is not None for package in packages)


def open_ear(settings: Configured, library: Library) -> Ear | str:
    """The ear that the settings name, or a sentence that says why there is none: whatever it lacks is never fetched by itself."""
    if settings.ear == "off":
        return OFF
    if not installed("soundfile", "soxr"):
        return NO_VOICE
    if settings.ear == "endpoint":
        from bot.speech.endpoint import EndpointEar

        if not settings.ear_base_url or not settings.ear_model:
            return NO_ENDPOINT
        key = settings.ear_key.get_secret_value() if settings.ear_key else ""
        return EndpointEar(settings.ear_base_url, settings.ear_model, key, settings.ear_timeout)
    if settings.ear == "whisper":
        from bot.speech import whisper

        if not settings.ear_model:
            return whisper.NO_MODEL
        if whisper.is_folder(settings.ear_model) and (why := whisper.lacking(settings.ear_model)):
            return why
        return whisper.WhisperEar(settings.ear_model) if installed("faster_whisper") else whisper.NO_PACKAGE
    if not installed("pocketsphinx"):
        return NO_VOICE
    from bot.speech.sphinx import SphinxEar
    from bot.speech.wording import texts

    return SphinxEar(tuple(texts(library)), settings.cache)


def open_listener(settings: Configured, library: Library) -> Listener | str:
    """A listener with that ear, which mends the packs' terms."""
    ear = open_ear(settings, library)
    return ear if isinstance(ear, str) else Listener(ear, _mending(library), keep=settings.keep_audio)


def _mending(library: Library) -> Callable[[str], str]:
    """Made when it is first needed: it takes a second or two. Without the dictionary, unknown words are left as they are."""
    made: list[Callable[[str], str]] = []

    def mend(text: str) -> str:
        if not made:
            if not installed("jellyfish", "pocketsphinx"):
                made.append(str)
            else:
                from bot.speech.terms import mending
                from bot.speech.wording import texts

                made.append(mending(tuple(texts(library)), english()))
        return made[0](text)

    return mend


def english() -> Set[str]:
    """The words of the dictionary that comes with pocketsphinx."""
    from bot.speech.preparing import carried

    return frozenset(carried())
