"""Measures how long Discord waits for an acknowledgement while a whole server replies: python tests/bench/discord_ack.py

`coach run` with its own grader is a process of its own; Discord is the loopback one of the tests. Fifty members answer one round
at once, again and again, so that fifty replies are in flight while those before them are being graded. Then the round closes by its clock,
and the time to its reveal is measured.
"""

from __future__ import annotations

import asyncio
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from peers.discord import TOKEN, DiscordServer, Interaction, Message, Person  # noqa: E402

MEMBERS, WAVES = 50, 8
REPLIES = (
    "Of all the posts we deleted, the share that really broke the rules: TP / (TP + FP). It is hurt by false positives only.",
    "Raising the threshold usually raises precision and costs recall, so I would protect it where a wrong deletion is expensive.",
    "It is how many of the bad posts the filter finds, so false negatives hurt it, and I would lower the threshold to raise it.",
)


def said(name: str, seconds: Sequence[float]) -> str:
    """The line that is printed of a measurement."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"{name}: p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, worst {max(seconds) * 1000:.0f} ms (n = {len(seconds)})"


def processor(pid: int) -> float:
    """Seconds of the processor that a process has used, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def wave(people: Sequence[Person], question: Message, number: int) -> tuple[list[Interaction], list[Interaction]]:
    """Everybody presses Answer at once, and then everybody sends at once."""
    forms = await asyncio.gather(*(person.presses(question, "Answer") for person in people))
    texts = [f"{REPLIES[(index + number) % len(REPLIES)]} Member {index}, try {number}." for index in range(len(people))]
    sent = await asyncio.gather(*(person.submits(form, text=text) for person, form, text in zip(people, forms, texts, strict=True)))
    await asyncio.gather(*(one.answered(60) for one in sent))
    return list(forms), list(sent)


async def main() -> None:
    async with DiscordServer(deadline=30.0) as server:
        guild = server.guild("Study")
        people = [server.person(f"Member {number}", guilds=(guild,)) for number in range(MEMBERS)]
        with tempfile.TemporaryDirectory() as folder:
            kept = {name: value for name, value in os.environ.items() if not name.startswith("COACH_")}
            own = {
                "COACH_DISCORD_TOKEN": TOKEN, "COACH_DISCORD_API": server.api, "COACH_DATABASE": f"sqlite:///{folder}/coach.db",
                "COACH_CACHE": f"{folder}/cache", "COACH_PORT": "0", "COACH_LOG": "error",
            }  # fmt: skip
            running = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "adapters", "run", env=kept | own, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
            )
            try:
                await server.connected(timeout=60)
                await (await people[0].slash("next", topic="precision")).answered()
                await people[0].dm(REPLIES[0])  # the grader is loaded when this is graded
                await server.wait_for(lambda: [m for m in server.sent(people[0]) if "/100" in m.text], 60, "a grade")
                await (await people[0].slash("quiz start", channel=guild.general, topic="precision", minutes=1)).answered()
                posts = await server.wait_for(lambda: [m for m in guild.general.sent if not m.ephemeral], 20, "the question")
                began, used = time.monotonic(), (processor(running.pid), processor(os.getpid()))
                forms: list[Interaction] = []
                sent: list[Interaction] = []
                for number in range(WAVES):
                    if time.monotonic() - began < 45:  # the last ones must come before the close
                        some = await wave(people, posts[0], number)
                        forms, sent = forms + some[0], sent + some[1]
                took = time.monotonic() - began
                used = (processor(running.pid) - used[0], processor(os.getpid()) - used[1])
                stamp = int(posts[0].embeds[0]["description"].rpartition("<t:")[2].partition(":")[0])
                await server.wait_for(lambda: [m for m in guild.general.sent if not m.ephemeral][1:], 120, "the reveal")
                reveal = [message for message in guild.general.sent if not message.ephemeral][1]
            finally:
                running.kill()
                await running.wait()
    print(said("form opened (Answer)", [one.ack_seconds for one in forms if one.ack_seconds is not None]))
    print(said("reply acknowledged", [one.ack_seconds for one in sent if one.ack_seconds is not None]))
    print(f"{len(sent)} replies of {MEMBERS} members in {took:.1f} s; not acknowledged: {sum(one.ack is None for one in (*forms, *sent))}")
    print(f"processor time meanwhile: the coach, grading included, {used[0]:.1f} s; the loopback Discord {used[1]:.1f} s")
    print(f"from the close of a round with {MEMBERS} members to its reveal: {reveal.created - stamp:.1f} s (n = 1)")
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main())
