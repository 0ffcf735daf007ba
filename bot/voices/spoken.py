"""How a person reads a text aloud: formulas, code and signs as words, never letter by letter."""

from __future__ import annotations

import re
from collections.abc import Callable

CODE = "There is code in the text."
"""What is said instead of a block of code."""

THE_CODE = "the code in the text"
"""What is said instead of code within a sentence that nobody would read aloud."""

LONGEST_CODE = 70
"""Characters of code within a sentence that are still read."""

SIGNS = {
    "≤": " <= ", "≥": " >= ", "≠": " != ", "≈": " ~ ", "→": " -> ", "×": " * ", "·": " * ", "⋅": " * ", "−": "-", "–": "-",
    "±": " plus or minus ", "²": "^2", "³": "^3", "√": "sqrt ",
    "∑": " the sum of ", "∞": " infinity ", "∂": " partial ", "∇": " the gradient of ", "∈": " in ",
    "½": "1/2", "…": " ", "’": "'", "‘": "'", "“": '"', "”": '"', "°": " degrees ", "€": " euros ", "&": " and ",
}  # fmt: skip

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta", "κ": "kappa",
    "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma",
    "τ": "tau", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
    "Δ": "delta", "Σ": "the sum of", "Π": "the product of", "Φ": "phi", "Ω": "omega", "Θ": "theta", "Λ": "lambda",
}  # fmt: skip

FUNCTIONS = {
    "sqrt": "the square root of", "log": "log of", "ln": "the natural log of", "log2": "log base two of", "log10": "log base ten of",
    "log1p": "log of one plus", "exp": "e to the power", "sum": "the sum of", "mean": "the mean of", "max": "the maximum of",
    "min": "the minimum of", "argmax": "the arg max of", "argmin": "the arg min of", "var": "the variance of",
    "abs": "the absolute value of", "median": "the median of",
    "P": "the probability of", "E": "the expected value of", "Var": "the variance of", "O": "order",
    "count": "count of", "std": "the standard deviation of", "logit": "the logit of", "sigmoid": "the sigmoid of",
}  # fmt: skip

SIZES = {
    "GB": "gigabytes", "MB": "megabytes", "kB": "kilobytes", "KB": "kilobytes", "TB": "terabytes", "Mbit": "megabits", "Gbit": "gigabits",
    "TFLOP": "teraflops", "GFLOP": "gigaflops", "ms": "milliseconds", "ns": "nanoseconds", "GHz": "gigahertz", "kWh": "kilowatt hours",
}  # fmt: skip
UNITS = {"s": "second", "sec": "second", "min": "minute", "h": "hour", "hour": "hour", "day": "day", "month": "month"}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
POWERS = {"2": " squared", "3": " cubed", "T": " transpose", "-1": " inverse"}
RELATIONS = {
    "<=": "is less than or equal to", ">=": "is greater than or equal to", "!=": "is not equal to", "==": "equals", "=": "equals",
    "<<": "is much less than", ">>": "is much greater than", "<": "is less than", ">": "is greater than", "->": "to", "=>": "implies",
    "+": "plus", "*": "times", "/": "over", "~": "about",
}  # fmt: skip

# Brackets of prose that stay, while formulas lose theirs.
OPEN, CLOSE = "\ue000", "\ue001"

_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_INLINE = re.compile(r"`([^`\n]*)`")
_GREEK = re.compile(f"[{''.join(GREEK)}]")
_BESIDE_GREEK = re.compile(f"(?<=[\\w])(?=[{''.join(GREEK)}])|(?<=[{''.join(GREEK)}])(?=[^\\W\\d])")
_MINUS = re.compile(r"(?<=(.)) - (?=(\S+))")
_EXPONENT = re.compile(r"\^\(([^()]*)\)")
_GROUP = re.compile(r"(?P<name>[^\W\d][\w.]*|\|)?(?P<gap> ?)[(\[](?P<inner>[^()\[\]]*)[)\]](?P<power>\^(?:-?\w+|\ue000[^\ue001]*\ue001))?")
_OPERATOR = re.compile(r"[=<>+*/^|~]|(?<=[\s\d])-(?=[\s\d])|\b(?:plus|minus|times|over|squared|given|equals)\b")
_OPERAND = r"(?:\d[\d.,]*%?|[A-Za-z](?:_\w+)?\d?|[A-Z]{2,4}|[a-z]\w*_\w+)"


