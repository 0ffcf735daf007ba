"""What is said aloud: formulas as a person reads them, the three kinds of voices, and the notes that are made of them once."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from peers.speech import KEY, Answer, SpeechServer

from bot.config import Settings
from bot.content import Library
from bot.errors import SettingsError
from bot.messages import VoiceNote
from bot.voices import Speech, VoiceError, open_speaker
from bot.voices.endpoint import Endpoint
from bot.voices.espeak import Espeak
from bot.voices.opus import RATE, decoded, note, waveform
from bot.voices.piper import Piper
from bot.voices.speaker import Speaker
from bot.voices.spoken import CODE, THE_CODE, spoken

FORMULAS = {
    "R^2": "R squared",
    "log(1/p)": "log of one over p",
    "TP / (TP + FN)": "TP over TP plus FN",
    "x <= 3": "x is less than or equal to 3",
    "x ≤ 3": "x is less than or equal to 3",
    "p >= 0.5": "p is greater than or equal to 0.5",
    "p < 0.001": "p is less than 0.001",
    "p = 0.46": "p equals 0.46",
    "(TP + TN) / (TP + TN + FP + FN)": "TP plus TN, over TP plus TN plus FP plus FN",
    "2 * P * R / (P + R)": "two times P times R over P plus R",
    "sqrt(p * (1 - p) / n)": "the square root of p times one minus p, over n",
    "softmax(Q K^T) V": "softmax of Q K transpose V",
    "divide by sqrt(d_k)": "divide by the square root of d sub k",
    "d_k = 64": "d sub k equals 64",
    "W_q and W_v": "W sub q and W sub v",
    "n = 16 * p * (1 - p) / d^2": "n equals 16 times p times one minus p, over d squared",
    "'12 d^2 a layer'": "'12 d squared a layer'",
    "p (1 - p)": "p times one minus p",
    "P(A and B) equal to P(A) * P(B)": "the probability of A and B equal to the probability of A times the probability of B",
    "P(A | B)": "the probability of A given B",
    "E[y | x]": "the expected value of y given x",
    "p(1 | x)": "p of 1 given x",
    "0.95^20": "0.95 to the power 20",
    "1 - 0.95^20": "one minus 0.95 to the power 20",
    "(1 - p)^k": "one minus p, to the power k",
    "1 - (1 - p)^k": "one minus, one minus p, to the power k",
    "y = x^2 on -1 to 1": "y equals x squared on minus one to 1",
    "error = bias^2 + variance + noise": "error equals bias squared plus variance plus noise",
    "f(w) = 5 * w^2": "f of w equals five times w squared",
    "f(w) = 5w^2": "f of w equals 5w squared",
    "1 / (1 + lambda)": "one over one plus lambda",
    "1 / (1 + exp(-z))": "one over one plus e to the power minus z",
    "log(p / (1 - p))": "log of p over one minus p",
    "log2(position + 1)": "log base two of position plus one",
    "log(spend + 1)": "log of spend plus one",
    "exp(prediction)": "e to the power prediction",
    "ln(N / df)": "the natural log of N over df",
    "(X'X)^-1 X'y": "X transpose X, inverse X transpose y",
    "lambda * ||w||^2": "lambda times the norm of w, squared",
    "|x - median|": "the absolute value of x minus median",
    "probabilities to [0.01, 0.99]": "probabilities between 0.01 and 0.99",
    "uniform on [0, 1]": "uniform between 0 and 1",
    "N(0, 1)": "N of 0 and 1",
    "a Beta(2, 98) prior": "a Beta of 2 and 98 prior",
    "O(n^2)": "order n squared",
    "2^grade - 1": "two to the power grade minus one",
    "sqrt(sum((y - yhat)^2) / n)": "the square root of the sum of y minus y hat, squared, over n",
    "rho*s^2 + (1 - rho)*s^2/B": "rho times s squared plus one minus rho, times s squared over B",
    "a^(k+1) / (1 - a)": "a to the power k plus one, over one minus a",
    "(1/b)^(1/r)": "one over b, to the power one over r",
    "tau^2 / (tau^2 + se^2)": "tau squared over tau squared plus se squared",
    "σ² / n": "sigma squared over n",
    "α = 5%": "alpha equals 5 percent",
    "b0 + b1*x1 + b2*x2": "b0 plus b1 times x1 plus b2 times x2",
    "1 / P(delay < age)": "one over the probability of delay is less than age",
    "RMSE^2 - MAE^2": "RMSE squared minus MAE squared",
    "e^-4": "e to the power minus four",
    "10^-5": "ten to the minus five",
    "(1e16 + 1) - 1e16": "ten to the 16 plus one, minus ten to the 16",
    "a loss of 3e-4": "a loss of three times ten to the minus four",
    "pass@5 = 99%": "pass at five equals 99 percent",
    "NDCG@10": "NDCG at 10",
    "an A/B test": "an A B test",
    "the M/M/1 queue": "the M M 1 queue",
    "from 50/30/20 to 40/30/30": "from 50 30 20 to 40 30 30",
    "1 / 5%": "one over 5 percent",
    "15 GB/s": "15 gigabytes per second",
    "4 Mbit/s each": "4 megabits per second each",
    "300 TFLOP/s": "300 teraflops per second",
    "from -1.1 to +0.5 points": "from minus 1.1 to plus 0.5 points",
    "spend (0-20,000 euros)": "spend (0 to 20,000 euros)",
    "2026-07-10 22:30 UTC": "2026-07-10 22:30 UTC",
    "the rule butter -> bread": "the rule butter to bread",
    "precision/recall": "precision or recall",
    "p_click 0.20": "p sub click 0.20",
    "`orders.amount`": "orders dot amount",
    "`monthly_income` in cents": "monthly income in cents",
    "compare `COUNT(*)` with `COUNT(o.id)`": "compare COUNT star with count of o dot id",
    "MAX(created_at)": "the maximum of created at",
    "`events(id, customer_id, status)`": "events with id, customer id, status",
    "`WHERE o.status = 'paid'`": "WHERE o dot status equals paid",
    "a k-means, 5-fold run (4 of 5)": "a k-means, 5-fold run (4 of 5)",
    "**bold** words, e.g. a - b": "bold words, for example a minus b",
    "it fell - nobody noticed": "it fell, nobody noticed",
}
"""Every kind of notation that stands in the packs, and how a person reads it."""


@pytest.mark.parametrize(("written", "said"), FORMULAS.items())
def test_formulas_and_code_are_spoken_as_a_person_reads_them(written: str, said: str) -> None:
    """A formula is read in words, never sign by sign."""
    assert spoken(written) == said


def test_a_block_of_code_is_mentioned_and_not_read() -> None:
    """Nobody reads a query aloud: it is said that it is there."""
    assert spoken("The figure doubled:\n```sql\nSELECT a FROM b\n```\nWhy?") == f"The figure doubled: {CODE} Why?"
    assert spoken("Run `SELECT a, b, c FROM t JOIN u ON t.id = u.id WHERE t.day > '2026-01-01' AND u.paid`.") == f"Run {THE_CODE}."


def test_nothing_of_the_packs_is_left_in_signs(library: Library) -> None:
    """Of every question and follow-up that comes with the coach no sign is left that a voice would spell out or swallow."""
    texts = [text for one in library.questions.values() for text in (one.prompt, *one.wordings, *(more.prompt for more in one.followups))]
    left = {said for text in texts if (set("^_*=<>|/`+~\\") | {"\ue000", "\ue001"}) & set(said := spoken(text))}
    assert not left
    assert all(spoken(text) for text in texts)


# ---------------------------------------------------------------------------------------------- notes


def tone(seconds: float, rate: int = 16_000) -> Speech:
    """A tone that gets louder."""
    steps = np.arange(int(seconds * rate)) / rate
    return Speech((np.sin(steps * 2000) * steps / max(seconds, 0.1) * 0.5).astype(np.float32), rate)


def kept(folder: Path) -> list[Path]:
    return list(folder.iterdir())


class Tone:
    """A voice that hums for a second, and counts."""

    name = "tone 1"

    def __init__(self) -> None:
        self.said: list[str] = []
        self.fails = False

    async def say(self, text: str) -> Speech:
        self.said.append(text)
        if self.fails:
            raise VoiceError("hoarse")
        return tone(1.0)

    async def close(self) -> None: ...


def test_a_note_is_one_channel_of_opus_with_its_length_and_its_waveform() -> None:
    """A voice note is what the platforms' own clients record, and its waveform has a step for every tenth of a second, 256 at most."""
    made = note(tone(3.25))
    read = soundfile.info(io.BytesIO(made.data))
    assert (read.format, read.subtype, read.channels, read.samplerate) == ("OGG", "OPUS", 1, RATE)
    assert made.seconds == pytest.approx(3.25, abs=0.01)
    assert read.duration == pytest.approx(made.seconds, abs=0.1)
    assert len(made.waveform) == 33
    assert max(made.waveform) == 255 == made.waveform[-1] > made.waveform[5]
    assert len(waveform(np.zeros(RATE * 60, np.float32), RATE)) == 256
    with pytest.raises(VoiceError):
        note(Speech(np.zeros(0, np.float32), RATE))
    with pytest.raises(VoiceError):
        decoded(b"RIFF and nothing else")
    with pytest.raises(ValueError):
        VoiceNote(b"not ogg", 1.0, b"\x01")


