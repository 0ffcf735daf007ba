"""The schema's history, applied by Alembic when the database is opened.

An empty database is made from the models at once: Alembic takes a quarter of a second to import, and a test holds that both
ways lead to the same schema.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlmodel import SQLModel

from bot.errors import StoreError, StoreTooNew

HEAD = "0012"
"""The revision that this version of the coach reads and writes."""


def upgrade(connection: Connection, *, migrate: bool = True) -> None:
    """Brings the schema up to HEAD. Raises StoreTooNew where it is of a later version, and StoreError where it is of an earlier
    one and may not be changed."""
    tables = inspect(connection).get_table_names()
    if not tables:
        SQLModel.metadata.create_all(connection)
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
        return
    at = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if "alembic_version" in tables else None
    if at == HEAD:
        return
    if at is not None:
        refuse_later(at)
    if not migrate:
        raise StoreError(
            f"the database is an earlier version's (its schema is {at or 'unknown'}, this one reads {HEAD}): "
            "start the coach once, which brings it forwards"
        )
    from alembic import command

    command.upgrade(_config(connection), "head")


def known(revision: str) -> bool:
    """Whether this version of the coach knows a revision: its own, or an earlier one."""
    return revision == HEAD or any(file.name.startswith(f"{revision}_") for file in (Path(__file__).parent / "versions").glob("*.py"))


def refuse_later(revision: str) -> None:
    """Raises StoreTooNew where a revision is a later version's."""
    if not known(revision):
        raise StoreTooNew(
            f"the database was written by a later version of the coach (its schema is {revision}, this one reads {HEAD}); "
            "it is left as it is"
        )


def _config(connection: Connection):  # type: ignore[no-untyped-def]
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config
