"""Who would do harm, and what stands in the way: the list in docs/operating.md, and those threats that no other test is about."""

from __future__ import annotations

import io
import os
import re
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest
from sqlmodel import SQLModel
from worlds import ANN, World, sql, world

from adapters.__main__ import main
from adapters.importing import LARGEST
from bot import COMMANDS
from bot.content import Library, read
from bot.database import Database
from bot.messages import Address, File

ROOT = Path(__file__).parents[1]
BOB = Address("console", "bob", "bob")
SECRET = "zqxj is what Ann alone wrote"
THREATS = (
    "forged webhook", "replayed update", "spoofed callback data", "flood", "oversized", "markup and mentions", "prompt injection", "bombs",
    "path tricks", "SQL", "secrets in errors", "vulnerable dependency", "link code", "somebody else's report", "admin", "another account",
)  # fmt: skip


TAKING_IDS = ("report", "answer", "appeal", "flag", "flagged", "deeper", "redo", "hint", "skip", "sure")
"""The commands whose buttons carry an id."""


def _listed() -> list[list[str]]:
    """The rows of the list: threat, what stands against it, tests."""
    section = (ROOT / "docs/operating.md").read_text("utf-8").split("## Threats")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[1:]]


def test_every_threat_is_listed_with_a_test_that_is_there() -> None:
    rows = _listed()
    told = " ".join(row[0].lower() for row in rows)

    assert [threat for threat in THREATS if threat.lower() not in told] == []
    for threat, against, tests in rows:
        assert against, threat
        named = re.findall(r"`(test_\w+)\.py::(test_\w+)`", tests)
        assert named, threat
        for file, name in named:
            source = (ROOT / "tests" / f"{file}.py").read_text("utf-8")
            assert re.search(rf"^(?:async )?def {name}\(", source, re.MULTILINE), f"{file}.py::{name}"


# ---------------------------------------------------------------------------------------------- somebody else's


async def _history(home: World) -> list[str]:
    """Ann practises, appeals, and takes a mock interview; gives every id that is kept of her, and what her buttons say."""
    reply = f"{SECRET}: TP / (TP + FP)"
    said = ["/daily 09:00 Berlin", "/next precision", reply, "/flag unfair", "/mock 10", reply, "/cancel"]
    buttons = set()
    for line in said:
        for heard in await home.says(line, address=ANN):
            buttons |= {choice.text for row in heard.choices for choice in row}
    ids = set()
    for table in SQLModel.metadata.sorted_tables:
        if "id" in table.c and "learner" in table.c:
            ids |= {str(id) for id in await sql(home.store, f'SELECT id FROM "{table.name}"')}
    return [*sorted(ids), *sorted(buttons)]


async def _rows(home: World) -> list[str]:
    learner = await home.store.whose(ANN)
    return sorted(str(rows) for rows in (await home.store.everything(learner)).values())


async def test_another_learners_ids_and_buttons_open_nothing_of_theirs(library: Library, database: Path) -> None:
    """Every command with every id that is kept of Ann, and every button that she was ever shown, said by Bob: he reads no word of
    hers, and nothing of hers changes."""
    async with world(library, database) as home:
        known = await _history(home)
        before = await _rows(home)
        ids = [one for one in known if not one.startswith("/")]
        assert len(ids) >= 5
        await home.says("/next recall", address=BOB)
        assert set(TAKING_IDS) <= {command.name for command in COMMANDS}
        says = ["/export", "/report", *(f"/{name} {id}" for name in TAKING_IDS for id in ("1", *ids)), *known[len(ids) :]]
        said = set()
        while says and len(said) < 200:
            said.add(line := says.pop(0))
            for reply in await home.says(line, address=BOB):
                choices = [choice for row in reply.choices for choice in row]
                seen = " ".join([reply.text, *(choice.label for choice in choices), *(file.says for file in reply.files)])
                assert SECRET not in seen, line
                assert not any(SECRET.encode() in file.data for file in reply.files), line
                # What he is then offered is pressed as well.
                says += [choice.text for choice in choices if any(id in choice.text for id in ids) and choice.text not in (*said, *says)]
        assert await _rows(home) == before


# ---------------------------------------------------------------------------------------------- words that would be more


async def test_sql_in_what_somebody_says_is_what_they_said(library: Library, database: Path) -> None:
    said = ["'; DROP TABLE learner; --", "x' OR '1'='1", '"); DELETE FROM attempt; --', "%_\\' UNION SELECT text FROM attempt --"]
    async with world(library, database) as home:
        for line in said:
            await home.says("/next precision")
            await home.says(line)
            for command in ("next", "daily", "interview", "snooze", "report", "incident", "link", "flag", "appeal", "track", "zone"):
                await home.says(f"/{command} {line}", address=BOB)
        kept = await sql(home.store, "SELECT text FROM attempt ORDER BY at, id")
        (learners,) = await sql(home.store, "SELECT count(*) FROM learner")

    assert sorted(kept) == sorted(said)
    assert learners == 2