async def test_a_text_is_spoken_once_for_a_voice_also_after_a_restart(tmp_path: Path) -> None:
    """The note is made once, asked for twice at the same time too, found again by the next process, and made anew where it is damaged."""
    voice = Tone()
    first = Speaker(voice, tmp_path)
    one, two = await asyncio.gather(first.begin("What is R^2?"), first.begin("What is R^2?"))
    assert one == two
    assert voice.said == ["What is R squared?"]
    again = await Speaker(voice, tmp_path).begin("What is R^2?")
    assert again == one
    assert len(voice.said) == 1
    (file,) = kept(tmp_path)
    file.write_bytes(file.read_bytes()[:-10])
    anew = await Speaker(voice, tmp_path).begin("What is R^2?")
    assert one is not None
    assert anew is not None
    assert anew.waveform == one.waveform
    assert len(voice.said) == 2
    assert await Speaker(voice, tmp_path).begin("```code```\n") is not None
    assert await Speaker(voice, tmp_path).begin("  ") is None


async def test_the_folder_of_notes_does_not_grow_for_ever(tmp_path: Path) -> None:
    """What was used longest ago makes room."""
    voice = Tone()
    small = Speaker(voice, tmp_path, most=25_000)
    await small.begin("zero")
    (oldest,) = kept(tmp_path)
    os.utime(oldest, (1, 1))
    size = oldest.stat().st_size
    for number in range(25_000 // size + 1):
        await small.begin(f"text {number}")
    assert not oldest.exists()
    assert sum(file.stat().st_size for file in kept(tmp_path)) <= 25_000


async def test_a_voice_that_fails_is_left_alone_for_a_while(tmp_path: Path) -> None:
    """A voice that is down costs a fan-out one try, not one for every learner."""
    voice, clock = Tone(), [0.0]
    voice.fails = True
    one = Speaker(voice, tmp_path, clock=lambda: clock[0])
    assert await one.begin("first") is None
    assert await one.begin("second") is None
    assert voice.said == ["first"]
    voice.fails, clock[0] = False, 31.0
    assert await one.begin("second") is not None
    await one.close()


# ---------------------------------------------------------------------------------------------- voices


async def test_espeak_speaks_a_question(tmp_path: Path) -> None:
    """espeak-ng says a question in some seconds of sound; one that hangs or fails is given up."""
    program = shutil.which("espeak-ng")
    if program is None:
        if os.environ.get("COACH_TEST_ESPEAK"):
            pytest.fail("espeak-ng is not installed")
        pytest.skip("espeak-ng is not installed: apt-get install espeak-ng")
    said = await Espeak(program, "en-us", 20).say("-w /tmp/x is no option here. Explain precision.")
    assert 2 < len(said.samples) / said.rate < 8
    assert np.abs(said.samples).max() > 0.1
    for name, script, reason in (("broken", "exit 1", "failed"), ("slow", "exec sleep 60", "too long")):
        other = tmp_path / name
        other.write_text(f"#!/bin/sh\n{script}\n")
        other.chmod(0o755)
        with pytest.raises(VoiceError, match=reason):
            await Espeak(str(other), "en-us", 0.5).say("a")
    with pytest.raises(VoiceError, match="started"):
        await Espeak(str(tmp_path / "gone"), "en-us", 0.5).say("a")


def test_a_voice_that_is_not_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was chosen and can't be had is said at the start; nothing chosen and nothing there is no voice."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert open_speaker(Settings(cache=tmp_path)) is None
    assert open_speaker(Settings(cache=tmp_path, voice="off")) is None
    with pytest.raises(SettingsError, match="apt-get install espeak-ng"):
        open_speaker(Settings(cache=tmp_path, voice="espeak-ng"))
    with pytest.raises(SettingsError, match="COACH_VOICE_BASE_URL"):
        open_speaker(Settings(cache=tmp_path, voice="endpoint"))
    with pytest.raises(SettingsError, match="onnx"):
        open_speaker(Settings(cache=tmp_path, voice="piper", voice_model=str(tmp_path / "none.onnx")))


PIPER = '''
"""What of Piper's package is used, with a voice that hums."""
import json
from dataclasses import dataclass
import numpy as np

@dataclass
class AudioChunk:
    sample_rate: int
    sample_width: int
    sample_channels: int
    audio_float_array: np.ndarray

class PiperVoice:
    @staticmethod
    def load(model_path, config_path=None):
        with open(f"{model_path}.json") as file:
            voice = PiperVoice()
            voice.rate = json.load(file)["audio"]["sample_rate"]
        return voice

    def synthesize(self, text, syn_config=None):
        if "choke" in text:
            raise RuntimeError("no")
        for sentence in text.split(". "):
            yield AudioChunk(self.rate, 2, 1, np.full(self.rate, 0.25, np.float32))
'''


async def test_piper_loads_its_voice_when_something_is_to_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Piper's voice file is loaded once, its sentences are joined, and what it can't say is no crash; without its package that is said."""
    model = tmp_path / "en.onnx"
    model.write_bytes(b"weights")
    with pytest.raises(SettingsError, match=r"onnx\.json"):
        Piper(str(model), 10)
    (tmp_path / "en.onnx.json").write_text('{"audio": {"sample_rate": 22050}}')
    if "piper" not in sys.modules:
        with pytest.raises(SettingsError, match=r"interview-coach\[piper\]"):
            Piper(str(model), 10)
    (tmp_path / "piper.py").write_text(PIPER)
    monkeypatch.syspath_prepend(tmp_path)
    voice = Piper(str(model), 10)
    said = await voice.say("One. Two")
    assert (said.rate, len(said.samples)) == (22050, 2 * 22050)
    with pytest.raises(VoiceError, match="RuntimeError"):
        await voice.say("choke")
    sys.modules.pop("piper", None)


@pytest.fixture
async def server() -> AsyncIterator[SpeechServer]:
    async with SpeechServer() as running:
        yield running


async def test_an_endpoint_is_asked_as_its_interface_says(server: SpeechServer) -> None:
    """The request is what the strict server takes, and what comes back is the sound."""
    voice = Endpoint(server.url, "tts-1", "alloy", KEY, 20)
    said = await voice.say("Explain precision.")
    assert len(said.samples) / said.rate == pytest.approx(0.5, abs=0.01)
    assert server.requests[0]["input"] == "Explain precision."
    await voice.close()
    stranger = Endpoint(server.url, "tts-1", "alloy", "wrong", 20)
    with pytest.raises(VoiceError, match="401"):
        await stranger.say("a")
    await stranger.close()


@pytest.mark.parametrize("first", [Answer.RATE, Answer.BROKEN, Answer.CUT])
async def test_an_endpoint_that_stumbles_is_asked_again(server: SpeechServer, first: Answer) -> None:
    """429, 500 and a broken connection are tried again; after three times it is given up."""
    server.answers = [first]
    voice = Endpoint(server.url, "tts-1", "alloy", KEY, 20)
    assert len((await voice.say("a")).samples)
    assert len(server.requests) == 2
    server.answers = [first] * 3
    with pytest.raises(VoiceError):
        await voice.say("a")
    await voice.close()


async def test_an_endpoint_that_is_slow_or_says_nonsense_is_given_up(server: SpeechServer) -> None:
    """A slow answer ends at the time limit, and a page of text is no sound."""
    server.answers = [Answer.SLOW]
    slow = Endpoint(server.url, "tts-1", "alloy", KEY, 0.2)
    with pytest.raises(VoiceError, match="too long"):
        await slow.say("a")
    await slow.close()
    server.answers = [Answer.PAGE]
    voice = Endpoint(server.url, "tts-1", "alloy", KEY, 20)
    with pytest.raises(VoiceError, match="no sound"):
        await voice.say("a")
    await voice.close()
