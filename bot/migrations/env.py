"""Runs the migrations on the connection that the coach hands over, or on COACH_DATABASE from Alembic's own command."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from bot.database import rows

target_metadata = SQLModel.metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("the coach migrates its database when it starts; there is nothing to run by hand")
assert rows.LearnerRow.__table__.metadata is target_metadata  # type: ignore[attr-defined]
context.configure(connection=connection, target_metadata=target_metadata, render_as_batch=True)
context.run_migrations()
