"""The schema's history, applied by Alembic when the database is opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from bot.errors import StoreTooNew

HEAD = "0001"
"""The revision that this version of the coach reads and writes."""


def upgrade(connection: Connection) -> None:
    """Brings the schema up to HEAD. Raises StoreTooNew where it is of a later version."""
    at = None
    if inspect(connection).has_table("alembic_version"):
        at = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if at == HEAD:
        return
    from alembic import command  # late: most starts need no migration, and it costs a quarter of a second
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
