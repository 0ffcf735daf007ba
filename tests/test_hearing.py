"""Recordings: what is read, what is refused, and that neither can harm the process."""

from __future__ import annotations

import io
import os
import sys

import numpy as np
import pytest
from spoken import Samples, encoded, speech, voice_note

from bot.phrases.hearing import unusable
from bot.speech import Clip, Reason, Unusable, child
from bot.speech.decoding import decode
from bot.speech.processes import Limits
from bot.speech.sound import LARGEST, RATE

SENTENCE = "Precision is the share of the flagged items that really are positive."


def tone(seconds: float, pitch: float = 440.0) -> Samples:
    return (0.3 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def m4a(samples: Samples, *, index_first: bool = False, picture: bool = False) -> bytes:
    """An MP4 file with AAC in it, as phones record; index_first: so that it can be played while it loads."""
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov"} if index_first else {}) as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        if picture:
            video = container.add_stream("mpeg4", rate=10, width=32, height=32, pix_fmt="yuv420p")
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
            container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


async def refused(data: bytes, seconds: float | None = None) -> Reason:
    with pytest.raises(Unusable) as refusal:
        await decode(Clip(data, seconds=seconds))
    return refusal.value.reason


async def test_every_kind_of_recording_becomes_the_same_sound() -> None:
    said = speech(SENTENCE)
    long = len(said) / RATE
    files = {
        "OGG/Opus": voice_note(said), "OGG/Vorbis": encoded(said, "OGG", "VORBIS"), "MP3": encoded(said, "MP3"),
        "WAV": encoded(said, "WAV"), "stereo": encoded(np.stack([said, said], axis=1), "WAV"), "M4A": m4a(said),
        "a video note": m4a(said, picture=True),
    }  # fmt: skip
    for name, data in files.items():
        sound = await decode(Clip(data, "application/octet-stream", long))
        assert sound.rate == RATE, name
        assert sound.seconds == pytest.approx(long, abs=0.15), name
        shift = int(np.argmax(np.correlate(sound.samples[: 2 * RATE], said[:RATE], "valid")))
        heard = sound.samples[shift : shift + RATE]
        assert np.corrcoef(heard, said[:RATE])[0, 1] > 0.9, name


async def test_what_is_no_recording_is_refused_by_its_reason() -> None:
    random = np.random.default_rng(1)
    assert await refused(b"") is Reason.EMPTY
    assert await refused(b"hello, this is text" * 100) is Reason.NOT_AUDIO
    assert await refused(b"\x89PNG\r\n\x1a\n" + bytes(1000)) is Reason.NOT_AUDIO
    assert await refused(bytes(LARGEST + 1)) is Reason.TOO_BIG
    for head in (b"OggS", b"fLaC", b"ID3\x03", b"RIFF\0\0\0\0WAVEfmt ", b"\0\0\0 ftypM4A "):
        assert await refused(head + random.bytes(4000)) is Reason.BROKEN, head
    assert await refused(encoded(np.zeros((RATE, 20), np.float32), "WAV")) is Reason.CHANNELS
    assert await refused(encoded(tone(0.1), "WAV")) is Reason.TOO_SHORT
    assert await refused(encoded(tone(0)[:0], "WAV")) is Reason.EMPTY


async def test_a_recording_that_is_cut_off_is_refused_rather_than_graded_by_half() -> None:
    said = tone(4)
    for data in (voice_note(said), encoded(said, "OGG", "VORBIS"), encoded(said, "WAV"), encoded(said, "MP3"), m4a(said)):
        assert await refused(data[: len(data) // 2]) is Reason.BROKEN, data[:12]
    for data in (m4a(said, index_first=True), encoded(said, "MP3")):
        assert await refused(data[: len(data) // 3], seconds=4.0) is Reason.BROKEN, data[:12]


async def test_a_recording_that_unfolds_to_hours_is_refused_before_it_has_unfolded() -> None:
    """Thirty minutes of silence are 300 KB of FLAC; as the platform says nothing of its length, only decoding tells."""
    bomb = encoded(np.zeros(RATE * 1800, np.int16), "FLAC")  # type: ignore[arg-type]

    assert len(bomb) < 400_000
    assert await refused(bomb) is Reason.TOO_LONG
    assert await refused(voice_note(tone(1)), seconds=301) is Reason.TOO_LONG


async def test_decoding_that_takes_too_long_or_too_much_memory_is_ended_and_leaves_no_process() -> None:
    data = encoded(tone(200), "WAV")
    before = _children()

    with pytest.raises(Unusable) as slow:
        await decode(Clip(data), Limits(memory=1 << 30, processor=20, clock=0.01, answer=1 << 25))
    with pytest.raises(Unusable) as fat:
        await decode(Clip(data), Limits(memory=100 << 20, processor=20, clock=40, answer=1 << 25))

    assert slow.value.reason is Reason.TOO_SLOW
    assert fat.value.reason is Reason.BROKEN
    assert _children() == before


def _children() -> set[str]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return set(file.read().split())


def test_a_recording_that_needs_an_extra_which_is_not_there_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """M4A on a machine without the extra for it."""
    data = m4a(tone(1))
    monkeypatch.setitem(sys.modules, "av", None)

    with pytest.raises(child.Refused) as refusal:
        child.decoded(data, RATE, 60)

    assert unusable(Reason(str(refusal.value))).text.startswith(
        "I can't play that kind of file here: send a voice note, or OGG, MP3 or WAV."
    )
