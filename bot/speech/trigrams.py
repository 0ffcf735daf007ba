"""A trigram language model of some text, in the ARPA format that recognisers read.

Interpolated absolute discounting with Kneser and Ney's counts for the lower orders: S. F. Chen and J. Goodman, "An empirical
study of smoothing techniques for language modeling" (1999), sections 2.7 and 4.1.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set

BEGIN, END = "<s>", "</s>"
NEVER = -99.0
"""What the format writes for the logarithm of zero."""

Gram = tuple[str, ...]


def arpa(sentences: Iterable[Sequence[str]], known: Set[str], least: int = 2) -> str:
    """The model of `sentences` over the words of `known`. A word that is not known ends one sequence and begins another.

    least: how often three words have to come in a row to be kept; shorter rows are all kept."""
    counts: tuple[Counter[Gram], ...] = (Counter(), Counter(), Counter())
    for sentence in sentences:
        for part in _parts([BEGIN, *sentence, END], known):
            for order in (2, 3):
                counts[order - 1].update(tuple(part[at : at + order]) for at in range(len(part) - order + 1))
    counts[0].update({(word,): 1 for word in (*sorted(known), END)})  # every word may be said
    for (_, last), _count in counts[1].items():
        counts[0][last,] += 1  # in how many places, not how often
    del counts[0][BEGIN,]
    triples = Counter({gram: count for gram, count in counts[2].items() if count >= least})
    pairs = Counter({gram: count for gram, count in counts[1].items() if gram[0] == BEGIN})
    for gram in counts[2]:
        pairs[gram[1:]] += 1
    for gram in counts[1]:
        pairs.setdefault(gram, 1)
    one, _ = _share(counts[0], {(): 0.0}, discounted=False)
    two, back_one = _share(pairs, one)
    three, back_two = _share(triples, two, counts[2])
    one[BEGIN,] = 0.0
    lines = ["\\data\\", f"ngram 1={len(one)}", f"ngram 2={len(two)}", f"ngram 3={len(three)}"]
    for order, grams, backs in ((1, one, back_one), (2, two, back_two), (3, three, {})):
        lines.append(f"\n\\{order}-grams:")
        for gram, chance in sorted(grams.items()):
            back = f" {backs[gram]:.4f}" if gram in backs else ("" if order == 3 else " 0.0000")
            lines.append(f"{math.log10(chance) if chance else NEVER:.4f} {' '.join(gram)}{back}")
    return "\n".join([*lines, "\n\\end\\", ""])


def _parts(words: Sequence[str], known: Set[str]) -> Iterable[list[str]]:
    part: list[str] = []
    for word in words:
        if word in known or word in (BEGIN, END):
            part.append(word)
        elif part:
            yield part
            part = []
    if part:
        yield part


def _share(
    counts: Mapping[Gram, int], shorter: Mapping[Gram, float], whole: Mapping[Gram, int] | None = None, *, discounted: bool = True
) -> tuple[dict[Gram, float], dict[Gram, float]]:
    """The chance of each gram's last word after the others, and the logarithm of what is left to shorter grams after each
    history. whole: the counts before rare ones were left out, whose mass goes to the shorter ones too."""
    total: defaultdict[Gram, int] = defaultdict(int)
    for gram, count in (whole or counts).items():
        total[gram[:-1]] += count
    if not discounted:
        return {gram: count / total[()] for gram, count in counts.items()}, {}
    once, twice = (sum(count == times for count in (whole or counts).values()) for times in (1, 2))
    discount = once / (once + 2 * twice) if once else 0.0
    kept: defaultdict[Gram, float] = defaultdict(float)
    for gram, count in counts.items():
        kept[gram[:-1]] += (count - discount) / total[gram[:-1]]
    chances = {
        gram: (count - discount) / total[gram[:-1]] + (1 - kept[gram[:-1]]) * shorter.get(gram[1:], 0.0) for gram, count in counts.items()
    }
    return chances, {history: math.log10(max(1e-6, 1 - kept[history])) for history in kept}
