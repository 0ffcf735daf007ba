"""The voice of Piper, in this process: an extra, and a voice file that the owner has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Lock
from typing import Any

from bot.errors import SettingsError
from bot.voices import Speech, VoiceError

NO_FILE = "COACH_VOICE_MODEL names no voice file of Piper: give the path of an .onnx file that has its .onnx.json beside it"
NO_PACKAGE = "COACH_VOICE is piper, which is not installed here: pip install 'interview-coach[piper]'"


class Piper:
    """model: the path of its voice file. timeout: seconds for one text; what takes longer is left to end by itself.

    Raises SettingsError, in one sentence, where the file or the package is not there."""

    def __init__(self, model: str, timeout: float) -> None:
        file = Path(model)
        if not model or not file.is_file() or not file.with_name(file.name + ".json").is_file():
            raise SettingsError(NO_FILE)
        try:
            import piper
        except ImportError as error:
            raise SettingsError(NO_PACKAGE) from error
        self.name = f"piper {file.name} {file.stat().st_size}"
        self._package: Any = piper
        self._file = file
        self._timeout = timeout
        self._loaded: Any = None
        self._one = Lock()

    async def say(self, text: str) -> Speech:
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.to_thread(self._say, text)
        except TimeoutError:
            raise VoiceError("piper took too long") from None

    def _say(self, text: str) -> Speech:
        import numpy as np

        with self._one:
            try:
                if self._loaded is None:  # some seconds, and only when something is to be said
                    self._loaded = self._package.PiperVoice.load(self._file)
                chunks = list(self._loaded.synthesize(text))
            except Exception as error:  # of whatever kind: a voice that can't be had never costs the text
                raise VoiceError(f"piper failed: {type(error).__name__}") from error
        if not chunks:
            raise VoiceError("piper said nothing")
        samples = [np.asarray(one.audio_float_array, np.float32).reshape(-1, one.sample_channels).mean(axis=1) for one in chunks]
        return Speech(np.concatenate(samples), int(chunks[0].sample_rate))

    async def close(self) -> None:
        """It goes with the process."""
