"""What is done with a recording in a process of its own, which may be killed: run by `bot.speech.processes`, never imported.

It reads one request from standard input and writes one answer to standard output: a line of JSON, then bytes. It imports nothing
of the engine, so that it starts fast and knows no setting; it limits its own memory and time before it looks at the recording.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

RATES = (4_000, 384_000)
CHANNELS = 8
"""As many as 7.1 surround sound has."""

BLOCK = 1 << 18
"""Samples that are decoded at a time, all channels together."""


SLACK = 0.8
"""Share of the length that a file tells which must be in it."""


class Refused(Exception):
    """Why a recording is not decoded: the value of a `Reason`."""


def limit(memory: int, seconds: int) -> None:
    """No more than this many bytes and seconds of the processor from now on; no file is written and no process begun."""
    os.nice(5)  # the conversation goes first
    try:
        import resource
    except ImportError:  # not on this system: the parent's own time limit is left
        return
    limits = ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0))
    for which, most in limits:
        with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of address space
            resource.setrlimit(which, (most, most))


# ---------------------------------------------------------------------------------------------- decoding


def kind(data: bytes) -> str:
    """What the first bytes say: "soundfile" or "av" can read it; "" for anything else."""
    if data[:4] in (b"OggS", b"fLaC") or (data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE"):
        return "soundfile"
    if data[:3] == b"ID3" or (len(data) > 2 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 and data[1] & 0x06):
        return "soundfile"  # MP3; ADTS, which looks alike, has a layer of 0
    if data[4:8] == b"ftyp" or data[:4] == b"\x1a\x45\xdf\xa3" or (len(data) > 2 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0):
        return "av"  # MP4 and M4A, WebM, ADTS
    return ""


def cut_off(data: bytes) -> bool:
    """Whether an Ogg or WAV file ends before what it says of itself."""
    if data[:4] == b"OggS":
        at = 0
        while at < len(data):
            if data[at : at + 4] != b"OggS" or len(data) < at + 27:
                return at + 27 > len(data)
            segments = data[at + 27 : at + 27 + data[at + 26]]
            at += 27 + data[at + 26] + sum(segments)
        return at > len(data)
    if data[:4] == b"RIFF":
        at = 12
        while at + 8 <= len(data):
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            if data[at : at + 4] == b"data":
                return at + 8 + size > len(data) and size < 0x7FFF_0000  # a recorder that streams writes no true size
            at += 8 + size + size % 2
    return False


def with_soundfile(data: bytes) -> Iterator[tuple[int, Any]]:
    """Blocks of samples [frames, channels], each with the rate. Raises Refused at the end where the file says it is longer."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check(file.samplerate, file.channels)
            frames, came = max(1, BLOCK // file.channels), 0
            while len(block := file.read(frames, dtype="float32", always_2d=True)):
                came += len(block)
                yield file.samplerate, block
            if came < SLACK * file.frames:
                raise Refused("broken")
    except soundfile.SoundFileError as error:
        raise Refused("broken") from error


def with_av(data: bytes) -> Iterator[tuple[int, Any]]:
    """The same, for what libav alone can read."""
    try:
        import av
    except ImportError:
        raise Refused("needs extra") from None
    try:
        with av.open(io.BytesIO(data), mode="r", metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise Refused("not audio")
            stream = container.streams.audio[0]
            _check(stream.rate or 0, stream.channels or 0)
            plain = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
            came = 0
            for frame in container.decode(stream):
                for part in plain.resample(frame):
                    came += part.samples
                    yield part.sample_rate, part.to_ndarray().T
            if container.duration and came / stream.rate < SLACK * container.duration / av.time_base - 1:
                raise Refused("broken")
    except (av.FFmpegError, ValueError) as error:
        raise Refused("broken") from error


def _check(rate: int, channels: int) -> None:
    if channels > CHANNELS:
        raise Refused("channels")
    if not RATES[0] <= rate <= RATES[1] or channels < 1:
        raise Refused("broken")


def decoded(data: bytes, rate: int, longest: float) -> bytes:
    """The recording as one channel of 32-bit floats, `rate` a second. Its length is counted while it unfolds."""
    import numpy as np
    import soxr

    how = kind(data)
    if not how:
        raise Refused("not audio")
    if cut_off(data):
        raise Refused("broken")
    parts: list[Any] = []
    stream: Any = None
    came, of = 0, 0
    for of, block in with_av(data) if how == "av" else with_soundfile(data):
        came += len(block)
        if came > longest * of:
            raise Refused("too long")
        if stream is None:
            stream = soxr.ResampleStream(of, rate, 1, dtype="float32")
        mono = np.ascontiguousarray(block.mean(axis=1), dtype=np.float32)
        parts.append(stream.resample_chunk(np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0)))
    if stream is None:
        raise Refused("empty")
    parts.append(stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
    return bytes(np.clip(np.concatenate(parts), -1.0, 1.0).astype(np.float32).tobytes())


# ---------------------------------------------------------------------------------------------- the built-in recogniser


LEVEL, FLOOR = 0.1, 0.003
"""The loudness that a recording is brought to, and the noise under which it has none (30 dB below it). The recogniser adapts to a
channel by its quietest parts: perfect silence, which synthetic and gated voices have, costs it a third more errors."""


def recognised(data: bytes, asked: dict[str, Any]) -> dict[str, Any]:
    """What pocketsphinx hears: words with their times and how sure it is of each. data: 32-bit floats, 16,000 a second."""
    import numpy as np
    from pocketsphinx import Decoder, get_model_path

    sound = np.frombuffer(data, dtype=np.float32).astype(np.float64)
    sound *= LEVEL / max(float(np.sqrt(np.mean(sound**2))), 1e-6)
    frames = sound[: len(sound) // 400 * 400].reshape(-1, 400)
    own = float(np.percentile(np.sqrt(np.mean(frames**2, axis=1)), 10)) if len(frames) else 0.0
    sound += np.random.default_rng(0).normal(0, max(0.0, FLOOR**2 - own**2) ** 0.5, len(sound))
    wave = (np.clip(sound, -1, 1) * 32767).astype(np.int16).tobytes()
    common = {"hmm": get_model_path("en-us/en-us"), "cmn": "batch", "loglevel": "FATAL"}
    found = _decode(Decoder(lm=asked["lm"], dict=asked["dict"], **common), wave)
    words = [(one.word.split("(")[0], one.start_frame / 100, (one.end_frame + 1) / 100, min(1.0, one.prob)) for one in found]
    if not words:
        return {"words": [], "sure": 0.0}
    # A recogniser that may say any row of sounds hears what the words are made of where they are right, and something else where not.
    free = _decode(Decoder(allphone=get_model_path("en-us/en-us-phone.lm.bin"), lw=2.0, beam=1e-20, pbeam=1e-20, **common), wave)
    expected = _sounds(asked["dict"], [one.word for one in found])
    agreement = _alike([one.word for one in free if one.word != "SIL"], expected)
    return {"words": words, "sure": (sum(word[3] for word in words) / len(words) + agreement) / 2}


def _decode(decoder: Any, wave: bytes) -> list[Any]:
    decoder.start_utt()
    decoder.process_raw(wave, full_utt=True)
    decoder.end_utt()
    return [one for one in decoder.seg() if one.word[0] not in "<[+"] if decoder.hyp() is not None else []


def _sounds(dictionary: str, words: list[str]) -> list[str]:
    with open(dictionary, encoding="utf-8") as lines:
        ways = dict(line.strip().partition(" ")[::2] for line in lines)
    return [sound for word in words for sound in ways.get(word, "").split()]


def _alike(one: list[str], other: list[str]) -> float:
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(one, other))


# ---------------------------------------------------------------------------------------------- one request


def main() -> None:
    asked = json.loads(sys.stdin.buffer.readline())
    limit(asked["memory"], asked["seconds"])
    data = sys.stdin.buffer.read()
    told: dict[str, Any] = {}
    made = b""
    try:
        if asked["job"] == "decode":
            made = decoded(data, asked["rate"], asked["longest"])
        else:
            told = recognised(data, asked)
    except Refused as refused:
        told["refused"] = str(refused)
    except MemoryError:
        told["refused"] = "broken"
    sys.stdout.buffer.write(json.dumps(told | {"bytes": len(made)}).encode() + b"\n" + made)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