def spoken(text: str) -> str:
    """What is said aloud for a pack's text. Pure, and the same for the same text."""
    text = _FENCE.sub(f" {CODE} ", text).replace("**", "")
    text = _INLINE.sub(lambda match: _code(match.group(1)), text)
    for sign, instead in SIGNS.items():
        text = text.replace(sign, instead)
    text = _GREEK.sub(lambda match: GREEK[match.group(0)], _BESIDE_GREEK.sub(" ", text))
    text = re.sub(r"https?://\S+", "a link", text)
    text = re.sub(r"\be\.g\.,?", "for example", text)
    text = re.sub(r"\bi\.e\.,?", "that is", text)
    text = re.sub(r"\bvs\.?(?=\s)", "versus", text)
    text = _bars(text)
    text = _MINUS.sub(_minus, text)
    text = re.sub(r"(\^-?\w+|\))/(?=\w)|(?<=\w)/(?=\()", lambda match: f"{match.group(1) or ''} / ", text)
    text = re.sub(r"(?<= )(on|in|to|within) \[([-+\d.]+), ?([-+\d.]+)\]", r"between \2 and \3", text)
    while True:
        opened = _GROUP.sub(_group, _EXPONENT.sub(lambda match: f"^{OPEN}{_flat(match.group(1))}{CLOSE}", text))
        if opened == text:
            break
        text = opened
    text = _flat(text)
    text = text.replace(OPEN, "(").replace(CLOSE, ")")
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\s+([,.;:?!)])", r"\1", text)
    text = re.sub(r",(?:\s*,)+", ",", text)
    return re.sub(r",([.;:?!])", r"\1", text).strip(" ,")


def _code(code: str) -> str:
    """Code within a sentence: names as words; what is longer than anybody reads is only mentioned."""
    if len(code) > LONGEST_CODE or "://" in code:
        return THE_CODE
    code = re.sub(r"\(\s*\*\s*\)", " star", code)
    code = re.sub(r"(?<=\w)\(\s*\)", "", code)
    # A table and its columns.
    code = re.sub(r"^(\w+)\(([a-z_]+(?:, ?[a-z_]+)+)\)$", r"\1 with \2", code)
    return code.replace("'", "").replace('"', "")


def _bars(text: str) -> str:
    """Norms and absolute values, and what is given."""
    text = re.sub(r"\|\|([^|]+)\|\|(\^2)?", lambda match: f"the norm of {match.group(1)}" + (", squared," if match.group(2) else ""), text)
    text = re.sub(r"(?<![\w|])\|(?! )([^|\n]{1,40}?)(?<! )\|(?![\w|])", r"the absolute value of \1", text)
    return re.sub(r" ?\|(?!\|) ?", " given ", text)


def _minus(match: re.Match[str]) -> str:
    """A dash between two words of prose is a pause; anywhere else it takes away."""
    before = re.split(r"[\s(\[]", match.string[: match.start()])[-1]
    after = match.group(2).rstrip(".,;:?!)]")
    prose = all(re.fullmatch(r"[^\W\d_]{2,}[.,;:]?", word) and not word.isupper() for word in (before, after))
    return ", " if prose else " minus "


