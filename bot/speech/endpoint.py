"""An ear behind an OpenAI-compatible endpoint: what `/audio/transcriptions` is asked, and what its answer says."""

from __future__ import annotations

import asyncio
import io
import math
import wave
from typing import Any

import aiohttp
from pydantic import BaseModel, ValidationError

from bot.endpoint import Endpoint, EndpointError
from bot.speech.sound import Heard, Reason, Sound, Unusable, Word

LARGEST = 1_000_000
"""Bytes of an answer."""

CODES = {
    "english": "en",
    "german": "de",
    "french": "fr",
    "spanish": "es",
    "italian": "it",
    "portuguese": "pt",
    "dutch": "nl",
    "polish": "pl",
}
"""Languages by name, as these endpoints tell them; another name is another language than English, whichever."""


class _Timed(BaseModel):
    word: str
    start: float
    end: float


class _Segment(BaseModel):
    start: float = 0.0
    end: float = 0.0
    avg_logprob: float = 0.0
    no_speech_prob: float = 0.0


class _Answer(BaseModel):
    """What is read of an answer; servers differ in what they tell beside the text."""

    text: str
    language: str | None = None
    words: list[_Timed] | None = None
    segments: list[_Segment] | None = None


class EndpointEar:
    """base_url: up to and with its version, such as http://127.0.0.1:8000/v1. timeout: seconds for one recording, all tries
    together. The whole recording goes there, as a WAV file; the spoken language is left for it to find out."""

    draft = False
    language = "en"

    def __init__(self, base_url: str, model: str, key: str, timeout: float) -> None:
        self.name = f"endpoint {model}"
        self._endpoint = Endpoint(f"{base_url}/audio/transcriptions", key, timeout, LARGEST)
        self._timeout = timeout
        self._model = model
        self._verbose = True

    async def hear(self, sound: Sound) -> Heard:
        file = await asyncio.to_thread(_wav, sound)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._asked(file)
            return _heard(_Answer.model_validate_json(answer))
        except ValidationError:
            raise Unusable(Reason.AWAY, "the endpoint's answer can't be read") from None
        except TimeoutError:
            raise Unusable(Reason.TOO_SLOW, "the endpoint took too long") from None
        except EndpointError as error:
            raise Unusable(Reason.TOO_BIG if error.status == 413 else Reason.AWAY, str(error)) from None

    async def _asked(self, file: bytes) -> bytes:
        try:
            return await self._endpoint.post(lambda: {"data": self._form(file)})
        except EndpointError as error:
            if error.status != 400 or not self._verbose:
                raise
            self._verbose = False  # some models tell the text alone
            return await self._endpoint.post(lambda: {"data": self._form(file)})

    def _form(self, file: bytes) -> aiohttp.FormData:
        form = aiohttp.FormData()
        form.add_field("file", file, filename="reply.wav", content_type="audio/wav")
        form.add_field("model", self._model)
        form.add_field("response_format", "verbose_json" if self._verbose else "json")
        if self._verbose:
            form.add_field("timestamp_granularities[]", "word")
            form.add_field("timestamp_granularities[]", "segment")
        return form

    async def close(self) -> None:
        await self._endpoint.close()


def _heard(answer: _Answer) -> Heard:
    told = (answer.language or "en").lower()
    words = tuple(Word(one.word.strip(), one.start, one.end) for one in answer.words or ())
    return Heard(answer.text.strip(), _confidence(answer.segments or []), words, CODES.get(told, told))


def _confidence(segments: list[_Segment]) -> float:
    """The mean probability of a token, by the length of the segments; 1 where nothing is told of it."""
    length = sum(max(0.1, one.end - one.start) for one in segments)
    if not length:
        return 1.0
    chances = ((one.end - one.start, math.exp(min(0.0, one.avg_logprob)) * (one.no_speech_prob < 0.6)) for one in segments)
    return sum(max(0.1, span) * chance for span, chance in chances) / length


def _wav(sound: Sound) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sound.rate)
        samples: Any = (sound.samples * 32767).astype("<i2")
        out.writeframes(samples.tobytes())
    return file.getvalue()
