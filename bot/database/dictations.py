"""What was heard of voice notes and waits for its learner's word."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlmodel import Field, Session, SQLModel

from bot.database.learners import Learners
from bot.database.rows import UTCDateTime, row_of
from bot.database.work import reads
from bot.model import Dictation


class DictationRow(SQLModel, table=True):
    __tablename__ = "dictation"
    __table_args__ = {"info": {"stays": True, "newest": "at"}}
    learner: str = Field(primary_key=True, foreign_key="learner.id", ondelete="CASCADE")
    id: str
    asked: str
    """No foreign key: it may be written in the same breath as what it belongs to."""
    text: str
    at: datetime = Field(sa_type=UTCDateTime)
    pace: str = ""


@row_of.register
def dictation_row(one: Dictation) -> DictationRow:
    return DictationRow(**asdict(one))


class Dictations(Learners):
    """They are written through `Changes.also`; the latest takes the place of the one before."""

    @reads
    def dictation(self, session: Session, learner: str) -> Dictation | None:
        row = session.get(DictationRow, learner)
        return Dictation(row.learner, row.id, row.asked, row.text, row.at, row.pace) if row is not None else None
