"""What every test may use: the packs, and a place for databases."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("PTB_TIMEDELTA", "true")  # the library warns without it, and warnings are errors here

import pytest

from bot.content import Library, default_folder, load


@pytest.fixture(scope="session")
def library() -> Library:
    """The packs that come with the coach."""
    return load(default_folder())


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A file for a database."""
    return tmp_path / "coach.db"
