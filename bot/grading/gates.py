"""What a reply is as a whole, before any point is looked for: its language, and whether it says anything at all.

A gate only ever takes away what is no evidence (an instruction to the grader, a heap of keywords). None of them looks at a
rubric, so none can zero a reply for being terse, mistyped or foreign in style.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from bot.grading.reading import Window, stems, tokens

# The commonest function words of each language, chosen so that few of them are words of another.
_FUNCTION_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": """the of and to in is that it for was on are as with his they at be this have from or had by but what all were we when your
            can said there use an each which she do how their if will up other about out many then them these so some her would make
            like him into time has look two more go see no way could people my than been its who not you i a""",
        "de": """der die das und ist nicht ein eine einen einem einer mit von zu den dem des auf für wird werden sind auch als bei aus
            nach wenn man oder aber durch sich über kann ich wir sie es im zum zur dass wie mehr sehr nur noch""",
        "fr": """le la les des un une est et que qui dans pour pas sur avec plus par ce cette sont du au aux ne se il elle on nous vous ils
            mais ou où si leur leurs être avoir fait comme donc car chaque c'est""",
        "es": """el la los las un una es y que en de para por con no del al se su sus son como más pero lo este esta cuando muy sin sobre
            entre también cada ser hay porque si mediante""",
        "pt": """o a os as um uma é e que em de para por com não do da dos das se seu sua são como mais mas ao isso quando muito sem sobre
            entre também cada ser há porque você ou pelo pela""",
        "it": """il lo la i gli le un una è e che in di per con non del della dei delle si suo sua sono come più ma al alla questo questa
            quando molto senza su tra anche ogni essere perché cui dal nel nella""",
        "nl": """de het een en is dat van in voor niet met op te zijn aan er om ook als bij maar door wordt worden naar dan nog kan geen je
            wij zij dit die deze""",
        "pl": """i w na nie z że się do jest to jak po co dla od tym ale są przez jego jej być może które który także oraz czy lub""",
        "tr": """ve bir bu için ile de da çok daha ne gibi olan olarak sonra kadar ama veya her değil mi var yok""",
        "sv": """och att det som en på är av för med den till inte om ett har de jag vi kan men så eller från när var ska""",
        "id": """yang dan di dengan untuk dari adalah ini itu pada tidak dalam akan atau juga oleh ke karena data bisa lebih""",
        "ro": """și de la în cu pe pentru este nu sunt că din care mai o un se sau prin dar ca fi""",
        "cs": """a je v na se že to s z pro jako jsou ale do by nebo také být která který podle není""",
    }.items()
}

_ENGLISH_TOO = frozenset(("per", "plus", "also", "man", "var", "data"))
"""Function words elsewhere that English technical prose uses as well; with those of the English list they tell nothing."""

_ELSEWHERE: frozenset[str] = frozenset().union(*_FUNCTION_WORDS.values()) - _FUNCTION_WORDS["en"] - _ENGLISH_TOO
"""Words that speak for another language."""

_OTHER_SCRIPT = 0.3
"""From this share of letters outside the Latin alphabet on, a reply is not English (formulas use some Greek)."""

_GREEK = range(0x370, 0x400)
_SIGNS = re.compile(r"[=<>→()^:;≈±≥≤+*|]")

_JOINS = frozenset(("too", "few", "little", "less", "not", "never", "always", "only", "instead", "ones", "each", "per"))
"""Words that a sentence has and a heap of keywords lacks, beside the function words."""

JOINING = _FUNCTION_WORDS["en"] | _JOINS
"""All of those words of a sentence."""

