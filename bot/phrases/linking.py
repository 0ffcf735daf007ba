"""What the coach says of linking chats and parting them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bot.days import clock
from bot.messages import Choice, Reply, Span, Style, bold, say
from bot.model import Learner
from bot.phrases import zone_label

NAMES = {"console": "the terminal"}


def place(platform: str) -> str:
    """What people call a platform."""
    return NAMES.get(platform, platform.capitalize())


def code(shown: str, minutes: int, others: Sequence[str]) -> Reply:
    linked = f" This chat is linked with {_list(others)} already." if others else ""
    return say(
        "In your other chat with me, on another platform for instance, send\n\n", Span(f"/link {shown}", Style.CODE),
        f"\n\nIt works once, for {minutes} minutes. Keep it to yourself: it opens your history.{linked}",
    )  # fmt: skip


def no_code() -> Reply:
    return say("A code has eight letters, such as BCDF-GHJK. /link alone gives you one for your other chat.")


def wrong_code(left: int) -> Reply:
    tail = f" You have {left} more {'try' if left == 1 else 'tries'} within the hour." if left else " That was the last try for now."
    return say(f"That code does not hold: it may be mistyped, used or older than ten minutes.{tail}")


def too_many_tries(wait: timedelta) -> Reply:
    minutes = max(1, -(-int(wait.total_seconds()) // 60))
    return say(f"That was too many wrong codes. Please try again in {minutes} {'minute' if minutes == 1 else 'minutes'}.")


def own_code() -> Reply:
    return say("That is the code for your other chat: send it there. It still holds.")


def linked(learner: Learner, other: str, settings: str, closed: bool) -> Reply:
    """`other`: the platform where the code was made. `settings`: the platform whose settings hold where they differed, else "".
    `closed`: whether both sides had a question open."""
    lines = [f"\nWhatever you did here and in your other chat ({place(other)}) counts together, once: one history, one streak."]
    if settings:
        lines.append(f"\nThe two had different settings; those from {settings} hold. /settings shows them.")
    if learner.minute is None:
        lines.append("\nThere is no daily question; /daily 09:00 brings one to the chat where you send it.")
    else:
        lines.append(
            f"\nThe daily question comes here, at {clock(learner.minute)} {zone_label(learner.zone)} time. "
            f"Send /daily {clock(learner.minute)} in the other chat to have it there."
        )
    if closed:
        lines.append("\nYou had two questions open: the newer one stays open, the other is closed.")
    return say(bold("Linked."), *lines, "\n/unlink parts them again.")


def linked_there(other: str) -> Reply:
    """To the chat where the code was made."""
    return say(
        f"This chat is linked with your chat on {place(other)} now: one history, one streak, one daily question, which comes there. "
        "If that was not you, tap Unlink."
    ).with_choices([Choice("Unlink", "/unlink")])


def not_linked() -> Reply:
    return say("This chat is not linked with another one. /link gives you a code for that.")


def unlinked(learner: Learner, others: Sequence[str]) -> Reply:
    daily = f" Both get a daily question at {clock(learner.minute)}; /daily off ends it in one." if learner.minute is not None else ""
    keep = "keeps" if len(set(others)) == 1 else "keep"
    return say(
        bold("Parted."), f" This chat has a copy of all you did so far and goes on alone; {_list(others)} {keep} the original. "
        f"From now on each counts for itself.{daily}",
    )  # fmt: skip


def unlinked_there(other: str) -> Reply:
    """To a chat that stays."""
    return say(f"Your chat on {place(other)} is on its own now, with a copy of the past. Here everything goes on as it was.")


def _list(platforms: Sequence[str]) -> str:
    names = list(dict.fromkeys(place(one) for one in platforms))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
