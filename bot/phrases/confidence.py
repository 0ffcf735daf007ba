"""What is said of how sure a learner was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bot.confidence import RIGHT, Calibration
from bot.messages import Reply, Span, bold, say
from bot.phrases import SURE

VERDICTS = {
    "over": "You are surer than you are right: before you say it, ask yourself what would prove you wrong.",
    "under": "You know more than you trust yourself with: say it as a claim.",
    "fair": "Your sense of what you know is sound.",
}


def added(reply: Reply, found: Calibration | None) -> Reply:
    """`reply` with what is known of the learner's confidence below it; unchanged where that is too little."""
    if found is None:
        return reply
    parts: list[str | Span | Iterable[Span]] = [
        "\n\n",
        bold("Does sure mean right?"),
        f" ({found.count} replies; right is {RIGHT} and more)",
    ]
    parts += [f"\n{SURE[one.sure]}: {one.right} of {one.count} right, {one.mean:.0f} on average" for one in found.levels]
    parts.append(f"\n{VERDICTS[found.verdict]}")
    return replace(reply, spans=(*reply.spans, *say(*parts).spans))