def _group(match: re.Match[str]) -> str:
    """One pair of brackets that holds no others, with what stands before and after it."""
    name, gap, inner, power = match.group("name") or "", match.group("gap"), match.group("inner"), match.group("power") or ""
    after = match.string[match.end() : match.end() + 7]
    before = match.string[: match.start()].rstrip()[-1:] if not name else ""
    square = match.group(0)[len(name + gap)] == "["
    tail = _power(power)
    if name and not gap and inner == "s":  # word(s)
        return f"{name}s{tail}"
    if name and not gap:
        goes_on = _pause(after) if _OPERATOR.search(inner) else ""
        return f"{_called(name, inner, square)}{',' if tail else ''}{tail}{goes_on}"
    lead = f"{name}{gap}"
    if inner.strip() in ("", "..."):
        return lead
    if gap and name in ("minus", "plus", "times", "over", "equals") and _OPERATOR.search(inner):
        stops = "," if name == "minus" else ""
        return f"{name}{stops} {_flat(inner)}{',' if tail else ''}{tail}{_pause(after)}"
    pair = re.fullmatch(r"\s*([-+]?[\d.]+),\s*([-+]?[\d.]+)\s*", inner)
    if square and pair:
        return f"{lead} from {_flat(pair.group(1))} to {_flat(pair.group(2))}{tail}"
    single = re.fullmatch(r"[A-Za-z]|[A-Za-z]_\w+|\d+", name) is not None and (gap == "" or name not in ("a", "A", "I"))
    mathy = bool(_OPERATOR.search(inner)) or re.fullmatch(rf"\s*-?{_OPERAND}\s*", inner) is not None
    if power or (mathy and (before in ("=", "+", "*", "/", "-", "^") or re.match(r"\s?[=+*/<>^]|\sminus\b", after) is not None)):
        return f"{lead}{_flat(inner)}{',' if tail else ''}{tail}{_pause(after)}"
    if single and mathy and gap:
        return f"{name} times {_flat(inner)}{_pause(after)}"
    return f"{lead}{OPEN}{_flat(inner)}{CLOSE}{tail}"


def _called(name: str, inner: str, square: bool) -> str:
    """A function of something, or one thing times another that is in brackets."""
    said = _flat(inner.replace("...", ""))
    short = name.rpartition(".")[2]
    known = FUNCTIONS.get(short) or FUNCTIONS.get(short.lower() if len(short) > 1 else short)
    if not said.strip():
        return _flat(name)
    if short.upper() == short and said.strip() == "*":
        return f"{short.lower()} star"
    if known:
        return f"{known} {said.strip()}"
    if square:
        return f"{_flat(name)} {said.strip()}"
    if re.fullmatch(r"[a-z]", name) and re.match(r"\s*1\s*[-+]", inner):  # p(1 - p)
        return f"{name} times {said.strip()}"
    listed = re.sub(r",\s*([^,]+)$", r" and \1", said.strip())
    return f"{_flat(name)} of {listed}"


def _pause(after: str) -> str:
    """A comma where what was in brackets is over and the formula goes on."""
    return "," if re.match(r"\s?[=*/<>]|\sminus\b|\s\+\s|\^", after) else ""


def _power(power: str) -> str:
    if not power:
        return ""
    plain = power[1:].strip(OPEN + CLOSE).strip()
    return POWERS.get(plain, f" to the power {_flat(plain)}")


def _flat(text: str) -> str:
    """A text without brackets to open: powers, subscripts, operators, fractions and numbers."""
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text


def _rule(pattern: str, instead: str | Callable[[re.Match[str]], str]) -> tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]:
    return re.compile(pattern), instead


def _scientific(match: re.Match[str]) -> str:
    digits, exponent = match.group(1), match.group(2).lstrip("+")
    lead = "" if digits == "1" else f"{digits} times "
    return f"{lead}ten to the {exponent.replace('-', 'minus ')}"


def _raised(match: re.Match[str]) -> str:
    base, power = match.group(1), match.group(2).strip(OPEN + CLOSE).strip()
    if power in POWERS and not (power == "-1" and base.isdigit()):
        return f"{base}{POWERS[power]}"
    return f"{base} to the power {power.replace('-', 'minus ')}{',' if ' ' in power else ''}"


def _number(match: re.Match[str]) -> str:
    value = int(match.group(0))
    return NUMBERS[value] if value < len(NUMBERS) else match.group(0)


def _slashed(match: re.Match[str]) -> str:
    left, right = match.group(1), match.group(2)
    if right.lower() in UNITS and not left.isdigit() and len(left) > 1:
        return f"{SIZES.get(left, left)} per {UNITS[right.lower()]}"
    if left.isdigit() and right.isdigit():
        return f"{left} {right}"
    if len(left) > 2 and len(right) > 2 and left.islower() and right.islower():
        return f"{left} or {right}"
    if (left.isdigit() and not right.isupper()) or (left.islower() and (right.islower() or right.isdigit()) and len(left + right) < 4):
        return f"{left} / {right}"
    return f"{left} {right}"


