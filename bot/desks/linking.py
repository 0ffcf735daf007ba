"""Linking: one learner in two chats or more, and parting them again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from bot import days, links
from bot import phrases as common
from bot.desks import Desk, Handler, Outcome, Turn
from bot.desks.settings import DEFAULT_MINUTE
from bot.messages import Address, Reply
from bot.model import Joined, Learner, LinkCode, LinkTry, Parted
from bot.outbox import Lane, Owed
from bot.phrases import linking as phrases


class Linking(Desk):
    """Joins learners and parts them. The rows are moved by the store, in the transaction of the turn."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"link": self._link, "unlink": self._unlink}

    @property
    def involves(self) -> Mapping[str, Callable[[str], Awaitable[str]]]:
        return {"link": self._maker}

    async def _maker(self, argument: str) -> str:
        """Who made the code that is given."""
        given = links.read(argument)
        code = await self.store.link_code(links.fingerprint(given)) if given else None
        return code.learner if code else ""

    async def _link(self, turn: Turn) -> Outcome:
        if not turn.message.private:
            return Outcome((common.in_private("link"),))
        if not turn.argument:
            return await self._new_code(turn)
        given = links.read(turn.argument)
        if given is None:
            return Outcome((phrases.no_code(),))
        here = turn.message.address
        tries = await self.store.link_tries(turn.learner.id, here, turn.now - links.WITHIN)
        if len(tries) >= links.TRIES:
            return Outcome((phrases.too_many_tries(tries[-links.TRIES] + links.WITHIN - turn.now),))
        code = await self.store.link_code(links.fingerprint(given))
        if code is None or code.expires_at <= turn.now:
            return Outcome((phrases.wrong_code(links.TRIES - len(tries) - 1),), also=(LinkTry(turn.learner.id, here, turn.now),))
        if code.learner == turn.learner.id:
            return Outcome((phrases.own_code(),))
        return await self._join(turn, code)

    async def _new_code(self, turn: Turn) -> Outcome:
        made = links.make(self.draw)
        here = turn.message.address
        others = [one.platform for one in await self.store.addresses(turn.learner.id) if not _same(one, here)]
        code = LinkCode(links.fingerprint(made), turn.learner.id, here, turn.now + links.LIFE)
        return Outcome((phrases.code(links.shown(made), links.LIFE.seconds // 60, others),), also=(code,))

    async def _join(self, turn: Turn, code: LinkCode) -> Outcome:
        """The learner who made the code goes on, with the settings of that side; only where nothing was ever set there, and
        something was here, do those from here hold. What is sent unasked comes here, the address chosen last."""
        memory = await self.store.recall_learner(code.learner)
        maker, here = memory.learner, turn.message.address
        if maker is None:  # forgotten between the code and now
            return Outcome((phrases.wrong_code(links.TRIES - 1),))
        mine = turn.memory.learner
        of_here = mine is not None and _untouched(maker) and not _untouched(mine)
        source = mine if of_here and mine is not None else maker
        learner = replace(
            maker, home=here, expecting="", reachable=True, zone=source.zone, minute=source.minute, tracks=source.tracks,
            level=source.level, paused_until=source.paused_until, next_due_at=source.next_due_at,
            joined_at=min(maker.joined_at, turn.learner.joined_at),
        )  # fmt: skip
        if learner.next_due_at is None:
            learner = days.scheduled(learner, turn.now)
        differ = mine is not None and _settings(mine) != _settings(maker)
        settings = ("this chat" if of_here else phrases.place(code.address.platform)) if differ else ""
        closed = memory.open is not None and turn.memory.open is not None
        joined = Joined(learner, mine.id if mine else "", code.fingerprint, turn.now)
        note = self._note(turn, code.address, phrases.linked_there(here.platform), learner.id)
        return Outcome((phrases.linked(learner, code.address.platform, settings, closed),), learner, also=(joined,), owed=(note,))

    async def _unlink(self, turn: Turn) -> Outcome:
        if not turn.message.private:
            return Outcome((common.in_private("unlink"),))
        old, here = turn.memory.learner, turn.message.address
        others = [one for one in await self.store.addresses(turn.learner.id) if not _same(one, here)]
        if old is None or not others:
            return Outcome((phrases.not_linked(),))
        learner = replace(turn.learner, id=self.new_id(), home=here, expecting="", reachable=True)
        if learner.next_due_at is None:
            learner = days.scheduled(learner, turn.now)
        stays = old
        if _same(old.home, here):
            stays = replace(old, home=_private(others[0]))
            if not old.reachable:
                stays = days.scheduled(replace(stays, reachable=True), turn.now)
        notes = tuple(self._note(turn, _private(one), phrases.unlinked_there(here.platform), old.id) for one in others)
        reply = phrases.unlinked(learner, [one.platform for one in others])
        return Outcome((reply,), learner, also=(stays, Parted(old.id, learner, here, turn.now)), owed=notes)

    def _note(self, turn: Turn, to: Address, reply: Reply, learner: str) -> Owed:
        key = f"link:{turn.message.address.platform}:{turn.message.key}:{to.platform}:{to.user}"
        return Owed(key, to, Lane.REPLY, "reply", reply, learner)


def _same(one: Address, other: Address) -> bool:
    return (one.platform, one.user) == (other.platform, other.user)


def _private(address: Address) -> Address:
    """The private chat of whoever is at `address`; they may have written from a group last."""
    return replace(address, chat=address.user)


def _settings(learner: Learner) -> tuple[object, ...]:
    return learner.zone, learner.minute, learner.tracks, learner.level, learner.paused_until


def _untouched(learner: Learner) -> bool:
    """Whether this learner never set anything."""
    return _settings(learner) in (("UTC", DEFAULT_MINUTE, frozenset(), 3, None), ("UTC", None, frozenset(), 3, None))
