"""The schema's history, applied by Alembic when the database is opened.

An empty database is made from the models at once: Alembic takes a quarter of a second to import, and a test holds that both
ways lead to the same schema.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlmodel import SQLModel

from bot.errors import StoreTooNew

HEAD = "0009"
"""The revision that this version of the coach reads and writes."""


def upgrade(connection: Connection) -> None:
    """Brings the schema up to HEAD. Raises StoreTooNew where it is of a later version."""
    tables = inspect(connection).get_table_names()
    if not tables:
        SQLModel.metadata.create_all(connection)
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
        return
    at = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if "alembic_version" in tables else None
    if at == HEAD:
        return
    from alembic import command
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = _config(connection)
    if at is not None:
        try:
            ScriptDirectory.from_config(config).get_revision(at)
        except CommandError as error:
            raise StoreTooNew(
                f"the database was written by a later version of the coach (its schema is {at}, this one reads {HEAD})"
            ) from error
    command.upgrade(config, "head")


def _config(connection: Connection):  # type: ignore[no-untyped-def]
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config
