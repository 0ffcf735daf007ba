"""The image, without an engine to build it: what its Dockerfile says, and its steps carried out as somebody without privileges."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from peers.containers import Image, Stage, carried, read, settings, words

from adapters.web import serve_web

ROOT = Path(__file__).parents[1]
REPLY = "Precision is TP / (TP + FP): of everything that we flagged, the share that really is positive."
NOBODY = 10001


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    return read(ROOT / "Dockerfile")


def _lock(text: str) -> str:
    """How something is installed by the lock: what matters of the line that does."""
    return next(line for line in text.splitlines() if "--require-hashes -r requirements.txt" in line or "-r requirements.txt" in line)


def test_it_is_made_in_two_steps_and_only_the_program_goes_into_the_last(stages: dict[str, Stage]) -> None:
    """The compiler's and pip's stage is left behind; both begin with one exact version of Python, Debian's slim one."""
    build, last = stages["build"], list(stages.values())[-1]
    assert last.name == "coach"
    assert build.base == last.base and re.fullmatch(r"python:3\.11\.\d+-slim-\w+", last.base)
    assert last.all("COPY") == ["--from=build /venv /venv"]
    assert not re.search(r"gcc|build-essential|-dev\b|pip install", " ".join(last.all("RUN")))
    assert "uninstall --yes setuptools wheel pip" in build.last("RUN")


def test_it_installs_by_the_lock_that_make_run_uses(stages: dict[str, Stage]) -> None:
    made = (ROOT / "Makefile").read_text()
    for text in (made, "\n".join(stages["build"].all("RUN"))):
        assert "--require-hashes" in _lock(text)
        assert "--no-deps --no-build-isolation" in text


def test_it_runs_as_nobody_in_particular_with_signals_passed_and_its_data_on_a_volume(stages: dict[str, Stage]) -> None:
    last = stages["coach"]
    made = re.search(r"useradd --create-home --uid (\d+) coach", " ".join(last.all("RUN")))
    assert made is not None and last.last("USER") == f"{made[1]}:{made[1]}"
    assert words(last.last("ENTRYPOINT")) == ["tini", "-s", "--"] and "tini=" in last.all("RUN")[0]
    assert words(last.last("CMD")) == ["coach", "run"]
    assert last.last("STOPSIGNAL") == "SIGTERM"
    assert last.last("VOLUME") == "/data" and "install -d -o coach -g coach /data" in last.all("RUN")[0]
    known = settings(last)
    assert {name: known[name].removeprefix("sqlite:///") for name in ("COACH_DATABASE", "COACH_CACHE", "COACH_FILES")} == {
        "COACH_DATABASE": "/data/coach.db", "COACH_CACHE": "/data/cache", "COACH_FILES": "/data/files",
    }  # fmt: skip
    assert known["COACH_PORT"] == last.last("EXPOSE")


async def test_its_health_check_asks_the_port(stages: dict[str, Stage]) -> None:
    """Without curl, which is not in it; a process that does not answer is found ill."""

    async def alive(_: web.Request) -> web.Response:
        return web.Response()

    asked = words(stages["coach"].last("HEALTHCHECK"))
    assert asked[0] == "python"

    async def found(port: int) -> int:
        env = {**os.environ, "COACH_PORT": str(port)}
        started = await asyncio.create_subprocess_exec(sys.executable, *asked[1:], env=env, stderr=asyncio.subprocess.DEVNULL)
        return await started.wait()

    async with serve_web(0, [web.get("/healthz", alive)]) as port:
        assert await found(port) == 0
    assert await found(port) != 0


