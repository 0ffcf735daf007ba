"""What an author imports: questions from a CSV file or an Anki deck, as drafts whose points are to be filled in by hand.

A draft is a file that no pack is loaded from: nothing is asked of it and nothing is graded by it until its author has made it whole
and renamed it.
"""

from __future__ import annotations

import argparse
import csv
import html
import io
import json
import re
import sqlite3
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.errors import CoachError

LARGEST = 200_000_000
"""Bytes of a deck's collection that are read at most."""

FRONT = ("question", "front", "prompt", "q")
BACK = ("answer", "back", "model answer", "a")
"""What the columns of a CSV file may be called."""

DRAFT = ".toml.draft"

HEAD = """\
# Drafts, imported from {source}: {count} questions. Nothing is asked from here and nothing is graded by it.
# Give each question its two other wordings, hints, points, misconceptions and follow-ups (docs/authoring.md), then move it into a file
# that ends with .toml and run `coach check`.

section = "{section}"
"""

ENTRY = """
[[questions]]
id = {id}
title = {title}
level = 3
tracks = ["ml"]
competencies = ["fundamentals"]
prompt = {prompt}
wordings = []
hints = []
answer = {answer}
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A card as it was found. place: where, as an author would look for it."""

    front: str
    back: str
    place: str


def run(options: argparse.Namespace) -> int:
    """Writes the drafts; prints how many, and what was left out and why. Raises CoachError in one sentence where it can't."""
    from bot.content import default_folder, read

    folder: Path = options.folder or default_folder()
    target = folder / options.pack / f"{options.topic or _slug(options.file.stem, 'imported')}{DRAFT}"
    if target.exists():
        raise CoachError(f"{target} is there already: choose another --topic, or remove it")
    library, _ = read(folder)  # a pack that is not whole yet is no reason not to import
    known = library.questions
    taken, asked = set(known), {_alike(one.prompt) for one in known.values()}
    entries, left_out = [], []
    for found in _cards(options.file):
        problem = _problem(found, asked)
        if problem:
            left_out.append(f"{found.place}: {problem}")
            continue
        asked.add(_alike(found.front))
        id = _free(_slug(found.front, "question"), taken)
        taken.add(id)
        entries.append(ENTRY.format(id=_text(id), title=_text(_title(found.front)), prompt=_text(found.front), answer=_long(found.back)))
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)
    if not entries:
        raise CoachError(f"{options.file.name} holds nothing to import")
    head = HEAD.format(source=options.file.name, count=len(entries), section=options.section or next(iter(library.syllabus.sections)))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(head + "".join(entries), "utf-8")
    except OSError as error:
        raise CoachError(f"{target} can't be written: {error.strerror}") from error
    print(f"drafts: {len(entries)}, left out: {len(left_out)}, in {target}")
    return 0


