"""Who says too much at once: up to so many messages of one person a minute, and then the next minute's. No clock is read."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.messages import Address

MOST = 20
"""Messages of one person that are handled in a minute. Whoever practises in earnest sends two or three."""

SPAN = timedelta(minutes=1)

FORGIVEN = 3 * SPAN
"""How long after its beginning a minute that was too much matters: what was left for later is looked at every few seconds."""

KNOWN = 10_000
"""People who are kept in mind; those who spoke last."""


@dataclass(slots=True)
class _Minute:
    begun: datetime
    count: int = 0
    late: bool = False
    """Whether something that this person said was left for later, and may still wait."""


class Floods:
    """Counts what people say. What is too much is handled in the minutes after, in order: the caller keeps it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._people: OrderedDict[tuple[str, str], _Minute] = OrderedDict()

    def closed(self, who: Address, now: datetime) -> bool:
        """Whether this person has said all that is handled in this minute."""
        return self._minute(who, now).count >= self._most

    def late(self, who: Address, now: datetime) -> bool:
        """Whether something they said before may still wait."""
        return self._minute(who, now).late

    def count(self, who: Address, now: datetime) -> None:
        """One more is handled."""
        self._minute(who, now).count += 1

    def left(self, who: Address, now: datetime) -> bool:
        """One more is left for later; says whether it is the first for a while, of which they are told."""
        minute = self._minute(who, now)
        first, minute.late = not minute.late, True
        return first

    def silent(self, platform: str, now: datetime) -> list[str]:
        """The people of a platform whose messages are not to be looked at again in this minute."""
        return [
            user
            for (where, user), one in self._people.items()
            if where == platform and one.count >= self._most and _same(one.begun, now)
        ]  # fmt: skip

    def _minute(self, who: Address, now: datetime) -> _Minute:
        key = (who.platform, who.user)
        known = self._people.get(key)
        if known is None or not _same(known.begun, now):
            # After a minute in which they were not slowed any more they begin anew, and would be told again.
            still = known is not None and known.late and known.count >= self._most and now < known.begun + FORGIVEN
            known = self._people[key] = _Minute(now, late=still)
            while len(self._people) > KNOWN:
                self._people.popitem(last=False)
        self._people.move_to_end(key)
        return known


def _same(begun: datetime, now: datetime) -> bool:
    """Whether it is still the minute that began then; one that began in the future, by a clock that was wrong, is over."""
    return begun <= now < begun + SPAN