# Who is spoken to decides, not the words alone: a subject may ignore rules, have a best score or be a system.
_ORDERS = re.compile(
    r"""\b(?:ignor|disregard|forget|overrid|bypass|skip)\w*\b.{0,40}\b(?:rubric|instructions?|guidelines
        |(?:system|grading|marking)\s+(?:prompts?|rules?|criteria)|(?:previous|prior|earlier|above|your|these)\s+(?:prompts?|rules?|criteria|messages?))\b
        (?!\s+(?:in|inside|within|from|embedded|hidden)\s+(?!(?:this|the)\s+(?:rubric|prompt)))
    |\b(?:ignore|disregard|forget)\s+(?:everything|anything|all)\s+(?:(?:that|which)\s+)?(?:(?:is|was|stands|came|written)\s+)?
        (?:above|before|previous(?:ly)?|prior|earlier)\b(?!\s+(?:the|a|an|this|that|it|its|each|some|we|you|\d))
    |(?<!reach\s)(?<!reaches\s)(?<!it's\s)(?<!still\s)\bfull\s+(?:marks|credit|score)\b(?!\s+despite\b)
    |\b(?:give|award|assign|grant|output|return|print|respond|reply|set|mark|grade|rate|score|record|enter|put)\b
        (?:\s+(?:with|as|out|down|please|simply|just|only))*
        (?:\s+(?:me|us|him|her|it|this|that|my|mine|the\s+(?:answer|reply|response|candidate|student|submission|author)|(?:answer|reply|response|submission)|a|an|the|of|to|at|with)){0,4}
        \s*["'{\[:=]*\s*(?:(?:maximum|max|top|highest|perfect|best)\s+(?:score|grade|marks?|points)\s*(?:$|[.!,;]|(?:please|for|to)\s+(?:me|us|this|my|the\s+(?:answer|reply|response|candidate)))
        |100\s*(?:/\s*100|%|out\s+of|points|percent|marks)|10\s*/\s*10|score\s*[:=]\s*\d+)
    |\b(?:give|award|grant)\s+(?:me|us|this\s+\w+|my\s+\w+)\s+(?:a\s+|an\s+|the\s+)?(?:maximum|max|top|highest|perfect|best|good|100|9\d)\b
    |\b(?:mark|grade|rate|score)\s+(?:me|us|(?:this|my)\s+(?:answer|reply|response|submission))\b
    |["'{,]\s*score["']?\s*:\s*["']?\d+(?![.\d])
    |^\W*(?:final\s+)?(?:score|grade|mark)\s*[:=]\s*\d{2,3}\s*(?:/\s*100|%|points)?\W*$
    |\b(?:score|grade|mark)\s*[:=]\s*\d{1,3}\s*/\s*10(?:0)?\b
    |\b(?:correct|right|true|final|proper)\s+(?:score|grade|mark)\s+(?:for|of)\s+(?:this|my|the)\s+(?:answer|reply|response|submission)\b
    |\b(?:dear|hello|hi|hey|attention|note\s+to|note\s+for)\b.{0,12}\b(?:grader|marker|evaluator|examiner|assessor|reviewer|interviewer|grading\s+(?:model|system|bot))\b
    |\byou\s+are\s+(?:now\s+)?(?:a|an|the)\s+(?:\w+\s+)?(?:grader|marker|evaluator|examiner|assessor|language\s+model|ai\s+model|assistant)\b
    |\bas\s+(?:a|an|the)\s+(?:grader|marker|evaluator|examiner|assessor|language\s+model|ai\s+model|assistant)\s*,?\s+(?:you|please|must)\b
    |\b(?:evaluation|grading|marking|developer|debug|admin|maintenance)[ -]override\b
    |\b(?:grading|marking|developer|debug|admin|maintenance)[ -]mode\b
    |^\W*(?:system|developer|admin(?:istrator)?)\s*(?:prompt|message|override|note|instructions?)\b[^:]{0,30}:
    |[\[<{(#]\s*(?:system|developer|admin(?:istrator)?)\s*(?:prompt|message|override|note)?\s*[\]>})]?\s*:
    |^\W*(?:system|developer|admin(?:istrator)?)\s*:\s*(?:you|ignore|disregard|output|return|award|give|grade|mark|please|(?:the|this)\s+(?:answer|reply|response|candidate|user|student|grader))\b
    |(?<!whether\s)(?<!if\s)\b(?:this|my)\s+(?:answer|reply|response|submission)\s+(?:is|was|has\s+been|covers|contains|fulfils|meets)\b
        .{0,50}\b(?:complete|correct|perfect|verified|all\s+(?:the\s+)?points|every\s+point|covered)
    |\bthe\s+(?:\w+\s+)?(?:answer|reply|response)\s+(?:above|below|covers|contains|fulfils|meets|(?:was|has\s+been)\s+(?:checked|verified|reviewed))\b
        .{0,60}\b(?:complete|correct|perfect|verified|checked|manually|examiner|rubric|all\s+(?:the\s+)?points|every\s+point)
    |\b(?:all|every|each)\s+(?:of\s+)?(?:the\s+)?(?:rubric\s+(?:points?|items?|lines?|criteri\w+)\b
        |points?\s+(?:(?:are|is|as)\s+)?(?:covered|met|satisfied|fulfilled)\b(?!\s+by))
    |\b(?:set|mark)\s+(?:all|every|each)\s+(?:the\s+)?(?:items?|points?|criteri\w+|verdicts?)\s+(?:as|to)\b
    |\b(?:do\s+not|don't|never)\s+(?:compare|check|grade|mark)\b.{0,30}\b(?:reference|model)\s+answer\b
    |["'](?:covered|verdicts?|missing|points|feedback)["']\s*:""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)  # fmt: skip


_HINTS = (
    *"""ignor disregard forget overrid bypass skip full 10 score grade mark point give award grant grad evaluator examiner assessor
    reviewer interviewer assistant debug maintenance system developer admin answer reply response submission rubric item criteri
    verdict covered missing feedback""".split(),  # noqa: SIM905
    "language model", "ai model", "rate me", "rate us",
)  # fmt: skip
"""One of them stands in whatever _ORDERS finds: to look for them first costs a hundredth."""


def language(text: str) -> str:
    """ "en", another language's two letters, "other" for another script, or "" where there is too little to tell."""
    letters = [ch for ch in text if ch.isalpha()]
    if not letters:
        return ""
    if not text.isascii():
        foreign = sum(1 for ch in letters if not _latin(ch) and ord(ch) not in _GREEK)
        greek = sum(1 for ch in letters if ord(ch) in _GREEK)
        if foreign / len(letters) > _OTHER_SCRIPT or greek / len(letters) > 0.6:
            return "other"
    found = [word for word in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text.lower().replace("\u2019", "'")) if len(word) > 1]
    if len(found) < 6:  # single letters are the names of variables
        return ""
    english = sum(word in _FUNCTION_WORDS["en"] for word in found) / len(found)
    best, best_share, best_known = "", 0.0, 0
    telling = [word for word in found if word in _ELSEWHERE]
    for name, known in _FUNCTION_WORDS.items() if telling else ():
        own = [word for word in telling if word in known]
        if name != "en" and len(own) / len(found) > best_share:
            share = sum(word in known for word in found) / len(found)
            best, best_share, best_known = name, share, len(set(own))
    if best_known >= 2 and best_share >= 0.18 and best_share > 1.8 * english:
        return best
    return "en" if english >= 0.1 else ""


