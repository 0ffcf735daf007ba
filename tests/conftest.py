"""What every test may use: the packs, and a place for databases."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads that wait for each other on a busy machine cost ten times the work
os.environ.setdefault("PTB_TIMEDELTA", "true")  # the library warns without it, and warnings are errors here

# Many tests start processes. Compiling what each of them imports would take most of its processor's time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest
from peers.mortal import Mortals, mortals
from peers.overheard import SECRETS, Overheard
from peers.postgres import Missing, PostgresServer, postgres_server
from worlds import kept, packs, prepared

from bot.content import Library
from bot.database import Database

if TYPE_CHECKING:
    from bot.grading.reader import ReaderGrader

DEAR = ("ready", "postgres", "claims")
"""Fixtures that live as long as the process of tests that made them."""

LISTENING = pytest.StashKey[Overheard]()
"""What is logged while this process runs tests."""

KEPT = pytest.StashKey[TemporaryDirectory[str]]()
"""See `worlds.kept`; nothing is kept where whoever runs the tests keeps theirs."""


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[KEPT] = TemporaryDirectory(prefix="kept-")
        os.environ["XDG_CACHE_HOME"] = config.stash[KEPT].name
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):  # not where others run the tests
        config.stash[LISTENING] = Overheard()


def pytest_unconfigure(config: pytest.Config) -> None:
    if LISTENING in config.stash:
        config.stash[LISTENING].close()
    if KEPT in config.stash:
        config.stash[KEPT].cleanup()


def _dearest(item: pytest.Item) -> int:
    """Where in `DEAR` that stands which a test needs; its length for one that needs none of it."""
    needed = {*getattr(item, "fixturenames", ())}
    if getattr(getattr(item, "callspec", None), "params", {}).get("url") == "postgresql":
        needed.add("postgres")
    return next((place for place, name in enumerate(DEAR) if name in needed), len(DEAR))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes seconds to be there is made by as few processes as will do: those who need it come one after another, and first."""
    items.sort(key=_dearest)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.config.stash[LISTENING].again()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test fails in whose time anything was logged that a person said, a name or a token."""
    report = yield
    if call.when == "teardown":
        leaks = SECRETS.found_in(item.config.stash[LISTENING].heard() + "\n" + report.capstderr)
        if leaks and report.passed:
            report.outcome, report.longrepr = "failed", "\n".join(["What must not be logged was:", *leaks])
    return report


@pytest.fixture(scope="session")
def library() -> Library:
    """The packs that come with the coach."""
    return packs()


@pytest.fixture(scope="session")
def claims() -> Path:
    """Where what was parsed and read is kept for all processes of this run of tests."""
    return kept()


@pytest.fixture(scope="session")
def grader(library: Library, claims: Path) -> ReaderGrader:
    """The grader that comes with the coach, with its real weights."""
    from bot.grading.reader import ReaderGrader

    return ReaderGrader.load(library, claims)


@pytest.fixture
def database() -> Iterator[Path]:
    """A file for a database, in memory where the system has such a place: waiting for a disk teaches nothing here."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder) / "coach.db"


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
    return prepared(f"sqlite:///{request.getfixturevalue('database')}")