def add_command(tools: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "take questions from a CSV file or an Anki deck, as drafts"
    tool = tools.add_parser("import", help=text, description=text[:1].upper() + text[1:] + ".")
    tool.add_argument("file", type=Path, help="a .csv, .tsv or .txt file with question and answer, or an .apkg deck")
    tool.add_argument("--pack", required=True, type=_name, help="the pack that the drafts are for")
    tool.add_argument("--topic", type=_name, help="the name of the draft file; the file's own by default")
    tool.add_argument("--section", type=_name, help="the section of the questions")
    tool.add_argument("--folder", type=Path, help="the folder of packs; the one that comes with the coach by default")
    tool.set_defaults(run=run)


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
        raise argparse.ArgumentTypeError("lower case letters, digits and hyphens")
    return text


# ---------------------------------------------------------------------------------------------- reading


def _cards(file: Path) -> Iterator[Found]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CoachError(f"{file} can't be read: {error.strerror}") from error
    if zipfile.is_zipfile(io.BytesIO(data)):
        yield from _from_anki(file.name, data)
    else:
        yield from _from_csv(file.name, data)


def _from_csv(name: str, data: bytes) -> Iterator[Found]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CoachError(f"{name} is not text in UTF-8: save it as CSV in UTF-8, or export the deck as .apkg") from error
    lines = [line for line in text.splitlines(keepends=True) if not re.match(r"#[a-z ]+:", line)]  # Anki's own headers
    sample = "".join(lines[:20])
    delimiter = max("\t;,", key=sample.count)
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise CoachError(f"{name} is no CSV file: {error}") from error
    front, back, first = 0, 1, 0
    if rows:
        names = [cell.strip().lower() for cell in rows[0]]
        fronts, backs = ([place for place, cell in enumerate(names) if cell in known] for known in (FRONT, BACK))
        if fronts and backs:
            front, back, first = fronts[0], backs[0], 1
    for number, row in enumerate(rows[first:], first + 1):
        if any(cell.strip() for cell in row):
            cells = [*row, *[""] * (max(front, back) + 1 - len(row))]
            yield Found(_plain(cells[front]), _plain(cells[back]), f"row {number}")


def _from_anki(name: str, data: bytes) -> Iterator[Found]:
    damaged = CoachError(f"{name} is no Anki deck, or a damaged one")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside = set(archive.namelist())
            if "collection.anki21b" in inside:
                raise CoachError(f"{name} is in Anki's newest format: export it again with “Support older Anki versions” ticked")
            collection = next((one for one in ("collection.anki21", "collection.anki2") if one in inside), None)
            if collection is None or archive.getinfo(collection).file_size > LARGEST:
                raise damaged
            kept = archive.read(collection)
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError) as error:
        raise damaged from error
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "collection"
        file.write_bytes(kept)
        try:
            connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
            try:
                notes = connection.execute("SELECT flds FROM notes ORDER BY id").fetchall()
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise damaged from error
    for number, (fields,) in enumerate(notes, 1):
        plain = [text for field in str(fields).split("\x1f") if (text := _plain(field))]
        front, back = [*plain, "", ""][:2]
        yield Found(front, back, f"note {number}")


_BREAK = re.compile(r"<br\s*/?>|</(?:div|p|li|tr|h\d)>", re.IGNORECASE)
_BULLET = re.compile(r"<li[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<(?:style|script)[^>]*>.*?</(?:style|script)>|<[a-z/!][^>]*>", re.IGNORECASE | re.DOTALL)
_CLOZE = re.compile(r"\{\{c\d+::(.*?)(?:::[^}]*)?\}\}", re.DOTALL)


def _plain(field: str) -> str:
    """A field without its formatting: lines stay lines, and what a cloze hides is shown."""
    text = _CLOZE.sub(r"\1", _TAG.sub("", _BULLET.sub("- ", _BREAK.sub("\n", field))))
    text = re.sub(r"\[sound:[^\]]*\]", "", html.unescape(text)).replace("\xa0", " ")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


# ---------------------------------------------------------------------------------------------- writing


def _problem(found: Found, asked: set[str]) -> str:
    if len(found.front) < 2:
        return "there is no question"
    if len(found.back) < 2:
        return "there is no answer"
    return "the question is there already" if _alike(found.front) in asked else ""


def _alike(prompt: str) -> str:
    return " ".join(re.findall(r"\w+", prompt.lower()))


def _slug(text: str, usual: str) -> str:
    words = re.findall(r"[a-z0-9]+", text.lower())
    kept = [word for word in words if word not in {"what", "is", "the", "a", "an", "of", "to", "how", "why", "do", "does", "you", "are"}]
    return "-".join((kept or words)[:5])[:32].strip("-") or usual


def _free(id: str, taken: set[str]) -> str:
    numbers = (f"{id}-{number}" for number in range(2, len(taken) + 3))
    return id if id not in taken else next(one for one in numbers if one not in taken)


def _title(front: str) -> str:
    line = front.splitlines()[0].rstrip("?.! ")
    return line if len(line) <= 60 else line[:60].rsplit(" ", 1)[0]


def _text(text: str) -> str:
    """A TOML string on one line."""
    return json.dumps(re.sub(r"[\ud800-\udfff]", "", text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _long(text: str) -> str:
    """A TOML string over several lines, as it is read; where that can't be, on one."""
    if "'''" in text or re.search(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", text):
        return _text(text)
    return f"'''\n{text}\n'''"
