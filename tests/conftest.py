"""What every test may use: the packs, and a place for databases."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("PTB_TIMEDELTA", "true")  # the library warns without it, and warnings are errors here

# Many tests start processes. Compiling what each of them imports would take most of its processor's time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest
from peers.mortal import Mortals, mortals
from peers.postgres import Missing, PostgresServer, postgres_server

from bot.content import Library, default_folder, load
from bot.database import Database


@pytest.fixture(scope="session")
def library() -> Library:
    """The packs that come with the coach."""
    return load(default_folder())


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A file for a database."""
    return tmp_path / "coach.db"


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortals]:
    """Where coaches that may be killed come from."""
    with mortals(tmp_path_factory.mktemp("lives")) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test process's own, with the coach's schema in the database `empty`."""
    try:
        with postgres_server() as running:
            asyncio.run(_prepared(running))
            yield running
    except Missing as missing:
        if os.environ.get("COACH_TEST_POSTGRES"):  # asked for by name: then its absence is a failure
            pytest.fail(str(missing))
        pytest.skip(str(missing))


async def _prepared(server: PostgresServer) -> None:
    await server.execute("CREATE DATABASE empty")
    await (await Database.open(server.url("empty"))).close()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A fresh database on PostgreSQL."""
    name = postgres.made("empty")
    yield postgres.url(name)
    postgres.dropped(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """A fresh database of each kind that the coach can keep its memory in."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{request.getfixturevalue('database')}"