@pytest.mark.parametrize("name", ["../x", "..", "/etc/passwd", "a/b", "a\\b", "x\n", "", "a" * 41, ".hidden", "Ünicode"])
def test_a_path_in_an_id_or_a_name_is_refused(tmp_path: Path, name: str) -> None:
    """In a question, a pack, a topic, and a file that comes with a reply."""
    packs = tmp_path / "packs"
    (packs / "small").mkdir(parents=True)
    good = ROOT / "tests/packs/good"
    (packs / "syllabus.toml").write_text((good / "syllabus.toml").read_text("utf-8"), "utf-8")
    topic = (good / "small/basics.toml").read_text("utf-8")
    quoted = name.replace("\\", "\\\\").replace("\n", "\\n")
    (packs / "small/basics.toml").write_text(re.sub(r'(?m)^id = ".*?"$', lambda _: f'id = "{quoted}"', topic, count=1), "utf-8")
    _, problems = read(packs)
    assert any("id: " in problem for problem in problems)

    cards = tmp_path / "cards.csv"
    cards.write_text("front,back\nWhat is precision?,The share of what was flagged that is positive\n", "utf-8")
    before = sorted(tmp_path.rglob("*"))
    if name and name.isascii() and "\n" not in name and len(name) < 41:
        arguments = ("--folder", str(packs), "--pack", name, "--topic", "t")
        assert main(["content", "new", "an-id", "--section", "evaluation", *arguments]) == 1
        with pytest.raises(SystemExit):
            main(["content", "import", str(cards), "--section", "evaluation", *arguments])
        assert sorted(tmp_path.rglob("*")) == before
    if not re.fullmatch(r"[\w.-]{1,60}", name) or name == "":
        with pytest.raises(ValueError, match="plain name"):
            File(name, b"x", "words")


def test_a_deck_that_unfolds_to_more_than_is_read_is_refused_unread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two hundred kilobytes that would become two hundred megabytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("collection.anki2", "w") as inside:
        for _ in range(LARGEST // 1_000_000 + 1):
            inside.write(b"\0" * 1_000_000)
    deck = tmp_path / "bomb.apkg"
    deck.write_bytes(packed.getvalue())

    assert deck.stat().st_size < LARGEST / 100
    packs = str(ROOT / "tests/packs/good")
    assert main(["content", "import", str(deck), "--folder", packs, "--pack", "small", "--section", "evaluation"]) == 1
    assert "is no Anki deck, or a damaged one" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------- the machine


def _modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


async def test_what_learners_wrote_is_readable_by_the_coachs_own_account_alone(tmp_path: Path) -> None:
    """The database, what SQLite writes beside it, and the lock; a backup's test is beside the backup's."""
    usual = os.umask(0o022)
    try:
        store = await Database.open(f"sqlite:///{tmp_path}/coach.db")
        await sql(store, "INSERT INTO chat VALUES ('paper', 'ann', 'c', '1', '2026-11-23 12:00:00')")
        modes = _modes(tmp_path)
        await store.close()
    finally:
        os.umask(usual)

    assert {"coach.db", "coach.db-wal"} <= set(modes)
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    ("tool", "status", "said"),
    [
        ("echo 'No known vulnerabilities found'; exit 0", 0, "no dependency is known to be vulnerable"),
        ("echo 'Found 1 known vulnerability in 1 package'; echo 'aiohttp 3.0 PYSEC-1'; exit 1", 1, "aiohttp 3.0 PYSEC-1"),
        ("echo 'ConnectionError: no route to host' >&2; exit 1", 0, "nobody could be asked"),
        ("sleep 30", 0, "nobody could be asked"),
    ],
)
def test_the_audit_fails_for_a_vulnerable_dependency_and_for_nothing_else(tmp_path: Path, tool: str, status: int, said: str) -> None:
    """Without a network it says that nobody could be asked."""
    fake = tmp_path / "pip-audit"
    fake.write_text(f"#!/bin/sh\n{tool}\n", "utf-8")
    fake.chmod(0o755)
    given = {**os.environ, "PIP_AUDIT": str(fake), "AUDIT_SECONDS": "1"}
    ended = subprocess.run([str(ROOT / ".ci/audit")], env=given, capture_output=True, text=True, check=False)

    assert ended.returncode == status
    assert said in ended.stdout + ended.stderr
    assert "make audit" in (ROOT / ".ci/run").read_text("utf-8")
