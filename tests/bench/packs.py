"""Measures how long the packs take to load and what they cost in memory: python tests/bench/packs.py

Against reading the files anew at each start, which is what the cache by content hash saves. Linux only (it reads /proc).
"""

from __future__ import annotations

import gc
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from bot.content import default_folder, load  # noqa: E402

TIMES = 9


def resident() -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def timed(cache: Path | None) -> tuple[float, float]:
    """Median milliseconds of a load: by the clock, and of the processor."""
    walls, spent = [], []
    for _ in range(TIMES):
        wall, processor = time.perf_counter(), time.process_time()
        load(default_folder(), cache)
        walls.append((time.perf_counter() - wall) * 1000)
        spent.append((time.process_time() - processor) * 1000)
    return statistics.median(walls), statistics.median(spent)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        count = len(load(default_folder(), cache).questions)
        cached, anew = timed(cache), timed(None)
        print(f"{count} questions, cached: {cached[0]:.0f} ms by the clock, {cached[1]:.0f} ms of the processor (wanted: under 400 ms)")
        print(f"the same, read anew: {anew[0]:.0f} ms, {anew[1]:.0f} ms; {anew[1] / cached[1]:.1f} times as long")
        alone = subprocess.run([sys.executable, __file__, folder], check=True, capture_output=True, text=True)
        print(f"resident memory that they add: {alone.stdout.strip()} MiB (wanted: under 30)")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        gc.collect()
        before = resident()
        kept = load(default_folder(), Path(sys.argv[1]))
        gc.collect()
        print(f"{resident() - before:.1f}")
    else:
        main()
