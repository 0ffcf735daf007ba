"""The figures of `make bench` as one table with what is wanted beside them: python tests/bench/figures.py [--forget]

Each bench notes its own as it goes; they are kept in build/figures.jsonl until the next `make bench`.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

KEPT = Path(__file__).parents[2] / "build" / "figures.jsonl"


def note(what: str, measured: str, wanted: str = "", *, met: bool | None = None) -> None:
    """Prints a figure and keeps it for the table. met: whether it is as wanted, where something is."""
    print(f"{what}: {measured}" + (f" (wanted: {wanted})" if wanted else ""), flush=True)
    KEPT.parent.mkdir(exist_ok=True)
    row = {"what": what, "measured": measured, "wanted": wanted, "met": met, "load": round(os.getloadavg()[0], 1)}
    with KEPT.open("a") as file:
        file.write(json.dumps(row) + "\n")


def main() -> None:
    if "--forget" in sys.argv:
        KEPT.unlink(missing_ok=True)
        return
    rows = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}\n")
    print("| what | measured | wanted | met | load |\n|---|---|---|---|---|")
    for row in rows:
        met = {None: "", True: "yes", False: "no"}[row["met"]]
        print(f"| {row['what']} | {row['measured']} | {row['wanted']} | {met} | {row['load']} |")


if __name__ == "__main__":
    main()
