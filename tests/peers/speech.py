"""An OpenAI-compatible `/v1/audio/speech` on the loopback interface, strict about what it is asked, for tests with the real client."""

from __future__ import annotations

import asyncio
import io
from enum import StrEnum
from typing import Any, Self

import numpy as np
import soundfile
from aiohttp import web

from .overheard import SECRETS

KEY = "sk-loopback-speech"
FIELDS = {"model", "input", "voice", "response_format", "speed", "instructions", "stream_format"}
FORMATS = {"mp3", "opus", "aac", "flac", "wav", "pcm"}
LONGEST = 4096


class Answer(StrEnum):
    """How a request is answered."""

    WELL = "half a second of sound"
    RATE = "429 with Retry-After"
    BROKEN = "500"
    CUT = "the connection breaks in the middle of the body"
    SLOW = "never"
    PAGE = "200 with a web page"


class SpeechServer:
    """answers: how the next requests are answered, then well. requests: the bodies of those that were taken."""

    def __init__(self) -> None:
        SECRETS.token(KEY)
        self.answers: list[Answer] = []
        self.requests: list[dict[str, Any]] = []
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/audio/speech", self._speak)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _refusal(401, "Incorrect API key provided")
        if request.content_type != "application/json":
            return _refusal(400, "the body is JSON")
        body = await request.json()
        if wrong := _wrong(body):
            return _refusal(400, wrong)
        self.requests.append(body)
        answer = self.answers.pop(0) if self.answers else Answer.WELL
        if answer is Answer.RATE:
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "0"})
        if answer is Answer.BROKEN:
            return _refusal(500, "the server had an error")
        if answer is Answer.SLOW:
            await asyncio.Event().wait()
        if answer is Answer.PAGE:
            return web.Response(text="<html>hello</html>", content_type="text/html")
        sound = _wave()
        if answer is Answer.CUT:
            response = web.StreamResponse(headers={"Content-Length": str(len(sound))})
            response.content_type = "audio/wav"
            await response.prepare(request)
            await response.write(sound[:500])
            assert request.transport is not None
            request.transport.abort()
            return response
        return web.Response(body=sound, content_type="audio/wav")


def _wrong(body: Any) -> str:
    """What the API would refuse, in a sentence."""
    if not isinstance(body, dict) or not {"model", "input", "voice"} <= body.keys():
        return "model, input and voice are required"
    if unknown := body.keys() - FIELDS:
        return f"unknown: {sorted(unknown)}"
    if not all(isinstance(body[name], str) and body[name] for name in ("model", "input", "voice")) or len(body["input"]) > LONGEST:
        return f"model, input and voice are strings, and input is 1 to {LONGEST} characters"
    if body.get("response_format", "mp3") not in FORMATS:
        return "response_format is not one of the formats"
    return ""


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "invalid_request_error"}}, status=status)


def _wave() -> bytes:
    sound = io.BytesIO()
    soundfile.write(sound, (np.sin(np.arange(12_000) / 9) * 0.3).astype(np.float32), 24_000, format="WAV", subtype="PCM_16")
    return sound.getvalue()
