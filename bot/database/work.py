"""A unit of work: a plain function of a session, which is done whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlmodel import Session

if TYPE_CHECKING:
    from bot.database.connection import Connected

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Connected")
Unit = Callable[Concatenate[S, Session, P], T]
Method = Callable[Concatenate[S, P], Coroutine[Any, Any, T]]
Anything = TypeVar("Anything", bound=Callable[..., Any])


def reads(unit: Unit[S, P, T]) -> Method[S, P, T]:
    """A method that does a unit of work which only reads."""

    @wraps(unit)
    async def whole(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.read(lambda session: unit(self, session, *args, **kwargs), long=hasattr(unit, "long"))

    return whole


def writes(unit: Unit[S, P, T]) -> Method[S, P, T]:
    """A method that does a unit of work which writes; what it wrote is on the disk when it returns."""

    @wraps(unit)
    async def whole(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.write(lambda session: unit(self, session, *args, **kwargs), long=hasattr(unit, "long"))

    return whole


def long(unit: Anything) -> Anything:
    """Marks a unit that may read or write very many rows: on SQLite it is done in a thread, and the loop goes on."""
    unit.long = True  # type: ignore[attr-defined]
    return unit


def done(connection: Connection, work: Callable[[Session], T]) -> T:
    """Does a unit of work in the transaction that the connection is in."""
    with Session(connection, expire_on_commit=False) as session:
        result = work(session)
        session.flush()
        return result
