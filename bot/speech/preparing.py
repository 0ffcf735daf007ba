"""Makes what the built-in recogniser knows of the packs' subject: a language model and a dictionary, kept until the packs change.

Run as a process of its own by `prepared`, because it computes for some seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

from bot.speech.pronouncing import Pronouncing, Sounds
from bot.speech.trigrams import arpa
from bot.speech.wording import ONES, SCALES, TENS, spoken

FORMAT = 1
"""Counted up when what is made changes."""

LONGEST = 300.0
"""Seconds after which making it is given up."""

FILLERS = ("um", "uh", "er")

TALK = (
    "um i think", "um so", "uh the", "so um", "and uh", "well i would say", "i would start with", "i'd start with", "first of all",
    "the first thing is", "the main reason is that", "the main point is", "what i would do is", "let me think", "let me see",
    "that's a good question", "it depends on", "basically it means that", "in other words", "so for example", "for instance",
    "on the one hand", "on the other hand", "i mean", "you know", "i would check", "i would look at", "i would use", "we would",
    "i'd say that", "as far as i know", "i'm not sure", "i don't know", "if i remember", "to sum up", "that is why", "which means that",
    "the idea is that", "the difference is that", "the trade off is", "in practice i would", "and then", "because of that",
    "let's say we have", "suppose we have", "imagine that", "at the end", "and so on", "that's it", "i guess", "kind of", "sort of",
)  # fmt: skip
"""What people say between the things that a pack says."""

SPELLED = re.compile(r"\b[A-Z]{2,6}s?\b")


class Unready(Exception):
    """Why it could not be made."""


async def prepared(texts: Sequence[str], folder: Path) -> tuple[Path, Path]:
    """The files of the language model and of the dictionary for `texts`, in `folder`; made where they are not there yet.

    Raises Unready."""
    key = hashlib.sha256(json.dumps([FORMAT, *texts]).encode()).hexdigest()[:16]
    model, dictionary = folder / f"ear-{key}.lm", folder / f"ear-{key}.dict"
    if model.is_file() and dictionary.is_file():
        return model, dictionary
    code = "from bot.speech.preparing import main; main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", code, str(model), str(dictionary),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LONGEST):
            await process.communicate(json.dumps(texts).encode())
    except TimeoutError:
        raise Unready("it took too long") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode or not (model.is_file() and dictionary.is_file()):
        raise Unready("the language model could not be made")
    return model, dictionary


def main() -> None:
    """Reads the texts from standard input; the files to write are its arguments."""
    os.nice(10)
    model, dictionary = (Path(name) for name in sys.argv[-2:])
    told, said = made(json.load(sys.stdin), carried())
    model.parent.mkdir(parents=True, exist_ok=True)
    _write(dictionary, said)
    _write(model, told)


def made(texts: Sequence[str], known: Mapping[str, Sounds]) -> tuple[str, str]:
    """The language model and the dictionary of `texts`, as text."""
    sentences = [*(said for text in texts for said in spoken(text)), *(line.split() for line in TALK)]
    words = {word for said in sentences for word in said} | set(FILLERS) | {*ONES, *TENS, "point", "percent", *(name for _, name in SCALES)}
    pronounced = Pronouncing(known, abbreviations(texts))
    ways = {word: found for word in sorted(words) if (found := pronounced(word))}
    lines = (f"{word}{f'({n})' if n > 1 else ''} {sounds}\n" for word, found in ways.items() for n, sounds in enumerate(found, 1))
    return arpa(sentences, ways.keys()), "".join(lines)


def abbreviations(texts: Iterable[str]) -> Set[str]:
    """What is written in capitals more often than not, in lower case."""
    capitals: Counter[str] = Counter()
    small: Counter[str] = Counter()
    for text in texts:
        capitals.update(word.removesuffix("s").lower() for word in SPELLED.findall(text))
        small.update(re.findall(r"\b[a-z]{2,6}\b", text))
    return {word for word, count in capitals.items() if count > small[word]}


def carried() -> dict[str, Sounds]:
    """The dictionary that comes with pocketsphinx."""
    from pocketsphinx import get_model_path

    known: dict[str, Sounds] = {}
    with open(get_model_path("en-us/cmudict-en-us.dict"), encoding="utf-8") as lines:
        for line in lines:
            word, _, sounds = line.strip().partition(" ")
            word = word.partition("(")[0]
            known[word] = (*known.get(word, ()), sounds)
    return known


def _write(file: Path, text: str) -> None:
    """All of it or nothing, whoever else writes the same."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, prefix=file.name, delete=False) as part:
        part.write(text)
    os.replace(part.name, file)


if __name__ == "__main__":
    main()
