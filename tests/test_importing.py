"""Importing questions: from the files that people have, as drafts that nothing is graded by."""

from __future__ import annotations

import argparse
import io
import shutil
import sqlite3
import tomllib
import zipfile
from pathlib import Path

import genanki
import pytest

from adapters import importing
from bot.content import load, read
from bot.errors import CoachError

GOOD = Path(__file__).parent / "packs/good"


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOOD, tmp_path / "packs"))


def imported(packs: Path, file: Path, **more: str) -> Path:
    parser = argparse.ArgumentParser()
    importing.add_command(parser.add_subparsers())
    options = [f"--{name}={value}" for name, value in more.items()]
    given = parser.parse_args(["import", str(file), "--pack=small", f"--folder={packs}", *options])
    assert given.run(given) == 0
    return packs / "small" / f"{more.get('topic', file.stem)}.toml.draft"


def drafts(file: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = tomllib.loads(file.read_text("utf-8"))["questions"]
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("question,answer\nWhat is drift?,The data change.\n", [("What is drift?", "The data change.")]),
        ("Answer;Topic;Question\nIt overfits;x;Why regularise?\n", [("Why regularise?", "It overfits")]),
        ("#separator:tab\n#html:true\nWhat is <b>bias</b>?\tIt is<br>fixed &amp; stays\n", [("What is bias?", "It is\nfixed & stays")]),
        ("\ufeffWhat is AUC?,\"A probability,\nof ranking\"\n", [("What is AUC?", "A probability,\nof ranking")]),
        ("A {{c1::median::middle}} is?\tthe middle\n", [("A median is?", "the middle")]),
    ],
)  # fmt: skip
def test_rows_of_every_kind_become_drafts(packs: Path, tmp_path: Path, text: str, expected: list[tuple[str, str]]) -> None:
    file = tmp_path / "cards.csv"
    file.write_text(text, "utf-8")

    found = drafts(imported(packs, file))

    assert [(one["prompt"], str(one["answer"]).strip()) for one in found] == expected


def _deck(file: Path, *notes: tuple[str, str]) -> Path:
    fields, templates = [{"name": "F"}, {"name": "B"}], [{"name": "C", "qfmt": "{{F}}", "afmt": "{{B}}"}]
    model = genanki.Model(1607392319, "Basic", fields=fields, templates=templates)
    deck = genanki.Deck(2059400110, "Machine learning")
    for front, back in notes:
        deck.add_note(genanki.Note(model, [front, back]))
    genanki.Package(deck).write_to_file(str(file))
    return file


def test_an_anki_deck_becomes_drafts_with_ids_of_their_own(packs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    median = load(packs).questions["median"].prompt
    deck = _deck(
        tmp_path / "ml.apkg",
        ("<div>What is the median?</div>", "<ul><li>middle</li><li>robust</li></ul>"),
        ("What is the median?", "again"),
        ("Why the median", "it says \"\"\"quotes\"\"\" and '''more''' \\ and"),
        (median, "there already"),
        ("", "no front"),
        ("No back?", ""),
    )

    found = drafts(imported(packs, deck, topic="statistics", section="basics"))

    assert [(one["id"], one["prompt"], one["answer"]) for one in found] == [
        ("median-2", "What is the median?", "- middle\n- robust\n"),
        ("median-3", "Why the median", "it says \"\"\"quotes\"\"\" and '''more''' \\ and"),
    ]
    said = capsys.readouterr()
    assert "drafts: 2, left out: 4, in " in said.out
    assert "note 2: the question is there already" in said.err
    assert "there is no answer" in said.err


def test_nothing_is_asked_or_graded_from_a_draft_and_it_is_no_question_until_it_is_whole(packs: Path, tmp_path: Path) -> None:
    file = tmp_path / "cards.csv"
    file.write_text("What is drift?,The data change.\n", "utf-8")
    draft = imported(packs, file)

    assert list(load(packs).questions) == ["median"]
    assert read(packs)[1] == []
    draft.rename(draft.with_name("cards.toml"))
    library, problems = read(packs)
    assert list(library.questions) == ["median"]
    assert any("drift: points: field required" in line for line in problems)


def _zip(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "holds nothing to import"),
        (b"question,answer\n", "holds nothing to import"),
        (b"\xff\xfe\x00Q", "is not text in UTF-8"),
        (b'"never closed,x\n', "is no CSV file"),
        (_zip(collection_anki2=b"not a database at all, but long enough to be read as one"), "no Anki deck, or a damaged one"),
        (_zip(readme_txt=b"x"), "no Anki deck, or a damaged one"),
        (_zip(collection_anki21b=b"x", collection_anki2=b"y"), "Support older Anki versions"),
    ],
)
def test_what_can_t_be_imported_gets_one_clear_sentence(packs: Path, tmp_path: Path, data: bytes, sentence: str) -> None:
    file = tmp_path / "cards.bin"
    file.write_bytes(data)

    with pytest.raises(CoachError, match=sentence):
        imported(packs, file)
    assert not list((packs / "small").glob("*.draft"))


def test_a_missing_file_and_a_draft_that_is_there_already_are_said(packs: Path, tmp_path: Path) -> None:
    with pytest.raises(CoachError, match="can't be read"):
        imported(packs, tmp_path / "none.csv")
    file = tmp_path / "cards.csv"
    file.write_text("What is drift?,The data change.\n", "utf-8")
    imported(packs, file)
    with pytest.raises(CoachError, match="is there already"):
        imported(packs, file)


def test_a_truncated_deck_is_said_to_be_damaged(packs: Path, tmp_path: Path) -> None:
    whole = _deck(tmp_path / "ml.apkg", ("Q?", "A."))
    with zipfile.ZipFile(whole) as archive:
        data = archive.read("collection.anki2")
    (tmp_path / "cut.apkg").write_bytes(_zip(collection_anki2=data[: len(data) // 3]))

    with pytest.raises((CoachError, sqlite3.Error)) as raised:
        imported(packs, tmp_path / "cut.apkg")
    assert isinstance(raised.value, CoachError)
