"""An OpenAI-compatible endpoint for transcriptions on the loopback interface, as strict as the real one, for tests with the real client.

It answers with what a test lets it hear, breaks where a test tells it to, and keeps every request.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from .overheard import SECRETS

KEY = "sk-loopback-0123456789abcdefghijklmnop"
MODEL = "whisper-loopback"

FIELDS = {"file", "model", "language", "prompt", "response_format", "temperature", "timestamp_granularities[]"}


class Way(StrEnum):
    """How the next request is answered."""

    WELL = "well-formed"
    RATE = "429 with Retry-After"
    BROKEN = "500"
    DENIED = "401"
    TOO_LARGE = "413"
    CUT = "the connection breaks in the middle of the body"
    SLOW = "only when `go` is set"
    PAGE = "200 with a web page"
    MISSHAPEN = "200 with JSON of another shape"
    ENDLESS = "200 with more than anybody reads"


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was taken: its fields, and how long the recording was in seconds."""

    fields: dict[str, list[str]]
    seconds: float
    way: Way


class TranscriptionServer:
    """Give `url` to the client as its base URL. hears: what is answered where a verbose answer is asked for. plain: whether it
    knows no verbose answer, as some models don't."""

    def __init__(self, hears: dict[str, Any], *, plain: bool = False) -> None:
        SECRETS.token(KEY)
        self.hears = hears
        self.plain = plain
        self.ways: deque[Way] = deque()
        self.retry_after = "0"
        self.requests: list[Request] = []
        self.refused: list[int] = []
        self.go = asyncio.Event()
        self.held = asyncio.Event()
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=25_000_000)
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.go.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def _no(self, status: int, message: str) -> web.Response:
        self.refused.append(status)
        headers = {"Retry-After": self.retry_after} if status == 429 else {}
        return web.json_response({"error": {"message": message, "type": "invalid_request_error"}}, status=status, headers=headers)

    async def _transcribe(self, http: web.Request) -> web.StreamResponse:
        way = self.ways.popleft() if self.ways else Way.WELL
        if http.headers.get("Authorization") != f"Bearer {KEY}" or way is Way.DENIED:
            return self._no(401, "Incorrect API key provided.")
        if http.content_type != "multipart/form-data":
            return self._no(400, "the body is a form")
        form = await http.post()
        fields = {name: [str(value) for value in form.getall(name) if isinstance(value, str)] for name in form}
        file = form.get("file")
        if set(form) - FIELDS or not isinstance(file, web.FileField) or fields["model"] != [MODEL]:
            return self._no(400, "a field is unknown, or the file or the model is missing")
        try:
            with wave.open(io.BytesIO(file.file.read())) as recording:
                seconds = recording.getnframes() / recording.getframerate()
        except (wave.Error, EOFError):
            return self._no(400, "Invalid file format.")
        verbose = fields["response_format"] == ["verbose_json"]
        if (verbose and self.plain) or (fields.get("timestamp_granularities[]") and not verbose):
            return self._no(400, "response_format 'verbose_json' is not compatible with this model.")
        self.requests.append(Request(fields, seconds, way))
        return await self._answer(http, way, self.hears if verbose else {"text": self.hears["text"]})

    async def _answer(self, http: web.Request, way: Way, answer: dict[str, Any]) -> web.StreamResponse:
        statuses = {Way.RATE: 429, Way.BROKEN: 500, Way.TOO_LARGE: 413}
        if way in statuses:
            return self._no(statuses[way], way.value)
        if way is Way.SLOW:
            self.held.set()
            await self.go.wait()
        if way is Way.PAGE:
            return web.Response(text="<html><body>Sign in to the network</body></html>", content_type="text/html")
        if way is Way.MISSHAPEN:
            return web.json_response({"transcription": answer["text"]})
        if way is Way.ENDLESS:
            return web.Response(text=" " * 2_000_000)
        if way is Way.CUT:
            response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
            await response.prepare(http)
            await response.write(b'{"text": "precisi')
            assert http.transport is not None
            http.transport.abort()
            return response
        return web.json_response(answer)


def verbose(text: str, *, language: str = "english", chance: float = -0.2, silent: float = 0.01) -> dict[str, Any]:
    """An answer with a time for each word. chance: the mean logarithm of a token's probability."""
    words = [{"word": word, "start": 0.4 * at, "end": 0.4 * at + 0.3} for at, word in enumerate(text.replace(".", "").split())]
    length = 0.4 * len(words)
    segment = {
        "id": 0, "seek": 0, "start": 0.0, "end": length, "text": text, "tokens": [], "temperature": 0.0, "avg_logprob": chance,
        "compression_ratio": 1.2, "no_speech_prob": silent,
    }  # fmt: skip
    return {"task": "transcribe", "language": language, "duration": length, "text": text, "words": words, "segments": [segment]}
