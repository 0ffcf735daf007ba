"""Measures what docs/benchmarks.md says of starting and of memory: python tests/bench/start.py [path of `coach`]

Linux only (it reads /proc). The Telegram process is measured against the Bot API server of the tests.
"""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
STARTS = 5


@dataclass(frozen=True)
class Measured:
    """wall and cpu: seconds to the first prompt. rss: MiB of the idle process."""

    wall: float
    cpu: float
    rss: float


def _own(home: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COACH_", "XDG_"))}
    return kept | {"HOME": home, "TERM": "dumb"}


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found.group(1)) / 1024 if found else 0.0


def start(coach: str, home: str) -> Measured:
    """One `coach chat` in a pseudo-terminal, up to its first prompt and eight seconds of rest, in which the grader loads."""
    began = time.perf_counter()
    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(home)
        os.execve(coach, [coach, "chat"], _own(home))
    shown = b""
    while b"you> " not in shown:
        shown += os.read(screen, 4096)
    wall, cpu = time.perf_counter() - began, _cpu(pid)
    time.sleep(8)
    rss = _rss(pid)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    os.close(screen)
    return Measured(wall, cpu, rss)


async def serving(coach: str, home: str) -> float:
    """MiB of a process that serves Telegram and has nothing to do."""
    from peers.telegram import TOKEN, BotApiServer

    async with BotApiServer() as server:
        own = _own(home) | {"COACH_TELEGRAM_TOKEN": TOKEN, "COACH_TELEGRAM_API": server.url.removesuffix("/bot"), "COACH_LOG": "error"}
        running = await asyncio.create_subprocess_exec(coach, "run", env=own, cwd=home, stdout=asyncio.subprocess.DEVNULL)
        await asyncio.sleep(12)
        rss = _rss(running.pid)
        running.terminate()
        await running.wait()
    return rss


def main() -> None:
    coach = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / ".venv/bin/coach")
    first, later = [], []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as home:
            first.append(start(coach, home))
            later.append(start(coach, home))
    for name, found in (("first start", first), ("later start", later)):
        walls = sorted(one.wall for one in found)
        cpu = statistics.median(one.cpu for one in found)
        print(f"{name}: {statistics.median(walls):.2f} s to the prompt (best {walls[0]:.2f}, worst {walls[-1]:.2f}), processor {cpu:.2f} s")
    print(f"idle in the terminal: {statistics.median(one.rss for one in later):.0f} MiB")
    with tempfile.TemporaryDirectory() as home:
        print(f"idle serving Telegram: {asyncio.run(serving(coach, home)):.0f} MiB")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