@lru_cache(maxsize=4096)
def _latin(ch: str) -> bool:
    return "LATIN" in unicodedata.name(ch, "LATIN") or not ch.isalpha()


def orders(text: str) -> bool:
    """Whether a stretch of a reply speaks to the grader instead of answering."""
    low = " ".join(text.lower().split())
    return any(hint in low for hint in _HINTS) and _ORDERS.search(text) is not None


def heap(text: str) -> bool:
    """Whether a reply is keywords without sentences: twelve words or more, and hardly any word or sign that joins them. Terse
    experts join their terms with signs, brackets and colons; a heap joins them with nothing."""
    found = tokens(text)
    if sum(len(word) > 1 and word[0].isalpha() for word in found) < 12:  # signs, numbers and letters are no keywords
        return False
    joining = sum(word in _FUNCTION_WORDS["en"] or word in _JOINS for word in found) / len(found)
    signs = len(_SIGNS.findall(text)) / len(found)
    return joining < 0.04 and signs < 0.04


_PLEASANT = re.compile(
    r"""\b(?:thanks?|thank\s+you)\b.{0,60}\b(?:question|time|interview|opportunity|much)\b
    |\b(?:great|good|excellent|wonderful|nice|lovely|fantastic)\s+(?:question|interviewer|coach)\b
    |\byou(?:\s+are|'re)\s+(?:a|an|the|such\s+an?|really|so)\s+(?:\w+\s+)?(?:wonderful|great|kind|good|best|amazing|excellent|brilliant)\b
    |\bi\s+(?:really\s+)?(?:enjoyed|enjoy|loved|love)\b.{0,30}\b(?:question|thinking|interview|talking)\b""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_PLEASANT_HINTS = ("thank", "question", "interviewer", "coach", "you", "enjoy", "love")
"""One of them stands in whatever _PLEASANT finds."""

_ABOUT = re.compile(
    r"\b(?:ha(?:s|ve)|having|had)\s+(?:\w+\s+){0,2}to\s+do\s+with\b|\b(?:is|are|it's)\s+(?:all\s+|mostly\s+|basically\s+)?about\b"
    r"|\b(?:is|are)\s+(?:\w+\s+)?(?:related|connected|linked)\s+(?:to|with)\b|\b(?:comes?\s+down\s+to|depends?\s+on)\b",
    re.IGNORECASE,
)
_OF_EVERYTHING = frozenset(
    stems(
        """answer reason cause problem issue thing everything something matter question topic model data dataset algorithm method system
        approach technique training learning machine network feature value number result way case context situation things related connected
        linked depends comes down"""
    )
)
"""Words with which anything in this field may be spoken about."""

LEAST = 4
"""Words that carry meaning from which a stretch may be the question said back; where it asks, one is enough."""


def evidence(windows: list[Window], prompt: str = "") -> tuple[list[Window], bool]:
    """The windows that may be evidence, and whether some were instructions to the grader. Left out are those, pleasantries, a
    heap of keywords amid sentences, the question said back word for word, and that it is about something that the question names."""
    ordered = [window for window in windows if not orders(window.text)]
    back = _said_back(ordered, stems(prompt))
    asked = frozenset(stems(prompt))
    kept = [
        window
        for number, window in enumerate(ordered)
        if number not in back and not (_pleasant(window.text) or heap(window.text) or mentions(window.text, asked))
    ]
    if all(heap(window.text) for window in ordered):  # nothing but heaps: the whole is one, which has a note of its own
        kept = ordered
    return kept, len(ordered) < len(windows)


def _pleasant(text: str) -> bool:
    low = " ".join(text.lower().split())
    return any(hint in low for hint in _PLEASANT_HINTS) and _PLEASANT.search(text) is not None


def mentions(text: str, asked: frozenset[str]) -> bool:
    """Whether a stretch says no more than that the matter has to do with what the question names itself."""
    return _ABOUT.search(text) is not None and asked | _OF_EVERYTHING >= set(stems(text))


def _said_back(windows: list[Window], asked: tuple[str, ...]) -> set[int]:
    """The windows that are the question, word for word; beside such a one a short piece of it is too."""
    found = {number for number, window in enumerate(windows) if _within(window.text, asked, 1 if window.text.endswith("?") else LEAST)}
    for number in (*range(len(windows)), *reversed(range(len(windows)))):
        if found & {number - 1, number + 1} and _within(windows[number].text, asked, 1):
            found.add(number)
    return found


def _within(text: str, asked: tuple[str, ...], least: int) -> bool:
    """Whether the words of a stretch, at least `least`, stand so in the question, in a row."""
    said = stems(text)
    return len(said) >= least and any(asked[at : at + len(said)] == said for at in range(len(asked) - len(said) + 1))
