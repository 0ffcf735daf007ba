"""A Dockerfile without an engine: its stages and steps as data, and a way to carry them out in a folder that stands for the image.

No container is made by this: paths of the image are put below the folder, and what only root or Debian's archive can give (users,
packages) is left out and returned, so that a test may say so.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

OWN = ("venv", "build", "data", "home/coach")
"""Folders of the image that are ours."""


@dataclass
class Stage:
    """One FROM with what follows it. steps: (instruction, argument), in order."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [argument for name, argument in self.steps if name == instruction]

    def last(self, instruction: str) -> str:
        return self.all(instruction)[-1]


def read(file: Path) -> dict[str, Stage]:
    """The stages by name, the last one last; a stage that begins with another one has its steps first."""
    stages: dict[str, Stage] = {}
    text = re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if not line.strip():
            continue
        instruction, _, argument = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = argument.partition(" AS ")
            inherited = stages.get(base)
            stage = Stage(name, inherited.base if inherited else base, list(inherited.steps) if inherited else [])
            stages[name] = stage
        else:
            stage.steps.append((instruction, argument))
    return stages


def carried(root: Path, tracked: list[str]) -> set[str]:
    """Which of these files an engine would be given, by .dockerignore: the last rule that matches decides."""
    rules = [line for line in (root / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    kept = set()
    for name in tracked:
        ignored = False
        for rule in rules:
            pattern = rule.removeprefix("!").removeprefix("**/")
            parts = name.split("/")
            paths = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)] + (parts if "**/" in rule else [])
            if any(fnmatch(path, pattern) for path in paths):
                ignored = not rule.startswith("!")
        if not ignored:
            kept.add(name)
    return kept


def settings(stage: Stage) -> dict[str, str]:
    """What ENV sets, in order, with what it refers to."""
    known = {"PATH": os.defpath}
    for argument in stage.all("ENV"):
        for pair in shlex.split(argument):
            name, _, value = pair.partition("=")
            known[name] = re.sub(r"\$(\w+)", lambda found: known.get(found[1], ""), value)
    return known


class Image:
    """A folder in which steps are carried out. context: what COPY takes from. python: the interpreter of the base image."""

    def __init__(self, folder: Path, context: Path, python: str) -> None:
        self.folder = folder
        self._context = context
        self._tools = folder / "usr/bin"
        self._tools.mkdir(parents=True)
        (self._tools / "python").symlink_to(python)
        self.left_out: list[str] = []

    def placed(self, text: str) -> str:
        """Text with the image's own paths put below the folder."""
        return re.sub(rf"(?<![\w.])/({'|'.join(OWN)})\b", rf"{self.folder}/\1", text)

    def environment(self, stage: Stage, **more: str) -> dict[str, str]:
        known = {name: self.placed(value) for name, value in settings(stage).items()}
        return known | {"PATH": f"{known['PATH']}:{self._tools}:/usr/bin:/bin", "HOME": known.get("HOME", str(self.folder))} | more

    def make(self, stage: Stage, **more: str) -> None:
        """Carries out COPY, WORKDIR and RUN."""
        where = self.folder
        for instruction, argument in stage.steps:
            if instruction == "WORKDIR":
                where = Path(self.placed(argument))
                where.mkdir(parents=True, exist_ok=True)
            elif instruction == "COPY":
                self._copy(argument, where)
            elif instruction == "RUN":
                for command in re.split(r"\s*&&\s*", argument):
                    if command.split()[0] in ("apt-get", "rm", "useradd", "install"):
                        self.left_out.append(command)
                    else:
                        subprocess.run(
                            self.placed(command), shell=True, cwd=where, env=self.environment(stage, **more), check=True,
                            stdout=subprocess.DEVNULL,
                        )  # fmt: skip

    def _copy(self, argument: str, where: Path) -> None:
        *sources, target = argument.split()
        if sources[0].startswith("--from="):
            assert sources[1] == target, "what stands at another path in the last stage would not run there"
            return
        for source in sources:
            found, to = self._context / source, where / target
            if found.is_dir():
                shutil.copytree(found, to, dirs_exist_ok=True)
            else:
                shutil.copy(found, to / source if to.is_dir() else to)


def words(argument: str) -> list[str]:
    """The words of an ENTRYPOINT, a CMD or what follows HEALTHCHECK's options, in the form that needs no shell."""
    found = json.loads(argument[argument.index("[") :])
    assert isinstance(found, list)
    return found
