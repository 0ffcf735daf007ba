"""Every exception that the engine raises on purpose, as one family.

CoachError
 ├── ContentError        a pack that can't be used; carries every problem found
 ├── SettingsError       a setting that can't be used
 ├── StoreError          the database can't be read or written
 │    ├── StoreBusy      somebody else holds it; trying again may help
 │    ├── StoreRefused   it takes this for wrong: trying again won't help
 │    ├── StoreStale     what was read is no longer so: somebody else wrote meanwhile
 │    └── StoreTooNew    it was written by a later version of the coach
 ├── Unusable            a recording that no words can be had from (in bot/speech/sound.py, with its reasons)
 ├── FetchError          a platform did not hand over a recording
 │    └── FetchTooLarge  it is larger than what is listened to
 └── SendError           a platform did not take a message
      ├── SendLater      not now: a flood limit or a passing fault
      ├── SendUnclear    nobody can say whether it arrived
      ├── SendRefused    this message will never be taken
      │    └── NotAllowed  the coach lacks a permission where it was to be posted, or the place is gone
      └── AddressGone    this person can't be reached any more
"""

from __future__ import annotations


class CoachError(Exception):
    """The root: its text is one sentence that may be shown to the owner."""


class ContentError(CoachError):
    """A pack that can't be used; `problems` holds every one found, each `file: id: field: what is wrong`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else ""))
        self.problems = problems


class SettingsError(CoachError):
    """A setting that can't be used."""


class StoreError(CoachError):
    """The database can't be read or written."""


class StoreBusy(StoreError):
    """Somebody else holds the database; trying again may help."""


class StoreRefused(StoreError):
    """The database took a row for wrong, and wrote nothing of what came with it."""


class StoreStale(StoreError):
    """Another turn of the same learner was written since this one was read. Nothing was written; read again."""


class StoreTooNew(StoreError):
    """The database was written by a later version of the coach."""


class FetchError(CoachError):
    """A platform did not hand over a recording. `again`: whether it may the next time."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


class FetchTooLarge(FetchError):
    """There is more of it than was asked for; the rest was not read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, again=False)


class SendError(CoachError):
    """A platform did not take a message."""


class SendLater(SendError):
    """Not now. `seconds` is how long the platform asked to wait, or None where it named no time;
    `flood` tells a limit that the platform set from a passing fault of the network or the server. `maybe`: it may have arrived;
    the platform makes one message of both, or finds the first one, where it is told since when it was tried."""

    def __init__(self, reason: str, seconds: float | None = None, *, flood: bool = False, maybe: bool = False) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.flood = flood
        self.maybe = maybe


class SendUnclear(SendError):
    """The connection broke after the request had left: the message may have arrived or not."""


class SendRefused(SendError):
    """The platform will never take this message as it is."""


class NotAllowed(SendRefused):
    """The coach may not post there: a permission is missing, or the place is gone."""


class AddressGone(SendError):
    """This person blocked the coach, left, or never existed: sending again is pointless until they write."""
