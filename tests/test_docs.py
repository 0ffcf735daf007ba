"""What the documents say is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot import COMMANDS
from bot.config import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_readme_has_the_table_of_commands_that_every_platform_has() -> None:
    table = README.split("## Commands")[1].split("\n\n")[1].splitlines()[2:]

    assert table == [
        f"| `/{command.name}{' ' + command.usage if command.usage else ''}` | {command.summary} |" for command in COMMANDS if command.listed
    ]


def test_the_readme_says_the_main_things_in_under_two_screens() -> None:
    """A screen is 55 lines. The table of commands, which one looks things up in, is left out: it grows with what there is to do."""
    first = README.split("\n---\n")[0]

    assert len([line for line in first.splitlines() if not line.startswith("| `/")]) < 100
    assert all(f"## {head}\n" in first for head in ("Two commands", "A conversation", "Commands", "The words we use"))
    assert "/100 · " in first
    assert "docs/conversation.png" in first


def test_the_picture_is_small_enough_for_a_page() -> None:
    assert 10_000 < (ROOT / "docs/conversation.png").stat().st_size < 200_000


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    named = set(re.findall(r"^#?(COACH_\w+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))

    assert named == {f"COACH_{name.upper()}" for name in Settings.model_fields}


def test_the_example_as_it_is_sets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"COACH_{name.upper()}", raising=False)
    everything = re.sub(r"^#?(COACH_\w+)=.*$", r"\1=", (ROOT / ".env.example").read_text("utf-8"), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(everything, "utf-8")

    assert Settings(_env_file=tmp_path / ".env") == Settings(_env_file=None)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    text = document.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", text):
        name = target[0] or target[1]
        assert name.startswith(("http://", "https://")) or (document.parent / name).exists(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    for name in re.findall(r"`((?:bot|adapters|content|tests|docs|bench)/[\w./-]*)`", document.read_text("utf-8")):
        assert (ROOT / name).exists(), name


def test_the_readme_names_every_setting() -> None:
    named = set(re.findall(r"COACH_\w+", README))
    for name in Settings.model_fields:
        assert f"COACH_{name.upper()}" in named or name.startswith("llm_"), name
