"""The ears: the endpoint against a strict loopback server, Whisper's folder and its absence, and the one that comes with the coach."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from peers.transcriptions import KEY, MODEL, TranscriptionServer, Way, verbose
from rapidfuzz.distance import Levenshtein
from spoken import speech, voice_note

from bot.config import Settings
from bot.content import Library
from bot.speech import Clip, Heard, Listener, Reason, Sound, Unusable, open_ear, open_listener
from bot.speech.decoding import decode
from bot.speech.endpoint import EndpointEar
from bot.speech.sound import RATE
from bot.speech.sphinx import SphinxEar
from bot.speech.whisper import WhisperEar

SAID = "Precision is the share of the flagged items that really are positive."
SECOND = Sound(np.zeros(RATE, np.float32))


def settings(tmp_path: Path, **rest: Any) -> Settings:
    return Settings(_env_file=None, cache=tmp_path, **rest)


# ---------------------------------------------------------------------------------------------- the endpoint


@asynccontextmanager
async def endpoint(
    hears: dict[str, Any], *ways: Way, timeout: float = 20, plain: bool = False, key: str = KEY
) -> AsyncIterator[tuple[TranscriptionServer, EndpointEar]]:
    async with TranscriptionServer(hears, plain=plain) as server:
        server.ways.extend(ways)
        ear = EndpointEar(server.url, MODEL, key, timeout)
        try:
            yield server, ear
        finally:
            await ear.close()


async def test_an_endpoint_hears_words_with_their_times() -> None:
    async with endpoint(verbose(SAID)) as (server, ear):
        heard = await ear.hear(SECOND)

    assert heard.text == SAID
    assert heard.language == "en"
    assert heard.confidence == pytest.approx(np.exp(-0.2))
    assert [word.text for word in heard.words[:3]] == ["Precision", "is", "the"]
    assert server.requests[0].seconds == 1.0


async def test_an_endpoint_that_tells_the_text_alone_is_asked_for_that_from_then_on() -> None:
    async with endpoint(verbose(SAID), plain=True) as (server, ear):
        heard = [await ear.hear(SECOND), await ear.hear(SECOND)]

    assert heard == [Heard(SAID, 1.0), Heard(SAID, 1.0)]
    assert server.refused == [400]
    assert [request.fields["response_format"] for request in server.requests] == [["json"], ["json"]]


@pytest.mark.parametrize("way", [Way.RATE, Way.BROKEN, Way.CUT])
async def test_an_endpoint_is_asked_again_after_a_passing_fault_and_not_for_ever(way: Way) -> None:
    async with endpoint(verbose(SAID), way) as (server, ear):
        assert (await ear.hear(SECOND)).text == SAID
        assert len(server.requests) == 2
    async with endpoint(verbose(SAID), way, way, way, way) as (server, ear):
        with pytest.raises(Unusable) as away:
            await ear.hear(SECOND)
        assert (away.value.reason, len(server.requests)) == (Reason.AWAY, 3)


@pytest.mark.parametrize("way", [Way.DENIED, Way.TOO_LARGE, Way.PAGE, Way.MISSHAPEN, Way.ENDLESS])
async def test_an_endpoint_is_not_asked_again_where_that_would_change_nothing(way: Way) -> None:
    async with endpoint(verbose(SAID), way) as (server, ear):
        with pytest.raises(Unusable) as away:
            await ear.hear(SECOND)
        assert away.value.reason is (Reason.TOO_BIG if way is Way.TOO_LARGE else Reason.AWAY)
        assert KEY not in str(away.value)
        assert not server.ways
        assert len(server.requests) <= 1


async def test_an_endpoint_that_takes_too_long_or_is_not_there_is_given_up() -> None:
    async with endpoint(verbose(SAID), Way.SLOW, timeout=0.2) as (server, ear):
        with pytest.raises(Unusable) as slow:
            await ear.hear(SECOND)
        assert server.held.is_set()
    ear = EndpointEar(server.url, MODEL, KEY, 20)
    with pytest.raises(Unusable) as gone:
        await ear.hear(SECOND)
    await ear.close()

    assert slow.value.reason is Reason.TOO_SLOW
    assert gone.value.reason is Reason.AWAY


# ---------------------------------------------------------------------------------------------- Whisper


def test_whisper_says_in_one_sentence_what_is_not_there(tmp_path: Path, library: Library) -> None:
    def says(model: str) -> str:
        why = open_ear(settings(tmp_path, ear="whisper", ear_model=model), library)
        assert isinstance(why, str)
        return why

    folder = tmp_path / "small.en"
    assert "names no model" in says("")
    assert says(str(folder)) == f"COACH_EAR_MODEL is {folder}, and there is no such folder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert says(str(folder)).endswith("holds no Whisper model: model.bin, tokenizer.json is not there")
    for name in ("model.bin", "tokenizer.json"):
        (folder / name).write_text("")
    assert "pip install 'interview-coach[whisper]'" in says(str(folder))


@dataclass
class Model:
    """Speaks faster-whisper's interface: `WhisperModel.transcribe`."""

    language: str = "en"

    def transcribe(self, samples: Any, *, word_timestamps: bool, vad_filter: bool, condition_on_previous_text: bool) -> Any:
        assert word_timestamps and vad_filter and not condition_on_previous_text
        assert samples.dtype == np.float32
        parts = [
            SimpleNamespace(
                text=f" {part}", start=at, end=at + 1.0, avg_logprob=-0.1, no_speech_prob=0.01,
                words=[SimpleNamespace(word=f" {part}", start=at, end=at + 0.9, probability=0.8)],
            )
            for at, part in enumerate(("Precision", "matters."))
        ]  # fmt: skip
        return iter(parts), SimpleNamespace(language=self.language, language_probability=0.99)


