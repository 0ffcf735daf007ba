"""A learner's whole history as files: JSON for programs, CSV for a spreadsheet, and their weak questions as an Anki deck."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.content import Library
from bot.progress import Weak

LARGEST = 4_000_000
"""Bytes from which on the history is packed into one ZIP file: platforms take no more than eight or ten million at once."""

COLUMNS = ("at", "question", "title", "section", "followup", "reply", "score", "hints", "covered", "partly", "missed", "graded_by")


def as_json(everything: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    return json.dumps(everything, ensure_ascii=False, indent=1).encode(errors="replace")


def as_csv(everything: Mapping[str, Sequence[Mapping[str, Any]]], library: Library) -> bytes:
    """One line for each reply. It begins with a mark by which spreadsheets know it as UTF-8."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    for row in everything.get("attempt", ()):
        question = library.questions.get(row["question"])
        found: dict[str, list[str]] = {}
        for verdict in row["grade"]["verdicts"]:
            found.setdefault(verdict["finding"], []).append(verdict["point"])
        writer.writerow(
            {
                "at": row["at"], "question": row["question"], "title": question.title if question else "",
                "section": question.section if question else "", "followup": row["followup"], "reply": _harmless(row["text"]),
                "score": "" if row["score"] is None else row["score"], "hints": row["hints"],
                "covered": " ".join(found.get("covered", [])), "partly": " ".join(found.get("partly", [])),
                "missed": " ".join(found.get("missing", []) + found.get("contradicted", [])), "graded_by": row["graded_by"],
            }
        )  # fmt: skip
    return b"\xef\xbb\xbf" + out.getvalue().encode(errors="replace")


def _harmless(text: str) -> str:
    """A spreadsheet would work out what begins like a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def packed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files, in one ZIP file where they are large."""
    if sum(len(data) for data in files.values()) <= LARGEST:
        return dict(files)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return {"history.zip": out.getvalue()}


_CSS = ".card { font-family: sans-serif; font-size: 18px; text-align: left; } .missing { color: #b3470e; }"


def as_deck(weak: Sequence[Weak], now: datetime) -> bytes:
    """An Anki deck: the question in front, the model answer and what was missing at the back.

    Notes keep their ids, so that a later deck updates an earlier one. Raises ImportError where genanki is not installed."""
    import genanki

    model = genanki.Model(
        _number("model 1"), "Interview Coach", fields=[{"name": name} for name in ("Question", "Answer", "Missing")],
        templates=[{
            "name": "Card", "qfmt": "{{Question}}",
            "afmt": '{{FrontSide}}<hr id="answer">{{Answer}}{{#Missing}}<p class="missing">Missing last time:</p>{{Missing}}{{/Missing}}',
        }],
        css=_CSS,
    )  # fmt: skip
    deck = genanki.Deck(_number("deck"), "Interview Coach: weak questions")
    for one in weak:
        points = [point.statement for id in one.points if (point := one.question.point(id)) is not None]
        missing = f"<ul>{''.join(f'<li>{_html(text)}</li>' for text in points)}</ul>" if points else ""
        deck.add_note(
            genanki.Note(
                model, [_html(one.question.prompt), _html(one.question.answer), missing],
                guid=genanki.guid_for("interview-coach", one.question.id), tags=[one.question.section, one.question.pack or "coach"],
            )
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "deck.apkg"
        genanki.Package(deck).write_to_file(str(file), timestamp=now.timestamp())
        return file.read_bytes()


def _number(name: str) -> int:
    """A fixed id in the range that Anki uses."""
    return 1 << 30 | int.from_bytes(hashlib.sha256(f"interview-coach {name}".encode()).digest()[:4], "big") >> 2


def _html(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")
