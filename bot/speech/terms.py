"""Mends the terms that a recogniser writes as it hears them: "over fitting", "ex gee boost", "a you see", "rock curve", "Addam".

Only what no pack and no dictionary would say is taken for a slip. A word that the packs use stays, so that precision never becomes
recall, nor micro macro; and what begins with "un", "over" or the like is only ever mended into what begins so too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass
from itertools import product

from rapidfuzz.distance import JaroWinkler
from rapidfuzz.fuzz import ratio

from bot.speech.lexicon import Lexicon, key

LETTERS = {
    "ay": "a", "eh": "a", "be": "b", "bee": "b", "see": "c", "sea": "c", "dee": "d", "ee": "e", "ef": "f", "eff": "f", "gee": "g",
    "jee": "g", "aitch": "h", "eye": "i", "jay": "j", "kay": "k", "cay": "k", "el": "l", "ell": "l", "em": "m", "en": "n", "oh": "o",
    "owe": "o", "pea": "p", "pee": "p", "cue": "q", "queue": "q", "are": "r", "ar": "r", "ess": "s", "es": "s", "tea": "t", "tee": "t",
    "you": "u", "yu": "u", "vee": "v", "ex": "x", "why": "y", "zee": "z", "zed": "z", "zero": "0", "one": "1", "two": "2", "three": "3",
    "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "twenty": "2",
}  # fmt: skip
"""What a letter or digit sounds like, as words."""

PLAIN = frozenset("a i be see sea are you why eye oh owe one two three four five six seven eight nine zero twenty".split())  # noqa: SIM905
"""Those of them that people also mean; a row of such words alone is left as it is, but for `SURE`."""

SURE = frozenset({("a", "you", "see"), ("are", "oh", "see"), ("are", "you", "see")})
"""Rows of plain words that mean a term all the same: nobody else says them in one breath."""

HOMOPHONES = (
    (r"\bnaive (?:base|bays|bay's|baize|bass|byes)\b", "naive Bayes"),
    (r"\b(?:base|bays|bay's|baize)(?:'s)? (theorem|rule)\b", r"Bayes \1"),
    (r"\bprinciple (component|axis|axes|direction)", r"principal \1"), (r"\bbias (and|or|versus|vs) variants\b", r"bias \1 variance"),
    (r"\bvariants (bias|reduction|inflation)\b", r"variance \1"),
    (r"\b(high|low|lower|higher|more|less|explained) variants\b", r"\1 variance"),
    (r"\bgrade(?:d|y)? (?:and|ant|ent) (boost|descent)", r"gradient \1"),
    (r"\bgradient (?:decent|dissent|descend)\b", "gradient descent"),
    (r"\b(?:radiant|grading|gradiant) (descent|boosting)\b", r"gradient \1"),
    (r"\bstochastic gradient decent\b", "stochastic gradient descent"),
    (r"\b(?:root|route) (?:mean|means) squared? error\b", "root mean squared error"),
    (r"\b(?:lost|laws|loss) function\b", "loss function"), (r"\b(?:rigid|reach|rich) regression\b", "ridge regression"),
    (r"\b(?:lass so|lassoo|last so) regression\b", "lasso regression"),
    (r"\b(?:logistics|low gistic|logic stick) regression\b", "logistic regression"),
    (r"\bsupport (?:victor|factor) machine", "support vector machine"), (r"\bhyper (?:plain|plane)\b", "hyperplane"),
    (r"\bhyper (?:perimeter|parameter)(s?)\b", r"hyperparameter\1"),
    (r"\b(?:colonel|kernal) (trick|function|density|method)", r"kernel \1"), (r"\bconfusion matrix's\b", "confusion matrices"),
    (r"\b(?:precision|decision) and re(?:-| )call\b", "precision and recall"), (r"\bcross valid(?:ation)? ation\b", "cross-validation"),
    (r"\b(\d+|one|two|three|five|ten|twenty|fifty|hundred|few|many|more|each|every|per) (?:epics?|epox|e pox|epoques?)\b", r"\1 epochs"),
    (r"\b(?:bach|back) (normali[sz]ation|norm|size)\b", r"batch \1"), (r"\bmini (?:back|bach|badge)(es)?\b", r"mini-batch\1"),
    (r"\b(?:boots strap|boot strap|boot strep)(s|ping|ped)?\b", r"bootstrap\1"),
    (r"\blabel (?:leak age|liquid age)\b", "label leakage"),
    (r"\b(?:poison|poisson|poissant) (regression|distribution|process|loss)\b", r"Poisson \1"),
    (r"\b(?:golf|gaussy|goshen|gauzy)(?:ian|an)? (mixture|noise|process)", r"Gaussian \1"),
    (r"\bgeney (impurity|index|coefficient)\b", r"Gini \1"), (r"\b(?:genie|jeannie|jiny) (impurity|index|coefficient)\b", r"Gini \1"),
    (r"\b(?:brier|brief|friar|briar|briers) score\b", "Brier score"), (r"\b(?:plat|plait|plat's) scaling\b", "Platt scaling"),
    (r"\b(?:a|ay|eh) ?(?:slash|/) ?(?:b|be|bee) (test|experiment)", r"A/B \1"), (r"\b(?:ay|eh|a) (?:b|be|bee) (test)", r"A/B \1"),
    (r"\barea under (?:the )?(?:rock|rok|roc)\b", "area under the ROC"),
    (r"\b(?:rock|rok|wrock) (curve|a ?u ?c|auc|a you see|ay you see|plot|space)", r"ROC \1"),
    (r"\b(?:smoked|smoat|smote|smolt) (oversampling|samples?)\b", r"SMOTE \1"), (r"\bone hot in ?coding\b", "one-hot encoding"),
    (r"\btarget in ?coding\b", "target encoding"), (r"\b(?:in coder|n coder) (?:and|the) (?:d|de|dee) coder\b", "encoder and decoder"),
    (r"\b(?:sick|psych|sigh|psychic|sci|side) ?(?:it|kit|ic)? ?learn\b", "scikit-learn"),
)  # fmt: skip
"""What stands beside a word tells which of two that sound alike was said."""

PARTICLES = frozenset("up out in off on down over back".split())  # noqa: SIM905
"""What ends a verb of two words ("sign up") is no piece of a term."""

POLES = (
    "over", "under", "un", "non", "in", "im", "ir", "dis", "mis", "anti", "de", "in", "out", "pre", "post", "re", "sub", "super",
    "micro", "macro", "intra", "inter", "homo", "hetero", "hyper", "hypo", "max", "min", "up", "down", "multi", "uni", "auto",
)  # fmt: skip
"""Beginnings that turn a meaning round, or another way."""

LIKE, LETTERS_ALIKE, SAME = 0.9, 84.0, 78.0
"""How alike an unknown word and a term must be: their sounds (Jaro-Winkler, 0..1) and their letters (per cent), and these where the
sounds are the same."""

_TOKEN = re.compile(r"^([^\w]*)(.*?)([^\w%]*)$", re.DOTALL)
_HOMOPHONES = tuple((re.compile(heard, re.IGNORECASE), meant) for heard, meant in HOMOPHONES)


@dataclass(frozen=True, slots=True)
class _Word:
    before: str
    text: str
    after: str


class Mending:
    """Mends texts by a lexicon. english: the words that any dictionary has, in lower case."""

    def __init__(self, lexicon: Lexicon, english: Set[str]) -> None:
        self._lexicon = lexicon
        self._english = english
        self._sounds: defaultdict[str, list[str]] = defaultdict(list)
        for letters in sorted(lexicon.coined):
            self._sounds[sound(letters)].append(letters)
        self._spelled = frozenset(letters for letters in lexicon.short if len(letters) >= 3 or lexicon.words.get(letters, 0) >= 5)
        self._found: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """`text` with its terms as the packs write them. Idempotent; a text without slips comes back as it is."""
        for heard, meant in _HOMOPHONES:
            text = heard.sub(meant, text)
        words = [_Word(*match.groups()) for word in text.split() if (match := _TOKEN.match(word))]
        done: list[str] = []
        at = 0
        while at < len(words):
            for size in range(min(6, len(words) - at), 0, -1):
                row = words[at : at + size]
                if any(word.after or not word.text for word in row[:-1]) or any(word.before for word in row[1:]):
                    continue
                meant = self._mended([word.text for word in row])
                if meant:
                    done.append(row[0].before + _as(row[0].text, meant) + row[-1].after)
                    at += size
                    break
            else:
                done.append(words[at].before + words[at].text + words[at].after)
                at += 1
        return " ".join(done)

    def _mended(self, row: list[str]) -> str:
        """The term that a row of words means, or ""."""
        low = [word.lower() for word in row]
        joined = key("".join(low))
        if len(row) == 1:
            stem = re.sub(r"['’]s$", "", row[0])
            meant = self._single(stem, key(stem)) if re.fullmatch(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", stem) else ""
            return meant and meant + row[0][len(stem) :]
        if not all(re.fullmatch(r"[a-z0-9]+", word) for word in low):
            return ""
        return self._split(low, joined) or self._letters(low) or self._coined(low, joined)

    def _single(self, word: str, letters: str) -> str:
        written = self._lexicon.written.get(letters)
        if written is not None:
            if "-" in word and letters in self._lexicon.coined:
                return ""  # "pre-training" is as good as "pretraining"
            plain = letters in self._english and letters not in self._lexicon.coined
            return "" if plain and word.islower() and letters not in self._spelled else written
        if letters.endswith("s") and letters[:-1] in self._spelled and letters not in self._english:
            return self._lexicon.written[letters[:-1]] + "s"
        if not letters.isalpha() or len(letters) < 4 or letters in self._english or letters in self._lexicon.words:
            return ""
        if letters not in self._found:
            self._found[letters] = self._nearest(letters)
        return self._found[letters]

    def _nearest(self, letters: str) -> str:
        """The one term that sounds and is written almost like an unknown word; "" where there is none, or more than one."""
        heard = sound(letters)
        if letters[:-1] in self._lexicon.words or _doubles(letters) in self._lexicon.written:
            return self._lexicon.written.get(_doubles(letters), "")
        best: list[tuple[bool, float, str]] = []
        for said, terms in self._sounds.items():
            if said[:1] == heard[:1] and len(heard) >= 3 and JaroWinkler.similarity(said, heard) >= LIKE:
                alike = ((said == heard, ratio(term, letters), term) for term in terms if pole(term) == pole(letters))
                best += [one for one in alike if one[1] >= (SAME if one[0] else LETTERS_ALIKE)]
        best.sort(reverse=True)
        if not best or (len(best) > 1 and best[0][0] == best[1][0] and best[0][1] - best[1][1] < 4):
            return ""
        return self._lexicon.written[best[0][2]]

    def _split(self, low: list[str], joined: str) -> str:
        """One term that was written as several words: "over fitting", "k means", "x g boost"."""
        written = self._lexicon.written.get(joined)
        if written is None:
            return ""
        if joined in self._lexicon.short:
            lone = [word for word in low if len(word) == 1]
            if len(joined) < 3:
                return written if joined in self._spelled and not {"a", "i"} & set(low) and len(lone) == len(low) else ""
            return written if lone or len(joined) >= 7 or any(word not in self._english for word in low) else ""
        apart = self._lexicon.pairs.get((low[0], low[1]), 0) * 2 > self._lexicon.words.get(joined, 0)
        return "" if apart or low[-1] in PARTICLES else written

    def _letters(self, low: list[str]) -> str:
        """A term whose letters were written as words: "a you see", "ex gee boost", "pea value"."""
        odd = [word for word in low if word not in PLAIN and (word in LETTERS or len(word) == 1)]
        if not odd and tuple(low) not in SURE:
            return ""
        readings = [{word, LETTERS[word]} if word in LETTERS else {word} for word in low]
        for letters in product(*readings):
            term = "".join(letters)
            if term in self._spelled and term != "".join(low) and (len(term) > 2 or len(odd) == len(low) or term[-1].isdigit()):
                return self._lexicon.written[term]
        return ""

    def _coined(self, low: list[str], joined: str) -> str:
        """A coined word that was heard as several: "soft macs", "pie torch"."""
        if len(low) > 3 or len(joined) < 7 or not joined.isalpha() or all(word in self._lexicon.words for word in low):
            return ""
        heard = sound(joined)
        for term in self._sounds.get(heard, ()):
            if len(heard) >= 4 and ratio(term, joined) >= SAME and pole(term) == pole(joined):
                return self._lexicon.written[term]
        return ""


def sound(letters: str) -> str:
    """How a word sounds, by Lawrence Philips's Metaphone (1990)."""
    from jellyfish import metaphone

    return metaphone(letters)


def pole(word: str) -> str:
    return next((start for start in sorted(POLES, key=len, reverse=True) if word.startswith(start) and len(word) > len(start) + 2), "")


def mending(texts: Iterable[str], english: Set[str]) -> Mending:
    from bot.speech.lexicon import lexicon

    return Mending(lexicon(texts, english), english)


def _doubles(letters: str) -> str:
    return re.sub(r"(.)\1", r"\1", letters)


def _as(heard: str, meant: str) -> str:
    """With the capital that the word it stands for had at the beginning of a sentence."""
    return meant[:1].upper() + meant[1:] if heard[:1].isupper() and heard[1:].islower() and meant.islower() else meant