async def test_whisper_loads_once_and_hears() -> None:
    loaded: list[str] = []

    def load(name: str) -> Model:
        loaded.append(name)
        return Model()

    ear = WhisperEar("/models/small.en", load)
    heard = await asyncio.gather(ear.hear(SECOND), ear.hear(SECOND))

    assert [one.text for one in heard] == ["Precision matters.", "Precision matters."]
    assert [(word.text, word.start, word.sure) for word in heard[0].words] == [("Precision", 0, 0.8), ("matters.", 1, 0.8)]
    assert heard[0].confidence == pytest.approx(np.exp(-0.1))
    assert loaded == ["/models/small.en"]
    assert ear.name == "faster-whisper small.en"


async def test_a_model_of_whisper_that_can_not_be_loaded_is_away() -> None:
    with pytest.raises(Unusable) as away:
        await WhisperEar("small.en").hear(SECOND)  # its package is not installed

    assert away.value.reason is Reason.AWAY


# ---------------------------------------------------------------------------------------------- which one, and the listener


def test_which_ear_listens_is_a_setting(tmp_path: Path, library: Library) -> None:
    kinds = [open_ear(settings(tmp_path, **rest), library) for rest in ({}, {"ear": "off"}, {"ear": "endpoint"})]
    remote = open_ear(settings(tmp_path, ear="endpoint", ear_base_url="http://127.0.0.1:9/v1", ear_model="m"), library)

    assert isinstance(kinds[0], SphinxEar)
    assert kinds[0].draft
    assert kinds[1:] == ["COACH_EAR is off", "COACH_EAR is endpoint, which needs COACH_EAR_BASE_URL and COACH_EAR_MODEL"]
    assert isinstance(remote, EndpointEar)
    assert not remote.draft


@dataclass
class Told:
    """An ear that hears what it was told, when `go` is set."""

    heard: Heard
    go: asyncio.Event
    name: str = "told 1"
    draft: bool = False
    language: str = "en"
    listening: int = 0
    both: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, sound: Sound) -> Heard:
        self.listening += 1
        if self.listening == 2:
            self.both.set()
        try:
            await self.go.wait()
            return self.heard
        finally:
            self.listening -= 1

    async def close(self) -> None: ...


