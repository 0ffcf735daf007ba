"""Plain algebra as people type it: read by a small grammar, and compared as algebra.

Nothing is ever evaluated as code: a text goes through a tokenizer that knows names, numbers and a few signs, and what it makes is
put together from sympy's own parts. Size, depth and exponents are bounded, so that no reply can cost more than some
milliseconds. sympy is imported when a formula is first compared.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

Tree = tuple[Any, ...]
"""("num", value) | ("name", name) | ("call", name, tree) | (one of "+-*/^", tree, tree)"""

LONGEST = 60
"""Tokens of the longest formula that is read."""

DEEPEST = 12
"""Brackets within brackets."""

HIGHEST = 30
"""The largest whole exponent that is taken as a number; a larger one is compared by values alone."""

_SIGNS = str.maketrans({"×": "*", "·": "*", "∙": "*", "⋅": "*", "÷": "/", "−": "-", "–": "-", "[": "(", "]": ")", "{": "(", "}": ")"})
_WRITTEN = (
    ("²", "^2"), ("³", "^3"), ("⁻¹", "^-1"), ("**", "^"), ("√", "sqrt "),
    ("ŷ", "yhat"), ("y_hat", "yhat"), ("y_pred", "yhat"), ("Σ", "sum "),
    ("∑", "sum "), ("σ", "sigma"), ("μ", "mu"), ("β", "beta"), ("λ", "lambda"), ("ρ", "rho"), ("π", "pi"),
)  # fmt: skip
_EXPECTED = re.compile(r"\bE\[")
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)(\s?%)?|([a-z][a-z0-9_']*)|([-+*/^()|]))")
_FUNCTIONS = frozenset(("sqrt", "exp", "log", "ln", "sum", "mean", "abs", "var", "sd", "std", "min", "max"))
_ALONE = frozenset(("mean", "sd", "std", "min", "max", "var"))
"""Names that are functions only where a bracket follows at once."""


class NoFormulaError(ValueError):
    """The text is no formula that this grammar knows, or too large a one."""


def written(text: str) -> str:
    """`text` with the signs of mathematics as they are typed, in lower case; not of the same length."""
    for sign, plain in _WRITTEN:
        text = text.replace(sign, plain)
    return _EXPECTED.sub("mean(", text).translate(_SIGNS).lower()


@lru_cache(maxsize=4096)
def parse(text: str) -> Tree:
    """The tree of a formula. Raises NoFormulaError."""
    tokens: list[str | float] = []
    at, text = 0, written(text).strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or len(tokens) >= LONGEST:
            raise NoFormulaError(text)
        number, percent, name, sign = match.groups()
        if number is not None:
            if len(number) > 15:
                raise NoFormulaError(text)
            tokens.append(float(number) / (100.0 if percent else 1.0))
        else:
            tokens.append(name or sign)
        at = match.end()
        while at < len(text) and text[at].isspace():
            at += 1
    reader = _Reader(tokens)
    made = reader.sum(0)
    if reader.at < len(tokens):
        raise NoFormulaError(text)
    return made


class _Reader:
    """Recursive descent: sums of products of powers; two operands side by side are a product."""

    def __init__(self, tokens: list[str | float]) -> None:
        self.tokens = tokens
        self.at = 0

    def _next(self) -> str | float | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def _taken(self) -> str | float:
        self.at += 1
        return self.tokens[self.at - 1]

    def sum(self, depth: int) -> Tree:
        if depth > DEEPEST:
            raise NoFormulaError("too deep")
        made = self.product(depth)
        while self._next() in ("+", "-"):
            made = (self._taken(), made, self.product(depth))
        return made

    def product(self, depth: int) -> Tree:
        made = self.power(depth)
        while True:
            sign = self._next()
            if sign in ("*", "/"):
                made = (self._taken(), made, self.power(depth))
            elif isinstance(sign, float) or sign == "(" or (isinstance(sign, str) and sign[:1].isalpha()):
                made = ("*", made, self.power(depth))
            else:
                return made

    def power(self, depth: int) -> Tree:
        if self._next() == "-":
            self.at += 1
            return ("*", ("num", -1.0), self.power(depth + 1))
        made = self.operand(depth)
        if self._next() == "^":
            self.at += 1
            power = self.power(depth + 1)
            return ("call", "exp", power) if made == ("name", "e") else ("^", made, power)
        return made

    def operand(self, depth: int) -> Tree:
        if depth > DEEPEST or self._next() is None:
            raise NoFormulaError("ends too soon")
        part = self._taken()
        if isinstance(part, float):
            return ("num", part)
        if part == "(":
            made = self.sum(depth + 1)
            if self._next() != ")":
                raise NoFormulaError("a bracket is open")
            self.at += 1
            return made
        if part == "|":
            made = self.sum(depth + 1)
            if self._next() != "|":
                raise NoFormulaError("a bar is open")
            self.at += 1
            return ("call", "abs", made)
        if not part[:1].isalpha():
            raise NoFormulaError(part)
        if part in _FUNCTIONS and (self._next() == "(" or part not in _ALONE) and self._next() is not None:
            return ("call", "log" if part == "ln" else part, self.power(depth + 1))
        return ("name", part)


def names(tree: Tree) -> frozenset[str]:
    """The names of variables in a tree."""
    if tree[0] == "name":
        return frozenset((tree[1],))
    return frozenset().union(*(names(part) for part in tree[1:] if isinstance(part, tuple)))


def numbers(tree: Tree) -> tuple[float, ...]:
    """The numbers in a tree, in order of size."""
    if tree[0] == "num":
        return (tree[1],)
    return tuple(sorted(number for part in tree[1:] if isinstance(part, tuple) for number in numbers(part)))


def signs(tree: Tree) -> int:
    """How many operations a tree has."""
    return (tree[0] in "+-*/^" or tree[0] == "call") + sum(signs(part) for part in tree[1:] if isinstance(part, tuple))


def renamed(tree: Tree, new: Mapping[str, str]) -> Tree:
    """The tree with other names."""
    if tree[0] == "name":
        return ("name", new.get(tree[1], tree[1]))
    return tuple(renamed(part, new) if isinstance(part, tuple) else part for part in tree)


def parted(tree: Tree, known: frozenset[str]) -> Tree:
    """The tree with names such as "pr" read as products where each letter is a known name and the whole is none."""
    if tree[0] == "name" and tree[1] not in known and 1 < len(tree[1]) <= 3 and all(letter in known for letter in tree[1]):
        made: Tree = ("name", tree[1][0])
        for letter in tree[1][1:]:
            made = ("*", made, ("name", letter))
        return made
    return tuple(parted(part, known) if isinstance(part, tuple) else part for part in tree)


def value(tree: Tree, of: Mapping[str, float]) -> float:
    """What a tree comes to; nan where it comes to nothing. sum, mean and the like are taken as functions of some kind."""
    kind = tree[0]
    if kind == "num":
        return float(tree[1])
    if kind == "name":
        return of.get(tree[1], math.nan)
    parts = [value(part, of) for part in tree[1:] if isinstance(part, tuple)]
    try:
        if kind == "call":
            return _called(tree[1], parts[0])
        one, two = parts
        if kind == "^":
            return float(one**two) if abs(two) <= 1000 and (one >= 0 or two == int(two)) else math.nan
        return {"+": one + two, "-": one - two, "*": one * two}[kind] if kind != "/" else one / two
    except (ArithmeticError, ValueError, TypeError):
        return math.nan


def _called(name: str, x: float) -> float:
    if name in ("sqrt", "exp", "log"):
        return float(getattr(math, name)(x))
    if name == "abs":
        return abs(x)
    if name == "sum":  # linear, as a sum is
        return 7.0 * x
    return x * 1.7 + len(name)


def same(one: Tree, other: Tree) -> bool:
    """Whether two trees are equal as algebra: at three fixed places first, then, where they are, for sure by sympy."""
    known = sorted(names(one) | names(other))
    for turn in (0.37, 0.59, 0.83):
        of = {name: 0.2 + ((place + 1) * turn * 1.618) % 3.0 for place, name in enumerate(known)}
        a, b = value(one, of), value(other, of)
        if math.isnan(a) != math.isnan(b) or (not math.isnan(a) and not math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)):
            return False
    if one == other or not known:  # of numbers alone the value is all
        return True
    if any(abs(number) > HIGHEST for tree in (one, other) for number in _exponents(tree)) or max(signs(one), signs(other)) > 24:
        return True
    try:
        import sympy
    except ImportError:  # the extra is not installed: equal at three places is what can be said
        return True
    try:
        left = sympy.cancel(sympy.together(_symbolic(one, sympy) - _symbolic(other, sympy)))
    except (sympy.PolynomialError, ArithmeticError, ValueError, TypeError, RecursionError):
        return True
    # Of roots, powers and the like sympy may keep a rest that is zero; of a quotient of polynomials it never does.
    return bool(left == 0) or not left.is_rational_function()


def _exponents(tree: Tree) -> tuple[float, ...]:
    own = numbers(tree[2]) if tree[0] == "^" else ()
    return own + tuple(number for part in tree[1:] if isinstance(part, tuple) for number in _exponents(part))


def _symbolic(tree: Tree, sympy: Any) -> Any:
    kind = tree[0]
    if kind == "num":
        return sympy.Rational(str(tree[1])) if tree[1] != int(tree[1]) else sympy.Integer(int(tree[1]))
    if kind == "name":
        return sympy.Symbol(tree[1], positive=True)
    parts = [_symbolic(part, sympy) for part in tree[1:] if isinstance(part, tuple)]
    if kind == "call":
        own = {"sqrt": sympy.sqrt, "exp": sympy.exp, "log": sympy.log, "abs": sympy.Abs}.get(tree[1])
        if own is not None:
            return own(parts[0])
        if tree[1] == "sum":  # factors that stand before a sum are compared by value only
            return 7 * parts[0]
        return sympy.Function(tree[1])(parts[0])
    one, two = parts
    if kind == "^":
        return one**two
    return one + two if kind == "+" else one - two if kind == "-" else one * two if kind == "*" else one / two
