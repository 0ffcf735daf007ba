"""Measures how fast the grader is and what it weighs, for docs/benchmarks.md: python tests/bench/grading_speed.py

A reply of 120 words against a rubric of 6 points, on one core; replies a second; the plain mode; loading after the first time;
the memory that the encoder adds; and how long fifty grades at once hold up a tap.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one core
ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from bot.content import Library, Question, default_folder, load  # noqa: E402
from bot.grading import OffLoop, offline  # noqa: E402
from bot.grading.plain import PlainGrader  # noqa: E402
from bot.grading.reading import negations, stems, tokens  # noqa: E402

TIMES, TOGETHER, TAP = 60, 50, 0.005

LOADED = """
import time, sys
from pathlib import Path
def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) / 1024
from bot.content import default_folder, load
from bot.grading.plain import PlainGrader
import numpy
library = load(default_folder(), Path(sys.argv[1]))
question = library.questions["precision"]
PlainGrader().judge(question, "share of the flagged that are right")
before, began, cpu = resident(), time.perf_counter(), time.process_time()
from bot.grading import offline
judge, _ = offline(library, Path(sys.argv[1]))
loaded, worked = time.perf_counter() - began, time.process_time() - cpu
held = resident()
for one in list(library.questions.values())[:40]:
    judge.judge(one, one.answer)
print(loaded, worked, held - before, resident() - before)
"""


def replies(question: Question, times: int = TIMES) -> list[str]:
    """So many different replies of 120 words about a question: sentences of its model answer and its phrasings, in another order each
    time, so that nothing remembered of the last reply makes the next one quicker than a learner's would be."""
    rng = random.Random(1)
    lines = [*question.answer.split(". "), *(text for point in question.points for text in point.phrasings)]
    return [" ".join(". ".join(rng.sample(lines, len(lines))).split()[:120]) for _ in range(times)]


def timed(what: Callable[[str], object], texts: list[str]) -> tuple[list[float], list[float]]:
    """Milliseconds of the clock, and of the processor, for each text."""
    wall, cpu = [], []
    for text in texts:
        began, worked = time.perf_counter(), time.process_time()
        what(text)
        wall.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - worked))
    return wall, cpu


def shown(name: str, wall: list[float], cpu: list[float], wanted: str) -> None:
    def both(values: list[float]) -> str:
        return f"p50 {statistics.median(values):7.1f} ms  p95 {statistics.quantiles(values, n=20)[-1]:7.1f} ms"

    print(f"{name}\n  by the clock     {both(wall)}\n  of the processor {both(cpu)}\n  wanted: {wanted}")


async def stalls(library: Library, folder: Path) -> tuple[float, float]:
    """The longest and the mean time, in milliseconds, by which a tap came late while fifty grades were made."""
    grader = OffLoop(lambda: offline(library, folder)[0])
    question = library.questions["precision"]
    texts = replies(question, TOGETHER)
    await grader.grade(question, texts[0])
    late: list[float] = []
    done = asyncio.Event()

    async def taps() -> None:
        while not done.is_set():
            began = time.perf_counter()
            await asyncio.sleep(TAP)
            late.append(1000 * (time.perf_counter() - began - TAP))

    tapping = asyncio.create_task(taps())
    await asyncio.gather(*(grader.grade(question, text) for text in texts))
    done.set()
    await tapping
    grader.close()
    return max(late), statistics.mean(late)


def main() -> int:
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    library = load(default_folder())
    question = next(one for one in library.questions.values() if len(one.points) == 6)
    first, *texts = replies(question, TIMES + 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        judge, reason = offline(library, folder)
        if reason:
            print(reason, file=sys.stderr)
        judge.judge(question, first)
        wall, cpu = timed(lambda text: judge.judge(question, text), texts)
        what = f"{judge.name}: {len(first.split())} words against {len(question.points)} points of {question.id}"
        shown(what, wall, cpu, "p50 under 60, p95 under 120")
        clock, worked = (1000 / statistics.mean(one) for one in (wall, cpu))
        print(f"  replies a second on one core: {clock:.0f} by the clock, {worked:.0f} of the processor; wanted: 20")
        plain = PlainGrader()
        plain.judge(question, first)
        tokens.cache_clear()  # the reader has split these very texts into words
        stems.cache_clear()
        negations.cache_clear()
        shown("the plain mode, the same", *timed(lambda text: plain.judge(question, text), texts), "under 3")
        for one in list(library.questions.values())[:40]:
            judge.judge(one, one.answer)  # so that the cache is there
        found = []
        for _ in range(3):
            told = subprocess.run([sys.executable, "-c", LOADED, name], capture_output=True, text=True, check=True, cwd=ROOT).stdout
            found.append([float(number) for number in told.split()])
        loaded, worked, held, used = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"loading after the first time: {loaded:.2f} s by the clock, {worked:.2f} s of the processor; wanted: under 1 s")
        print(f"memory that the encoder adds: {held:.0f} MiB loaded, {used:.0f} MiB after 40 rubrics; wanted: at most 120")
        worst, mean = asyncio.run(stalls(library, folder))
        print(f"a tap while {TOGETHER} grades are made: {worst:.0f} ms late at most, {mean:.1f} ms on average")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
