"""What is kept of cards: one row for each question that a learner replied to."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import and_
from sqlalchemy import select as pick
from sqlmodel import Field, Session, SQLModel, col, delete, or_, select

from bot.database.learners import Learners
from bot.database.rows import AttemptRow, UTCDateTime, attempt_of, row_of
from bot.database.work import reads
from bot.model import Attempt, Card, Finding, PointRecord


class CardRow(SQLModel, table=True):
    __tablename__ = "card"
    __table_args__ = {"info": {"derived": True}}
    learner: str = Field(primary_key=True, foreign_key="learner.id")
    question: str = Field(primary_key=True)
    due: datetime = Field(sa_type=UTCDateTime)
    reviewed_at: datetime = Field(sa_type=UTCDateTime)
    seen_at: datetime = Field(sa_type=UTCDateTime)
    stability: float
    difficulty: float
    score: int
    reviews: int
    lapses: int
    points: str


COLUMNS = tuple(CardRow.model_fields)


@row_of.register
def card_row(card: Card) -> CardRow:
    points = json.dumps([[one.point, one.asked, one.missed, one.last.value] for one in card.points], separators=(",", ":"))
    return CardRow(**{name: getattr(card, name) for name in COLUMNS if name != "points"}, points=points)


def _points(text: str) -> tuple[PointRecord, ...]:
    return tuple(PointRecord(point, asked, missed, Finding(last)) for point, asked, missed, last in json.loads(text))


class Cards(Learners):
    """Cards, and the attempts that are in none of them yet."""

    @reads
    def cards(self, session: Session, learner: str) -> tuple[dict[str, Card], list[Attempt]]:
        rows = self.core(session, pick(*(col(getattr(CardRow, name)) for name in COLUMNS)).where(col(CardRow.learner) == learner))
        cards = {row.question: Card(**{**row._mapping, "points": _points(row.points)}) for row in rows.all()}
        theirs = and_(col(CardRow.learner) == col(AttemptRow.learner), col(CardRow.question) == col(AttemptRow.question))
        fresh = (
            select(AttemptRow.id)
            .join(CardRow, theirs, isouter=True)
            .where(AttemptRow.learner == learner, or_(col(CardRow.question).is_(None), col(AttemptRow.at) > col(CardRow.seen_at)))
        )
        ids = session.exec(fresh).all()
        if not ids:
            return cards, []
        attempts = session.exec(select(AttemptRow).where(col(AttemptRow.id).in_(fresh)).order_by(col(AttemptRow.at), AttemptRow.id))
        return cards, [attempt_of(row) for row in attempts.all()]

    def keep(self, session: Session, thing: object) -> None:
        super().keep(session, thing)
        if isinstance(thing, Attempt):  # it was graded anew: its card is made again
            here = (col(CardRow.learner) == thing.learner) & (col(CardRow.question) == thing.question)
            session.exec(delete(CardRow).where(here))
