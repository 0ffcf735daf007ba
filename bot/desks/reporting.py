"""Reporting: what a mock interview showed, in words, as a picture and as a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.desks import Desk, Handler, Outcome, Tools, Turn
from bot.messages import File, Reply
from bot.model import Held, Interview
from bot.phrases import document as paragraphs
from bot.phrases import in_private
from bot.phrases import report as phrases
from bot.reporting import Report, report
from bot.reports import document
from bot.reports import interview as pictures


class Reporting(Desk):
    """/report, and what comes at the end of an interview."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self.incidents = tools.incidents
        self._studio = tools.studio

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"report": self._report}

    async def _report(self, turn: Turn) -> Outcome:
        if not turn.message.private:
            return Outcome((in_private("report"),))
        over = await self._over(turn.learner.id)
        if turn.argument and not turn.argument.isdecimal():
            return Outcome((phrases.unclear_number(),))
        number = int(turn.argument[:6]) if turn.argument else len(over)
        if not 1 <= number <= len(over):
            return Outcome((phrases.no_report(turn.argument[:6]),))
        return Outcome(await self._replies(turn, over, number))

    async def at_the_end(self, turn: Turn, one: Interview, held: Sequence[Held]) -> tuple[Reply, ...]:
        """The report of an interview that is over now; what of it is not written yet is given."""
        over = await self._over(turn.learner.id)
        if not any(each.attempt for each in held):
            return (phrases.nothing_said(),)
        return await self._replies(turn, [*over, (one, tuple(held))], len(over) + 1)

    async def _over(self, learner: str) -> list[tuple[Interview, tuple[Held, ...]]]:
        """The learner's interviews that are over and in which they replied, the first one first."""
        ended = await self.store.interviews(learner)
        held = await self.store.held([one.id for one in ended])
        return [(one, held[one.id]) for one in ended if any(each.attempt for each in held[one.id])]

    async def _replies(self, turn: Turn, over: Sequence[tuple[Interview, tuple[Held, ...]]], number: int) -> tuple[Reply, ...]:
        one, held = over[number - 1]
        before = [earlier for _, earlier in over[: number - 1]]
        made = report(one, held, number, before, self.library, self.incidents)
        reply = phrases.message(made, turn.learner.zone)
        return (reply.with_files(*await self._files(made, turn.learner.zone)),)

    async def _files(self, made: Report, zone: str) -> tuple[File, ...]:
        """The picture and the document; none where nothing here can draw: every number is in the message."""
        title = phrases.title(made, zone)
        png = await self._studio.drawn(pictures.draw, pictures.picture(made, title, _headline(made)))
        blocks = tuple(document.Block(kind, text) for kind, text in paragraphs.paragraphs(made, zone))
        pdf = await self._studio.drawn(document.draw, document.Document(title, blocks, png or b"", title))
        files = []
        if png:
            files.append(File(f"interview-{made.number}.png", png, phrases.alternative(made), picture=True))
        if pdf:
            files.append(File(f"interview-{made.number}.pdf", pdf, f"The whole report as a document: {title}."))
        return tuple(files)


def _headline(made: Report) -> str:
    return f"{'' if made.score is None else f'{made.score}/100 · '}{made.band.capitalize()}"
