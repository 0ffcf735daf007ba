"""Measures what the ears hear, for docs/voice.md: python tests/bench/speech.py [sentences [voice ...]]

Forty sentences of this domain that no pack contains are spoken by espeak-ng, sent through OGG/Opus and heard by every ear that can
be had here: word error rate as heard and with terms mended, processor time for a second of speech, memory. Then the table of terms.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from rapidfuzz.distance import Levenshtein  # noqa: E402
from spoken import speech, voice_note  # noqa: E402

from bot.config import Settings, settings  # noqa: E402
from bot.content import default_folder, load  # noqa: E402
from bot.messages import Clip  # noqa: E402
from bot.speech import Ear, Unusable  # noqa: E402
from bot.speech.decoding import decode  # noqa: E402
from bot.speech.ears import english, open_ear  # noqa: E402
from bot.speech.sphinx import SphinxEar  # noqa: E402
from bot.speech.terms import mending  # noqa: E402
from bot.speech.usable import LINES  # noqa: E402
from bot.speech.wording import texts  # noqa: E402

SENTENCES = (Path(__file__).with_name("sentences.txt")).read_text("utf-8").splitlines()
TABLE = [line.split("\t") for line in (ROOT / "tests/heard_terms.txt").read_text("utf-8").splitlines()]
VOICES = ("en-us", "en-gb", "en-us+f3", "en-us+m3", "en-gb-scotland")
FOREIGN = {
    "de": "Wir trainieren das Modell jede Woche neu, weil sich das Verhalten der Kunden ändert.",
    "fr": "Le modèle apprend le bruit, c'est pourquoi il se trompe sur les données nouvelles.",
    "es": "La precisión es la proporción de los positivos que de verdad son positivos.",
    "it": "Il modello impara il rumore e per questo sbaglia sui dati nuovi.",
    "nl": "Het model leert de ruis uit het hoofd en faalt daarom op nieuwe gegevens.",
    "pl": "Wczoraj byłem w sklepie i kupiłem chleb, masło oraz kilka jabłek na drogę.",
}


def words(text: str) -> list[str]:
    """Lower case, one spelling, hyphens joined: what counts as the same word."""
    plain = re.sub(r"[-/]", "", text.lower())
    return re.sub(r"is(e|ed|es|ing|ation|ations)\b", r"iz\1", re.sub(r"[^\w\s']", " ", plain)).split()


def used() -> float:
    """Processor seconds of the processes that ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _megabytes(folder: str) -> float:
    return sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6


async def one_voice(ear: Ear, mend: Callable[[str], str], voice: str, count: int) -> list[float]:
    raw = mended = spoken = 0
    seconds, before, sure = 0.0, used(), []
    for sentence in SENTENCES[:count]:
        sound = await decode(Clip(voice_note(speech(sentence, voice))))
        heard = await ear.hear(sound)
        wanted = words(mend(sentence))
        raw += Levenshtein.distance(wanted, words(heard.text))
        mended += Levenshtein.distance(wanted, words(mend(heard.text)))
        spoken += len(wanted)
        seconds += sound.seconds
        sure.append(heard.confidence)
    line = LINES.get(ear.name.split()[0], 0.0)
    print(
        f"  {voice:15} word error rate {100 * raw / spoken:5.1f} %, mended {100 * mended / spoken:5.1f} %; "
        f"{(used() - before) / seconds:.2f} s of processor a second; confidence {min(sure):.2f} to {max(sure):.2f}, "
        f"{sum(one < line for one in sure)} of {len(sure)} under the line",
        flush=True,
    )
    return [raw, mended, spoken]


async def foreign(ear: Ear) -> None:
    found = []
    for voice, text in FOREIGN.items():
        try:
            heard = await ear.hear(await decode(Clip(voice_note(speech(text, voice)))))
            found.append(f"{voice} {heard.language} {heard.confidence:.2f}")
        except Unusable as refusal:
            found.append(f"{voice} {refusal}")
    print(f"  other languages: {', '.join(found)}", flush=True)


async def main(count: int, voices: tuple[str, ...]) -> None:
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {count} sentences")
    library = load(default_folder())
    began = time.process_time()
    mend = mending(tuple(texts(library)), english())
    right = sum(mend(heard) == meant for heard, meant in TABLE)
    plain = sum(heard == meant for heard, meant in TABLE)
    print(f"terms: {plain} of {len(TABLE)} right as heard, {right} mended; made in {time.process_time() - began:.1f} s of processor")
    with tempfile.TemporaryDirectory() as folder:
        own = Settings(_env_file=None, cache=Path(folder), ear="pocketsphinx")  # type: ignore[call-arg]
        ears = [open_ear(own, library)]
        if settings().ear in ("whisper", "endpoint"):
            ears.append(open_ear(settings(), library))
        for ear in ears:
            if isinstance(ear, str):
                print(ear)
                continue
            before = used()
            if isinstance(ear, SphinxEar):
                await ear.prepare()
                spent = used() - before
                print(f"{ear.name}: language model and dictionary made in {spent:.1f} s of processor, {_megabytes(folder):.1f} MB")
            totals = [await one_voice(ear, mend, voice, count) for voice in voices]
            raw, mended, spoken = (sum(column) for column in zip(*totals, strict=True))
            print(f"  all voices      word error rate {100 * raw / spoken:5.1f} %, mended {100 * mended / spoken:5.1f} %")
            await foreign(ear)
            print(f"  memory of the largest process so far: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")
            await ear.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else len(SENTENCES), tuple(sys.argv[2:]) or VOICES))
