"""Makes docs/report.png out of a mock interview that it really holds with the coach: python docs/make_report_picture.py"""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from adapters.__main__ import _incidents
from bot import Address, Message, Reply
from bot.coach import Coach
from bot.config import Settings
from bot.content import default_folder, load
from bot.database import Database
from bot.grading.plain import PlainGrader
from bot.incidents import STAGES

ANN = Address("console", "ann", "ann")
SHARES = (0.6, 0.35, 0.9, 0.75, 0.5, 0.85, 0.7)
"""How much of each question's points is said."""


class Talk:
    """One conversation, whose clock moves a minute and a half with every message."""

    def __init__(self, coach: Coach) -> None:
        self.coach, self.at, self.count = coach, datetime(2026, 11, 28, 18, 0, tzinfo=UTC), 0

    def now(self) -> datetime:
        return self.at

    async def says(self, text: str) -> tuple[Reply, ...]:
        self.at, self.count = self.at + timedelta(seconds=90), self.count + 1
        return await self.coach.handle(Message(f"m{self.count}", ANN, text, self.at))


async def main() -> None:
    known, library = Settings(_env_file=None), load(default_folder())  # type: ignore[call-arg]
    incidents = _incidents(known, library)
    with tempfile.TemporaryDirectory() as folder:
        store = await Database.open(f"sqlite:///{folder}/coach.db")
        coach = Coach(store, library, PlainGrader(), rng=Random(4), now=lambda: talk.at, incidents=incidents)
        talk = Talk(coach)
        replies = await talk.says("/mock 45 ml deep level 3")
        asked = 0
        while not any(reply.files for reply in replies):
            memory = await store.recall(ANN)
            opened, learner = memory.open, memory.learner
            assert opened is not None
            assert learner is not None
            question, incident = library.questions.get(opened.question), incidents.get(opened.question)
            if question is not None:
                rubric = question.followup(opened.followup) or question
                asked += not opened.followup
                most = max(1, round(SHARES[asked % len(SHARES)] * len(rubric.points)))
                replies = await talk.says(" ".join(f"{point.phrasings[-1]}." for point in rubric.points[:most]))
            elif incident is not None:
                course = await store.investigation(learner.id, opened.id)
                assert course is not None
                if len(course.looks) < len(incident.path) - 1:
                    replies = await talk.says(incident.path[len(course.looks)])
                elif not course.concluding:
                    replies = await talk.says(f"/conclude {opened.id}")
                else:
                    replies = await talk.says(incident.stage(STAGES[len(course.staged)]).points[0].phrasings[-1])
        (file, *_) = next(reply.files for reply in replies if reply.files)
        (Path(__file__).parent / "report.png").write_bytes(file.data)
        print(replies[-1].text)
        await coach.close()
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
