"""A machine that lives through learners, zones, clocks, sends and crashes in any order, and holds the coach to its promises."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule, run_state_machine_as_test
from worlds import MONDAY, FakeClock, sql

from bot import days
from bot.coach import Coach
from bot.content import Library
from bot.database import Database
from bot.grading.plain import PlainGrader
from bot.messages import Address, Reply
from bot.model import Asked, Attempt, Changes, Grade, Learner, Occasion, Practised
from bot.outbox import Owed

T = TypeVar("T")
ZONES = ("UTC", "Europe/Berlin", "Pacific/Apia", "America/St_Johns", "Pacific/Kiritimati", "America/Nuuk")
PARTS, EXAMPLES = 4, int(os.environ.get("COACH_EXAMPLES", "1000"))
"""Lives in all, and the tests that they are shared out to, so that as many processes may live them."""

TABLES = ("card", "mark", "practised", "attempt", "asked", "outbox", "inbox", "address", "learner")
"""What a life leaves rows in. A table that is missing here shows: what refers to a row that is deleted is refused."""


class Machine(RuleBasedStateMachine):
    """`sent` is what the platform took, copy by copy; `unclear` counts how often nobody could know whether it had."""

    loop: asyncio.AbstractEventLoop
    store: Database
    library: Library
    learners = Bundle("learners")

    @initialize()
    def begin(self) -> None:
        self.clock, self.number = FakeClock(MONDAY), 0
        self.sent: Counter[str] = Counter()
        self.settled: set[str] = set()
        self.unclear: Counter[str] = Counter()
        self.steady: dict[str, Learner] = {}
        self.replied: set[str] = set()
        self.run(self._empty())
        self._restart()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def _empty(self) -> None:
        await self.store.write(lambda session: [session.connection().exec_driver_sql(f"DELETE FROM {table}") for table in TABLES])

    def _restart(self) -> None:
        self.coach = Coach(self.store, self.library, PlainGrader(), now=self.clock, rng=Random(1))
        self.run(self.store.released(["paper"]))

    @rule(target=learners, zone=st.sampled_from(ZONES), minute=st.integers(0, 1439))
    def joins(self, zone: str, minute: int) -> str:
        self.number += 1
        id = f"l{self.number}"
        home = Address("paper", id, id)
        learner = days.scheduled(Learner(id, self.clock(), home, zone, minute), self.clock())
        self.run(self.store.record(f"join {id}", home, Changes(learner), [], self.clock()))
        self.steady[id] = learner
        return id

    @rule(minutes=st.sampled_from((1, 59, 179, 181, 700, 1440, 3 * 1440)))
    def time_goes_by(self, minutes: int) -> None:
        self.clock.move(minutes=minutes)

    @rule()
    def ticks(self) -> None:
        while self.run(self.store.claim_due(["paper"], self.clock(), 50)) == 50:
            pass

    @rule(outcome=st.sampled_from(("arrives", "unclear", "unclear and arrived", "refused for now", "killed before", "killed after")))
    def sends(self, outcome: str) -> None:
        for owed in self.run(self.store.claim(["paper"], self.clock(), 2)):
            self._send(owed, outcome)

    def _send(self, owed: Owed, outcome: str) -> None:
        reply = self.run(self.coach.compose(owed)) if owed.reply is None else owed.reply
        if not isinstance(reply, Reply):
            return
        assert owed.key not in self.settled
        if outcome in ("arrives", "unclear and arrived", "killed after"):
            self.sent[owed.key] += 1
        if outcome == "arrives":
            self.settled.add(owed.key)
            self.run(self.store.settle(owed, "sent", self.clock(), message="1"))
        elif outcome.startswith("unclear"):
            self.unclear[owed.key] += 1
            self.run(self.store.settle(owed, "retry", self.clock(), again_at=self.clock(), unsure=True))
        elif outcome == "refused for now":
            self.run(self.store.settle(owed, "retry", self.clock(), again_at=self.clock() + timedelta(seconds=1), untried=True))
        else:
            self.unclear[owed.key] += 1
            self._restart()

    @rule(id=learners, again=st.booleans())
    def replies(self, id: str, again: bool) -> None:
        key = f"reply {id} {self.clock().isoformat()}"
        home = Address("paper", id, id)
        memory = self.run(self.store.recall_learner(id))
        assert memory.learner is not None
        asked = memory.open or Asked(f"a {key}", id, "bias-variance", Occasion.CHOSEN, self.clock())
        attempt = Attempt(f"t {key}", id, asked.id, asked.question, "", "words", self.clock(), 0, Grade(50, (), (), "plain 1"))
        changes = Changes(None, (asked,), attempt, Practised(self.clock(), memory.learner.zone))
        for _ in range(1 + again):
            if key not in self.replied or again:
                self.run(self.store.record(key, home, changes, [], self.clock()))
        self.replied.add(key)

    @rule(id=learners, zone=st.sampled_from(ZONES), minute=st.integers(0, 1439))
    def moves(self, id: str, zone: str, minute: int) -> None:
        self.steady.pop(id, None)
        memory = self.run(self.store.recall_learner(id))
        assert memory.learner is not None
        learner = days.scheduled(replace(memory.learner, zone=zone, minute=minute), self.clock())
        self.run(
            self.store.record(f"move {id} {self.clock().isoformat()} {zone} {minute}", learner.home, Changes(learner), [], self.clock())
        )

    @rule(id=consumes(learners))
    def leaves(self, id: str) -> None:
        self.steady.pop(id, None)
        self.run(self.coach.gone(Address("paper", id, id)))

    @invariant()
    def nothing_comes_twice_but_what_nobody_could_know(self) -> None:
        for key, copies in getattr(self, "sent", {}).items():
            assert copies <= 1 + self.unclear[key], key

    def teardown(self) -> None:
        """In the end every day of those who changed nothing has its question, or is excused; and each reply counted once."""
        if not hasattr(self, "sent"):
            return
        self.ticks()
        for _ in range(60):
            claimed = self.run(self.store.claim(["paper"], self.clock.move(minutes=5), 5))
            for owed in claimed:
                self._send(owed, "arrives")
            if not claimed:
                break
        rows = self.run(self._rows("SELECT key, state FROM outbox"))
        excused = set(self.run(self._rows("SELECT learner, about FROM mark WHERE kind = 'excused'")))
        assert {state for _, state in rows} <= {"sent", "excused", "gone"}
        owed_once = Counter(key for key, _ in rows)
        assert not owed_once or max(owed_once.values()) == 1
        for id, learner in self.steady.items():
            day, today = days.local_day(learner.next_due_at or self.clock(), learner.zone), days.local_day(self.clock(), learner.zone)
            while day < today:
                assert owed_once[f"daily:{id}:{day}"] or (id, day.isoformat()) in excused, (id, day)
                day += timedelta(days=1)
        assert len(self.run(self._rows("SELECT id FROM attempt"))) == len(self.replied)
        self.run(self.coach.close())

    async def _rows(self, statement: str) -> list[Any]:
        return await sql(self.store, statement)


@pytest.mark.parametrize("part", range(PARTS))
def test_in_any_order_of_learners_zones_clocks_sends_and_crashes_the_promises_hold(part: int, library: Library) -> None:
    lived = type(f"Machine{part}", (Machine,), {})  # by its name it lives other lives than its sisters, and the same each time
    with asyncio.Runner() as runner:
        lived.loop = runner.get_loop()
        lived.store = runner.run(Database.open("sqlite://"))
        lived.library = library
        try:
            run_state_machine_as_test(
                lived,
                settings=settings(
                    max_examples=EXAMPLES // PARTS, stateful_step_count=12, deadline=None, derandomize=True, database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )  # fmt: skip
        finally:
            runner.run(lived.store.close())
