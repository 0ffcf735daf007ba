"""What the coach says of giving a learner all that it keeps of them, and of forgetting it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.messages import Address, Choice, Reply, bold, say


def exported(replies: int, weak: int, files: Sequence[str]) -> Reply:
    deck = f"\nThe deck holds {_count(weak, 'weak question')}, with the model answers at the back: open it in Anki." if weak else ""
    return say(
        bold("All that I keep of you"),
        f"\n{_count(replies, 'reply', 'replies')} with every grade, your settings and your streak: {', '.join(files)}.", deck,
    )  # fmt: skip


def nothing() -> Reply:
    return say("I keep nothing of you yet.")


def forget(replies: int, addresses: Sequence[Address], sure: str) -> Reply:
    """`sure`: what pressing the button says."""
    places = sorted({address.platform.capitalize() for address in addresses})
    where = f" This goes for all your linked chats: {', '.join(places)}." if len(addresses) > 1 else ""
    return say(
        bold("Forget everything?"),
        f"\n{_count(replies, 'reply', 'replies')} with their grades, your streak, your settings: all of it is deleted, for good.{where}",
        "\n/export gives it to you first.",
    ).with_choices([Choice("Delete everything", f"/forget {sure}"), Choice("Keep it", "/forget no")])


def kept() -> Reply:
    return say("Nothing is deleted.")


def forgotten() -> Reply:
    return say("Done: I know nothing of you any more. It was good to practise with you. /start begins anew.")


def too_late() -> Reply:
    return say("That button has expired, and nothing is deleted. /forget shows a new one.")


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