def test_what_it_is_made_of_is_all_there_and_nothing_more(stages: dict[str, Stage]) -> None:
    """Every file that is copied is given to the engine; no test, no document and no secret is."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    given = carried(ROOT, [*tracked, ".env", "content/.env", "bot/__pycache__/coach.cpython-311.pyc"])
    copied = {source for argument in stages["build"].all("COPY") for source in argument.split()[:-1]}
    assert {name.split("/")[0] for name in given} == copied
    assert "bot/__pycache__/coach.cpython-311.pyc" not in given and ".env" not in given
    assert all(name in given for name in tracked if name.startswith(("bot/migrations/", "content/")))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a volume away")
def test_a_volume_that_belongs_to_root_is_given_to_the_coach_and_root_is_given_up(stages: dict[str, Stage], tmp_path: Path) -> None:
    """As on Fly: what runs then may write there, and is root no more and can't become it."""
    entry = words(stages["rooted"].last("ENTRYPOINT"))
    assert entry[:3] == ["tini", "-s", "--"] and stages["rooted"].last("USER") == "0:0"
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        (folder / "restored.db").touch(0o600)
        script = [word.replace("/data", str(folder)).replace("coach:coach", "nobody:nogroup") for word in entry[3:]]
        script = [word.replace("--reuid=coach --regid=coach", "--reuid=nobody --regid=nogroup") for word in script]
        says = f"id -u; touch {folder}/restored.db {folder}/coach.db && echo written; grep NoNewPrivs /proc/self/status"
        told = subprocess.run([*script, "sh", "-c", says], capture_output=True, text=True, check=True).stdout.split()
    finally:
        shutil.rmtree(folder)
    assert told == [str(pwd.getpwnam("nobody").pw_uid), "written", "NoNewPrivs:", "1"]


# ---------------------------------------------------------------------------------------------- carried out


@pytest.fixture
def clean() -> Iterator[Path]:
    """A folder that everybody may look into, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


WHO: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def _python() -> str:
    """An interpreter of the image's version that somebody without privileges may run."""
    asked = "import sys, venv, ensurepip; assert sys.version_info[:2] == (3, 11)"
    for found in (os.path.realpath(sys.executable), shutil.which("python3.11", path="/usr/bin:/usr/local/bin")):
        with suppress(PermissionError):
            if found and subprocess.run([found, "-c", asked], check=False, cwd="/", stderr=subprocess.DEVNULL, **WHO).returncode == 0:
                return found
    pytest.skip("no Python 3.11 here that somebody without privileges may run")


@pytest.mark.skipif(not os.environ.get("COACH_TEST_IMAGE"), reason="installs everything; `make container` asks")
def test_its_steps_in_a_clean_folder_reach_a_graded_reply(stages: dict[str, Stage], clean: Path) -> None:
    """Copy list, install, user and command as they are written; the environment is the image's own and nothing of this one.

    Users and Debian's packages are not made: tini and espeak-ng are what is missing."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    context = clean / "context"
    for name in carried(ROOT, tracked):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, context / name)
    image = Image(clean / "image", context, _python())
    # Where packages come from is the machine's own business; what is installed is the lock's.
    pip = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
    image.make(stages["build"], **pip)
    image.make(stages["coach"])
    assert {command.split()[0] for command in image.left_out} == {"apt-get", "rm", "useradd", "install"}

    data = clean / "image/data"
    data.mkdir(exist_ok=True)
    shutil.rmtree(clean / "image/build")
    if WHO:
        os.chown(data, NOBODY, NOBODY)
    typed = f"1\n1\n1\n/next precision\n{REPLY}\n"
    ran = subprocess.run(
        words(stages["coach"].last("CMD")), input=typed, capture_output=True, text=True, cwd=data, check=False, timeout=300,
        env=image.environment(stages["coach"]), **WHO,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"\d{1,3}/100 · Precision", ran.stdout), ran.stdout[-2000:]
    assert "plain mode" not in ran.stderr
    assert {"coach.db", "cache"} <= {one.name for one in data.iterdir()}
    if WHO:
        assert (data / "coach.db").stat().st_uid == NOBODY
    packages = next((clean / "image/venv/lib").iterdir()) / "site-packages"
    assert (packages / "bot/migrations/versions").is_dir() and (packages / "content/syllabus.toml").is_file()
    assert not any((packages / name).exists() for name in ("pip", "setuptools", "wheel"))
