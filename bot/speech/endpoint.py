"""An ear behind an OpenAI-compatible endpoint: `/audio/transcriptions`, asked with a time limit and again where that may help."""

from __future__ import annotations

import asyncio
import io
import math
import wave
from typing import Any

import aiohttp
from pydantic import BaseModel, ValidationError

from bot.speech.sound import Heard, Reason, Sound, Unusable, Word

TRIES = 3
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds before it is asked again where it names no time, and the longest that it may name."""

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
        self._url = f"{base_url}/audio/transcriptions"
        self._model = model
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout
        self._verbose = True
        self._session: aiohttp.ClientSession | None = None

    async def hear(self, sound: Sound) -> Heard:
        file = await asyncio.to_thread(_wav, sound)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._insist(file)
        except TimeoutError:
            raise Unusable(Reason.TOO_SLOW, "the endpoint took too long") from None
        return _heard(answer)

    async def _insist(self, file: bytes) -> _Answer:
        pause, why, tries = FIRST_PAUSE, "", 0
        while tries < TRIES:
            if tries:
                await asyncio.sleep(pause)
                pause *= 2
            tries += 1
            try:
                async with self._open().post(self._url, data=self._form(file), headers=self._headers) as response:
                    if response.status == 200:
                        return _Answer.model_validate_json(await _read(response))
                    why = f"the endpoint answered {response.status}"
                    if response.status == 400 and self._verbose:
                        self._verbose, pause, tries = False, 0.0, 0  # some models tell the text alone
                    elif response.status == 413:
                        raise Unusable(Reason.TOO_BIG, why)
                    elif response.status != 429 and response.status < 500:
                        raise Unusable(Reason.AWAY, why)
                    else:
                        asked = response.headers.get("Retry-After", "")
                        pause = min(float(asked), LONGEST_PAUSE) if asked.isdigit() else pause
            except ValidationError:
                raise Unusable(Reason.AWAY, "the endpoint's answer can't be read") from None
            except (aiohttp.ClientError, OSError) as error:
                why = f"the endpoint can't be reached: {type(error).__name__}"
        raise Unusable(Reason.AWAY, why)

    def _form(self, file: bytes) -> aiohttp.FormData:
        form = aiohttp.FormData()
        form.add_field("file", file, filename="reply.wav", content_type="audio/wav")
        form.add_field("model", self._model)
        form.add_field("response_format", "verbose_json" if self._verbose else "json")
        if self._verbose:
            form.add_field("timestamp_granularities[]", "word")
            form.add_field("timestamp_granularities[]", "segment")
        return form

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


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


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_chunked(1 << 16):
        body += piece
        if len(body) > LARGEST:
            raise Unusable(Reason.AWAY, "the endpoint's answer is too large")
    return bytes(body)
