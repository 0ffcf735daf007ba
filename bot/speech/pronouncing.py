"""How words are pronounced that no dictionary has: abbreviations, British spellings, compounds, and the rest by letters.

Sounds are written as in the CMU Pronouncing Dictionary, without stress. A wrong guess costs a recogniser one word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set

LETTERS = {
    "a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY", "h": "EY CH", "i": "AY", "j": "JH EY",
    "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "o": "OW", "p": "P IY", "q": "K Y UW", "r": "AA R", "s": "EH S", "t": "T IY",
    "u": "Y UW", "v": "V IY", "w": "D AH B AH L Y UW", "x": "EH K S", "y": "W AY", "z": "Z IY",
}  # fmt: skip

RESPELLED = {
    "adagrad": "ada grad", "adamw": "adam w", "argmax": "arg max", "argmin": "arg min", "autoencoder": "auto in coder",
    "backprop": "back prop", "bert": "burt", "catboost": "cat boost", "config": "con fig", "cosine": "co sign", "dbscan": "d b scan",
    "dropout": "drop out", "encoder": "in coder", "decoder": "d coder", "eval": "e val", "eps": "epsilon", "exp": "e to the power of",
    "gb": "gigabytes", "gini": "genie", "groupkfold": "group k fold", "hdbscan": "h d b scan", "iqr": "i q r", "json": "jason",
    "kb": "kilobytes", "kmeans": "k means", "lightgbm": "light g b m", "logit": "low jit", "logits": "low jits", "lora": "laura",
    "mb": "megabytes", "minmaxscaler": "min max scale her", "mlflow": "m l flow", "mlops": "m l ops", "numpy": "num pie",
    "pytorch": "pie torch", "qlora": "q laura", "relu": "ray lou", "scikit": "sigh kit", "sklearn": "s k learn", "smote": "smoat",
    "sne": "s n e", "softmax": "soft max", "sqrt": "square root", "tanh": "tan h", "tflop": "terra flop", "umap": "you map",
    "xgboost": "x g boost", "yhat": "y hat", "shap": "shape", "covariate": "co variate", "covariates": "co variates",
}  # fmt: skip
"""Words of the subject as they are said, in words that a dictionary or a letter has."""

PREFIXES = {
    "over": "OW V ER", "under": "AH N D ER", "hyper": "HH AY P ER", "multi": "M AH L T IY", "auto": "AO T OW", "inter": "IH N T ER",
    "super": "S UW P ER", "counter": "K AW N T ER", "pseudo": "S UW D OW", "mini": "M IH N IY", "meta": "M EH T AH",
    "micro": "M AY K R OW", "macro": "M AE K R OW", "cross": "K R AO S", "back": "B AE K", "semi": "S EH M IY", "anti": "AE N T IY",
    "non": "N AA N", "pre": "P R IY", "post": "P OW S T", "sub": "S AH B", "dis": "D IH S", "mis": "M IH S", "un": "AH N", "re": "R IY",
    "de": "D IY", "co": "K OW", "in": "IH N", "up": "AH P", "down": "D AW N", "out": "AW T", "hetero": "HH EH T ER OW",
    "homo": "HH OW M OW", "equi": "IY K W IH",
}  # fmt: skip
SUFFIXES = {
    "ability": "AH B IH L AH T IY", "ably": "AH B L IY", "able": "AH B AH L", "ings": "IH NG Z", "ing": "IH NG", "ness": "N AH S",
    "less": "L AH S", "ment": "M AH N T", "ments": "M AH N T S", "ised": "AY Z D", "ises": "AY Z AH Z", "ising": "AY Z IH NG",
    "iser": "AY Z ER", "isation": "AH Z EY SH AH N", "isations": "AH Z EY SH AH N Z", "ise": "AY Z", "ized": "AY Z D",
    "izes": "AY Z AH Z", "izing": "AY Z IH NG", "izer": "AY Z ER", "ization": "AH Z EY SH AH N", "ize": "AY Z", "ers": "ER Z",
    "er": "ER", "or": "ER", "ors": "ER Z", "ity": "AH T IY", "ively": "IH V L IY", "ive": "IH V", "ally": "AH L IY", "al": "AH L",
    "ly": "L IY", "y": "IY", "ic": "IH K", "ed": "D", "es": "AH Z", "s": "S", "'s": "S",
}  # fmt: skip
"""Endings with their sounds, longest first when they are tried."""

RULES = (
    ("tion", "SH AH N"), ("sion", "ZH AH N"), ("ough", "AH F"), ("eigh", "EY"), ("augh", "AO"), ("tch", "CH"), ("dge", "JH"),
    ("igh", "AY"), ("sch", "SH"), ("ch", "CH"), ("sh", "SH"), ("th", "TH"), ("ph", "F"), ("wh", "W"), ("qu", "K W"), ("ck", "K"),
    ("ng", "NG"), ("gh", ""), ("kn", "N"), ("wr", "R"), ("ee", "IY"), ("ea", "IY"), ("oo", "UW"), ("ou", "AW"), ("ow", "OW"),
    ("oi", "OY"), ("oy", "OY"), ("ai", "EY"), ("ay", "EY"), ("au", "AO"), ("aw", "AO"), ("ei", "AY"), ("ie", "IY"), ("eu", "Y UW"),
    ("ew", "Y UW"), ("oa", "OW"), ("ue", "UW"), ("ar", "AA R"), ("er", "ER"), ("ir", "ER"), ("or", "AO R"), ("ur", "ER"),
    ("ce", "S EH"), ("ci", "S IH"), ("cy", "S IY"), ("ge", "JH EH"), ("gi", "JH IH"), ("sc", "S K"), ("bb", "B"), ("cc", "K"),
    ("dd", "D"), ("ff", "F"), ("gg", "G"), ("ll", "L"), ("mm", "M"), ("nn", "N"), ("pp", "P"), ("rr", "R"), ("ss", "S"), ("tt", "T"),
    ("zz", "Z"), ("a", "AE"), ("b", "B"), ("c", "K"), ("d", "D"), ("e", "EH"), ("f", "F"), ("g", "G"), ("h", "HH"), ("i", "IH"),
    ("j", "JH"), ("k", "K"), ("l", "L"), ("m", "M"), ("n", "N"), ("o", "AA"), ("p", "P"), ("q", "K"), ("r", "R"), ("s", "S"),
    ("t", "T"), ("u", "AH"), ("v", "V"), ("w", "W"), ("x", "K S"), ("y", "IY"), ("z", "Z"),
)  # fmt: skip
"""Letters with their commonest sound in English, longer rows first."""

HARD = frozenset({"P", "T", "K", "F", "TH"})
HISSING = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})

Sounds = tuple[str, ...]


class Pronouncing:
    """Pronunciations of words, from a dictionary and by guesses from it."""

    def __init__(self, known: Mapping[str, Sounds], spelled: Set[str] = frozenset()) -> None:
        """known: words in lower case with each of their pronunciations ("EY B"). spelled: abbreviations, which are said letter by
        letter, as well as in the way that `known` has."""
        self._known = known
        self._spelled = spelled

    def __call__(self, word: str) -> Sounds:
        """The ways in which `word` (lower case) is said, the likeliest first; () where there is nothing to say."""
        if word in RESPELLED:
            return (self._row(RESPELLED[word].split()),)
        known = self._known.get(word, ())
        plain = word.removesuffix("'s")
        if plain in self._spelled or plain.removesuffix("s") in self._spelled:
            stem = plain if plain in self._spelled else plain.removesuffix("s")
            letters = " ".join(LETTERS[letter] for letter in stem if letter in LETTERS)
            return (*known, letters if stem == word else _ended(letters, "s"))
        return known or tuple(filter(None, [self._guess(word, 3)]))

    def _row(self, words: Iterable[str]) -> str:
        return " ".join(LETTERS.get(word) or (self._known.get(word) or (self._guess(word, 2),))[0] for word in words)

    def _guess(self, word: str, deep: int) -> str:
        """One pronunciation of an unknown word: by another spelling, in two words, by its ending, else by its letters."""
        if not deep:
            return _letters(word)
        return self._british(word) or self._ending(word, deep) or self._two(word) or _letters(word)

    def _british(self, word: str) -> str:
        for ours, theirs in (
            ("isation", "ization"),
            ("is", "iz"),
            ("ys", "yz"),
            ("our", "or"),
            ("ll", "l"),
            ("tre", "ter"),
            ("ogue", "og"),
            ("ae", "e"),
        ):
            if ours in word:
                at = word.rindex(ours)
                found = self._known.get(word[:at] + theirs + word[at + len(ours) :])
                if found:
                    return found[0]
        return ""

    def _two(self, word: str) -> str:
        for prefix, said in PREFIXES.items():
            rest = word.removeprefix(prefix)
            if rest != word and len(rest) >= 3 and rest in self._known:
                return f"{said} {self._known[rest][0]}"
        for at in sorted(range(4, len(word) - 1), key=lambda at: abs(at - len(word) / 2)):
            if word[:at] in self._known and word[at:] in self._known:
                return f"{self._known[word[:at]][0]} {self._known[word[at:]][0]}"
        return ""

    def _ending(self, word: str, deep: int) -> str:
        for suffix in sorted(SUFFIXES, key=len, reverse=True):
            stem = word.removesuffix(suffix)
            if stem == word or len(stem) < 3:
                continue
            for whole in (stem, stem + "e", stem[:-1] if stem[-1] == stem[-2] else "", stem[:-1] + "y" if stem[-1] == "i" else ""):
                found = self._known.get(whole) or ((said,) if whole and (said := self._british(whole) or self._two(whole)) else ())
                if found:
                    return _ended(found[0], suffix)
        for suffix in ("'s", "s", "ed", "ing"):
            stem = word.removesuffix(suffix)
            if stem != word and len(stem) >= 4:
                return _ended(self._guess(stem, deep - 1), suffix)
        return ""


def _ended(said: str, suffix: str) -> str:
    last = said.split()[-1] if said else ""
    if suffix in ("s", "'s", "es"):
        return f"{said} {'AH Z' if last in HISSING else 'S' if last in HARD else 'Z'}"
    if suffix == "ed":
        return f"{said} {'AH D' if last in ('T', 'D') else 'T' if last in HARD | HISSING - {'Z', 'ZH', 'JH'} else 'D'}"
    return f"{said} {SUFFIXES[suffix]}"


def _letters(word: str) -> str:
    if len(word) < 2 or not re.search("[aeiouy]", word):
        return " ".join(LETTERS[letter] for letter in word if letter in LETTERS)
    said: list[str] = []
    word = re.sub(r"(?<=[^aeiou][aeiouy][^aeiou])e$", "", word.replace("'", ""))
    while word:
        letters, sounds = next(((letters, sounds) for letters, sounds in RULES if word.startswith(letters)), (word[0], ""))
        said += sounds.split()
        word = word[len(letters) :]
    return " ".join(said)
