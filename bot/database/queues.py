"""How much waits: messages to be sent and updates to be handled, counted by what waits and for which platform."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, text
from sqlalchemy import select as pick
from sqlmodel import Session

from bot.database.connection import Connected
from bot.database.rows import UNDONE, WAITING, InboxRow, OutboxRow
from bot.database.work import long, reads
from bot.outbox import Lane

inbox, outbox = InboxRow.__table__, OutboxRow.__table__  # type: ignore[attr-defined]


class Queues(Connected):
    """Looks at rows that wait, of which there are few, whatever was settled before."""

    @reads
    @long
    def queues(self, session: Session, platforms: Sequence[str], now: datetime) -> dict[tuple[str, str], int]:
        c = outbox.c
        kinds = {Lane.REPLY.value: "replies", Lane.BULK.value: "deliveries"}
        found = {(queue, platform): 0 for platform in platforms for queue in (*kinds.values(), "due", "updates")}
        ready = case((c.not_before <= now, 1), else_=0)
        waiting = pick(c.platform, c.lane, func.count(), func.sum(ready)).where(text(WAITING), c.platform.in_(platforms))
        undone = pick(inbox.c.platform, func.count()).where(text(UNDONE), inbox.c.platform.in_(platforms))
        rows: list[Any] = list(self.core(session, waiting.group_by(c.platform, c.lane)).all())
        for platform, lane, number, due in rows:
            found[kinds[lane], platform] = number
            found["due", platform] += due
        rows = list(self.core(session, undone.group_by(inbox.c.platform)).all())
        for platform, number in rows:
            found["updates", platform] = number
        return found