_BEFORE = r"(?=\s*(?:plus|minus|times|over|equals|is less|is greater|squared|to the power|is not)\b)"

_RULES = (
    _rule(r"\b(\d+(?:\.\d+)?)e([-+]?\d+)\b", _scientific),
    _rule(r"\b([A-HJ-Z])'(?=[A-Za-rt-z]\b)", r"\1 transpose "),
    _rule(r"\bsqrt (\w+)", r"the square root of \1"),
    _rule(r"\b10\^(-?\d+)", lambda match: f"ten to the {match.group(1).replace('-', 'minus ')}"),
    _rule(r"([\w.]+)\^(-?\w+|\ue000[^\ue001]*\ue001)", _raised),
    _rule(r"(?<=\w)@(?=\w)", " at "),
    _rule(r"\b(log)_(\d+)", r"\1 base \2"),
    _rule(r"\b([a-z]_|[fpxyz])(hat|bar)\b", lambda match: f"{match.group(1)[0]} {match.group(2)}"),
    _rule(r"\b([A-Za-z])_(\w+)", lambda match: f"{match.group(1)} sub {match.group(2).replace('_', ' ')}"),
    _rule(r"(?<=[A-Za-z0-9])_(?=[A-Za-z0-9])", " "),
    _rule(r"(?<=[A-Za-z0-9])\.(?=[a-z]+\b)", " dot "),
    _rule(r"\b([A-Za-z]+|\d+)/([A-Za-z]+|\d+)(?=/)", _slashed),
    _rule(r"(?<![/\d.])\b([A-Za-z]+|\d+)/([A-Za-z]+|\d+)\b(?![.]\d)", _slashed),
    _rule(r"(?<=\d)/(?=\d)", " "),
    _rule(r"(?<=\w)\s*(<=|>=|!=|==|<<|>>|->|=>)\s*(?=[-\w])", lambda match: f" {RELATIONS[match.group(1)]} "),
    _rule(r"(?<=[\w%,\ue001])(?: ([=<>+*/~]) |([=<>*+])(?=[\w.]))", lambda match: f" {RELATIONS[match.group(1) or match.group(2)]} "),
    _rule(r"(?:(?<=\s)|^)([=<>~]) ?(?=[-\d\w])", lambda match: f"{RELATIONS[match.group(1)]} "),
    _rule(r"(?<=[\w%]), ([*/+]) ", lambda match: f", {RELATIONS[match.group(1)]} "),
    _rule(rf"(?<=\d )(?:{'|'.join(SIZES)})\b", lambda match: SIZES[match.group(0)]),
    _rule(r"(?<![\w.-])(\d+|[a-z])-(?=[a-z](?![\w-]))", r"\1 minus "),
    _rule(r"(?<![\d-])(\d[\d.,]*)-(?=\d[\d.,]*(?!-|\d))", r"\1 to "),
    _rule(r"(?:(?<=[\s(\ue000\"'])|^)-(?=[\d.A-Za-z])", "minus "),
    _rule(r"(?:(?<=[\s(\ue000\"'])|^)\+(?=\d)", "plus "),
    _rule(r"(?<=\d)%", " percent"),
    _rule(r"(?<![\d.,])\b\d{1,2}\b(?![.,]?\d|%| percent)" + _BEFORE, _number),
    _rule(r"(?<=\b(?:plus|over|base) )\d{1,2}\b(?![.,]?\d|%| percent)", _number),
    _rule(r"(?<=\b(?:minus|times|power) )\d{1,2}\b(?![.,]?\d|%| percent)", _number),
    _rule(r"(?<=\bequals )\d{1,2}\b(?![.,]?\d|%| percent)", _number),
    _rule(r"(?<=\bpower minus )\d{1,2}\b(?![.,]?\d|%| percent)", _number),
)