async def test_two_are_listened_to_at_a_time_and_the_others_know_how_many_are_before_them(tmp_path: Path) -> None:
    ear = Told(Heard("um the the over fitting is seen", 0.9), asyncio.Event())
    kept = tmp_path / "kept"
    listener = Listener(ear, lambda text: text.replace("over fitting", "overfitting"), keep=kept)
    clip = Clip(voice_note(speech(SAID)))
    told, waiting = [], []
    for _ in range(5):
        waiting.append(listener.waiting)
        told.append(asyncio.create_task(listener.listen(clip)))
        await asyncio.sleep(0)  # it has its number now
    await ear.both.wait()
    await decode(clip)  # by now a third would be listening too
    assert ear.listening == 2
    ear.go.set()

    assert [(await one).text for one in told] == ["the overfitting is seen"] * 5
    assert waiting == [0, 0, 1, 2, 3]
    assert listener.waiting == 0
    assert [file.read_bytes() == clip.data and oct(file.stat().st_mode)[-2:] for file in kept.iterdir()] == ["00"] * 5


async def test_what_an_ear_can_not_use_is_refused_and_its_place_is_free_again() -> None:
    go = asyncio.Event()
    go.set()
    clip = Clip(voice_note(speech(SAID)))

    async def refused(heard: Heard, name: str = "told 1") -> Reason:
        listener = Listener(Told(heard, go, name))
        with pytest.raises(Unusable) as refusal:
            await listener.listen(clip)
        assert listener.waiting == 0
        return refusal.value.reason

    assert await refused(Heard("", 0.9)) is Reason.UNSURE
    assert await refused(Heard("um uh", 0.9)) is Reason.UNSURE
    assert await refused(Heard("precision matters", 0.3), "faster-whisper small.en") is Reason.UNSURE
    assert await refused(Heard("Das Modell", 0.9, language="de")) is Reason.LANGUAGE
    german = "Die Genauigkeit ist der Anteil der richtigen Vorhersagen und sie hilft wenig bei den seltenen Klassen"
    assert await refused(Heard(german, 0.9)) is Reason.LANGUAGE


async def test_the_ear_that_comes_with_the_coach_hears_the_subject_and_is_unsure_of_other_languages(
    library: Library, tmp_path: Path
) -> None:
    """The language model is that of one section, so that it is made quickly; the bench measures the whole."""
    section = {question.id: question for question in library.about(library.questions["precision"].section)}
    listener = open_listener(settings(tmp_path), replace(library, questions=section))
    assert isinstance(listener, Listener)
    heard = await listener.listen(Clip(voice_note(speech(SAID))))
    made = _times(tmp_path)
    with pytest.raises(Unusable) as foreign:
        await listener.listen(Clip(voice_note(speech("Ich habe gestern mit meiner Familie im Garten gegessen und dann geschlafen.", "de"))))

    wanted, got = SAID.lower().strip(".").split(), heard.text.lower().split()
    assert Levenshtein.distance(wanted, got) <= 4, heard.text
    assert heard.draft
    assert heard.ear.startswith("pocketsphinx ")
    assert len(heard.heard.words) == len(heard.heard.text.split())
    assert foreign.value.reason is Reason.UNSURE
    assert _times(tmp_path) == made


def _times(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}


async def test_nothing_of_a_recording_is_left_anywhere_where_the_owner_does_not_keep_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the folder that it runs in nor among temporary files, and not where it is refused either."""
    for name in ("here", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    ear = Told(Heard("overfitting is seen", 0.9), asyncio.Event())
    ear.go.set()
    listener = Listener(ear)
    clip = Clip(voice_note(speech(SAID)))

    assert (await listener.listen(clip)).text == "overfitting is seen"
    with pytest.raises(Unusable):
        await listener.listen(Clip(clip.data[:200]))
    assert tempfile.gettempdir() == str(tmp_path / "temporary")
    assert [files for _, _, files in os.walk(tmp_path) if files] == []
