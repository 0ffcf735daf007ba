"""The ear of faster-whisper: Whisper's models in eight bits on the processor. Its package is an extra, its model the owner's choice."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bot.speech.sound import Heard, Reason, Sound, Unusable, Word

NEEDED = ("model.bin", "config.json", "tokenizer.json")
"""The files of a converted model. Without its tokenizer one would be downloaded."""

NO_PACKAGE = "COACH_EAR is whisper, whose package is not installed here: pip install 'interview-coach[whisper]', or set COACH_EAR=off"
NO_MODEL = (
    "COACH_EAR is whisper and COACH_EAR_MODEL names no model: give the folder of one, or a name such as small.en, which is downloaded "
    "when the coach first listens"
)


def is_folder(model: str) -> bool:
    """Whether this is where a model lies, rather than what it is called."""
    return model.startswith((".", "/", "~")) or "\\" in model or Path(model).is_dir()


def lacking(model: str) -> str:
    """Why a model that lies in a folder can't be used, as a sentence; "" where all of its files are there."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return f"COACH_EAR_MODEL is {model}, and there is no such folder"
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    return f"COACH_EAR_MODEL is {model}, which holds no Whisper model: {', '.join(missing)} is not there" if missing else ""


def load(model: str) -> Any:
    """A model by its folder, which is never looked for elsewhere, or by its name."""
    from faster_whisper import WhisperModel

    local = is_folder(model)
    name = str(Path(model).expanduser()) if local else model
    return WhisperModel(name, device="cpu", compute_type="int8", num_workers=2, local_files_only=local)


class WhisperEar:
    """model: a folder or a name. It is loaded when somebody first speaks, and stays."""

    draft = False
    language = "en"

    def __init__(self, model: str, load: Callable[[str], Any] = load) -> None:
        self.name = f"faster-whisper {Path(model).name}"
        self._name = model
        self._load = load
        self._loading = asyncio.Lock()
        self._model: Any = None

    async def prepare(self) -> Any:
        async with self._loading:
            if self._model is None:
                try:
                    self._model = await asyncio.to_thread(self._load, self._name)
                except (ImportError, OSError, RuntimeError, ValueError) as error:
                    raise Unusable(Reason.AWAY, f"the model can't be loaded: {type(error).__name__}") from None
            return self._model

    async def hear(self, sound: Sound) -> Heard:
        return await asyncio.to_thread(_transcribed, await self.prepare(), sound)

    async def close(self) -> None:
        self._model = None


def _transcribed(model: Any, sound: Sound) -> Heard:
    try:
        parts, about = model.transcribe(sound.samples, word_timestamps=True, vad_filter=True, condition_on_previous_text=False)
        segments = list(parts)  # only now it listens
    except RuntimeError as error:
        raise Unusable(Reason.AWAY, type(error).__name__) from None
    words = tuple(Word(one.word.strip(), one.start, one.end, one.probability) for part in segments for one in part.words or ())
    return Heard("".join(part.text for part in segments).strip(), _confidence(segments), words, about.language)


def _confidence(segments: Iterable[Any]) -> float:
    """The mean probability of a token, by the length of the segments; 0 where nothing is said."""
    spans = [(max(0.1, part.end - part.start), math.exp(part.avg_logprob) * (part.no_speech_prob < 0.6)) for part in segments]
    return sum(span * chance for span, chance in spans) / sum(span for span, _ in spans) if spans else 0.0
