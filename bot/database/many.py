"""A statement for very many rows at once, past SQLAlchemy's care for every single parameter of every row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Dialect, Executable

MOST_KNOWN = 2000
"""Values of a column that are remembered as the database wants them."""


class _Known(dict[Any, Any]):
    """Values as the database wants them, found out once."""

    def __init__(self, kept: Callable[[Any], Any]) -> None:
        super().__init__()
        self._kept = kept

    def __missing__(self, value: Any) -> Any:
        found = self[value] = self._kept(value)
        return found


class Many:
    """One statement, made out for one database. Its parameters are given as columns, each a list with a value for every row.

    What a column's type does to a value is done once for each different one: ten thousand who are due have few different times."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self.text = str(compiled)
        self._names: list[str] = compiled.positiontup
        types = {name: compiled.binds[name].type for name in self._names}
        self._known: dict[str, _Known | None] = {}
        for name, type_ in types.items():
            kept = type_.dialect_impl(dialect).bind_processor(dialect)
            self._known[name] = _Known(kept) if kept is not None else None

    def rows(self, columns: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
        """What the driver wants beside `text`."""
        for known in self._known.values():
            if known is not None and len(known) > MOST_KNOWN:
                known.clear()
        given = []
        for name in self._names:
            known = self._known[name]
            given.append(columns[name] if known is None else [known[value] for value in columns[name]])
        return list(zip(*given, strict=True))
