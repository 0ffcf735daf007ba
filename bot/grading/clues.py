"""Which clues a learner's words ask for: the words of a trigger, said near each other and not refused.

It uses the grader's own reading - its sentences, its stems - and forgives one slip of the pen in a word (rapidfuzz).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import lru_cache

from rapidfuzz.distance import OSA

from bot.content import Rubric
from bot.grading import arithmetic
from bot.grading.plain import PlainGrader
from bot.grading.reading import STOP, sentences, stem, stems
from bot.incidents import STAGES, Incident
from bot.model import Finding, Grade, Verdict

NEAR = 14
"""Words within which all that a trigger wants must be said."""

CLASSES = (
    "feature input column variable field predictor covariate signal attribute",
    "label target outcome annotation ground_truth truth y",
    "deploy deployment release rollout ship shipped launch version push pushed commit merge changelog",
    "log logs history record audit trail trace git",
    "compare compared comparing diff difference versus vs against contrast side_by_side replay recompute",
    "distribution histogram drift shift psi ks quantile percentile spread profile",
    "pipeline job etl dag ingestion airflow batch upstream feed",
    "latency slow slower p95 p99 response_time timeout delay speed",
    "cost bill spend spending invoice price budget expensive",
    "user customer client person people visitor account member",
    "segment slice cohort group subgroup breakdown region country device platform",
    "validation holdout hold-out held-out split fold cv cross-validation test_set backtest",
    "train training trained fit fitted",
    "production live serving serve online prod",
    "error mistake failure misprediction false_positive false_negative",
    "missing null nan empty na absent blank none",
    "duplicate duplicated repeated overlap same_rows",
    "metric score accuracy auc precision recall kpi number measure",
    "retrieve retrieval retriever index search embedding chunk",
    "prompt system_prompt instruction template",
    "document docs page article source knowledge",
    "schema format type unit units encoding currency",
    "popular popularity bestseller top_items",
    "complaint complaints ticket feedback support report_from",
    "who owner whom team colleague",
    "time timestamp date day week when hour timeline",
    "importance shap attribution ablation drop_column",
    "experiment ab_test a_b a/b test_group control",
)
"""In a trigger the first word of a class stands for all of it."""

_TOKEN = re.compile(r"[a-z0-9]+(?:['/-][a-z0-9]+)*|[,;:.!?()]")
_REFUSAL = re.compile(
    r"""\b(?:
      (?:would|will|do|should|need|could|can|must|am|is|are|did)\s*(?:n't|not)\s+(?:bother|look|check|need|want|go|start|begin|spend|waste|care|
          investigate|compare|read|ask|touch|plan|worth|going|pull|open|plot|inspect|bring|mention|suspect|blame|think\s+(?:it|the|we|that))
    | (?:won't|wouldn't|shouldn't|don't|doesn't|needn't|can't)\s+(?:even\s+|yet\s+)?
          (?:bother|look|check|need|care|waste|start|touch|compare|read|ask|want|go|
          spend|investigate|pull|open|plot|inspect|bring|mention|suspect|blame|think\s+(?:it|the|we|that))
    | no\s+(?:need|point|reason|use)\b | never\s+mind
    | not\s+(?:worth|bother\w*|look\w*|check\w*|interested|going|compar\w+|read\w*|ask\w*|the|about|yet|at)
    | skip\w* | ignor\w+ | leav\w+\s+(?:out|aside|alone) | forget | without\s+\w+ing | instead\s+of | rather\s+than | apart\s+from
    | nothing\s+to\s+do\s+with | unrelated\s+to
    )""",
    re.VERBOSE,
)
_ENDS = re.compile(
    r"[;.!?]|,(?!\s*(?:or|nor)\b)|\b(?:but|instead(?!\s+of)|then|so|first|rather(?!\s+than))\b|\b(?:i|let's|lets|we)\b(?!\s+(?:have|do)\s+not)"
    r"|\band\s+(?=(?:check|look|compare|read|ask|see|pull|open|plot|inspect|go|start|examine|verify|i|we)\b)"
)


def asked_for(incident: Incident, text: str) -> list[str]:
    """The clues that `text` asks for, in the order in which it names them."""
    found: dict[str, int] = {}
    for sentence in sentences(text.lower().replace("\u2019", "'")):
        said = _said(sentence.text)
        for clue in incident.clues:
            places = [at for trigger in clue.triggers if (at := _place(trigger, said, _known(incident.id, incident))) is not None]
            if places:
                found.setdefault(clue.id, sentence.start + min(places))
    return sorted(found, key=lambda id: (found[id], id))


Said = tuple[tuple[str, int], ...]


@lru_cache(maxsize=2_000)
def _said(sentence: str) -> Said:
    """The words of a sentence with their places, without those that are refused."""
    refused: list[tuple[int, int]] = []
    for match in _REFUSAL.finditer(sentence):
        if re.match(r".*\bnot\s+only\b", match.group()):
            continue
        end = _ENDS.search(sentence, match.end())
        refused.append((match.start(), end.start() if end else len(sentence)))
    words = [(match.group(), match.start()) for match in _TOKEN.finditer(sentence) if match.group()[0].isalnum()]
    return tuple((word, at) for word, at in words if not any(start <= at < end for start, end in refused))


def _place(trigger: str, said: Said, known: frozenset[str]) -> int | None:
    """Where a trigger is said: the place of its first word; None where it is not."""
    spots = [[i for option in group.split("|") for i in _spots(option, said, known)] for group in trigger.split()]
    if not all(spots):
        return None
    for start in sorted(spots[0]):
        chosen = [min(places, key=lambda i: abs(i - start)) for places in spots]
        if max(chosen) - min(chosen) <= NEAR:
            return said[min(chosen)][1]
    return None


def _spots(option: str, said: Said, known: frozenset[str]) -> Iterator[int]:
    """The positions of a word, of one that stands for it, or of a row of words."""
    for wanted in (option, *_alike(option)):
        row = wanted.split("_")
        for i in range(len(said) - len(row) + 1):
            if all(_same(said[i + k][0], part, known) for k, part in enumerate(row)):
                yield i


@lru_cache(maxsize=5_000)
def _alike(word: str) -> tuple[str, ...]:
    return next((tuple(one for one in row.split() if one != word) for row in CLASSES if row.split()[0] == word), ())


@lru_cache(maxsize=200_000)
def _same(said: str, wanted: str, known: frozenset[str]) -> bool:
    if said == wanted or stem(said) == stem(wanted) or stem(said.removesuffix("'s")) == stem(wanted):
        return True
    if len(wanted) < 5 or said in known or said[0] != wanted[0] or abs(len(said) - len(wanted)) > 2:
        return False
    return OSA.distance(said, wanted, score_cutoff=2) <= (2 if len(wanted) >= 9 else 1)


_vocabularies: dict[str, tuple[Incident, frozenset[str]]] = {}


def _known(id: str, incident: Incident) -> frozenset[str]:
    """Words that are no misspelling of another: those of the incident itself, of the classes, and the small ones."""
    kept = _vocabularies.get(id)
    if kept is None or kept[0] is not incident:
        texts = [incident.opening, incident.manager, incident.resolution, *CLASSES, *incident.path]
        texts += [text for clue in incident.clues for text in (clue.finds, clue.nudge, *clue.triggers)]
        words = {word for text in texts for word in re.findall(r"[a-z0-9'/-]+", text.lower())}
        kept = _vocabularies[id] = (incident, frozenset(words | STOP))
    return kept[1]


# ---------------------------------------------------------------------------------------------- proofs

IDLE = (
    "I would look into it.",
    "Let me investigate the problem.",
    "I don't know, what do you think?",
    "Can you just tell me the answer?",
    "I would check everything.",
    "ok, thanks",
)
"""What asks for nothing in particular."""

LED = 0.75
"""The share of the weight of all true clues that the good path must find."""


def untrue(incident: Incident, grader: PlainGrader) -> Iterator[tuple[str, str]]:
    """What is wrong with an incident that only playing it shows: field and reason."""
    found: list[str] = []
    for number, said in enumerate(incident.path, 1):
        fresh = [id for id in asked_for(incident, said) if id not in found and _open(incident, id, found)]
        if not fresh:
            yield "path", f"message {number} finds nothing new"
        found += fresh
    true = {clue.id: clue.weight for clue in incident.true}
    if sum(weight for id, weight in true.items() if id in found) < LED * sum(true.values()):
        yield "path", f"it does not reach the end: {', '.join(id for id in true if id not in found)} are not found"
    reached = _reachable(incident)
    for clue in incident.clues:
        if clue.id not in reached:
            yield f"clues.{clue.id}", "no way leads to it: what it needs can't be found"
        for trigger in clue.triggers:
            words = " ".join(group.split("|")[0].replace("_", " ") for group in trigger.split())
            if clue.id not in asked_for(incident, words):
                yield f"clues.{clue.id}.triggers", f"{trigger!r} is not understood when it is said"
    for idle in IDLE:
        for id in asked_for(incident, idle):
            yield f"clues.{id}.triggers", f"{idle!r} finds it, and asks for nothing"
    for stage in STAGES:
        rubric = incident.stage(stage)
        for verdict in grader.judge(rubric, rubric.answer).verdicts:
            if verdict.finding is not Finding.COVERED:
                yield f"{stage}.answer", f"point {verdict.point!r} is {verdict.finding} in it"


def _open(incident: Incident, id: str, found: Collection[str]) -> bool:
    clue = incident.clue(id)
    return clue is not None and set(clue.needs) <= set(found)


def _reachable(incident: Incident) -> set[str]:
    reached: set[str] = set()
    while fresh := {clue.id for clue in incident.clues if clue.id not in reached and set(clue.needs) <= reached}:
        reached |= fresh
    return reached


# ---------------------------------------------------------------------------------------------- the last questions

IN_COMMON = 2
"""Words of content that a quote shares with a point, at least, to be evidence for it."""


def grounded(rubric: Rubric, grade: Grade) -> Grade:
    """A grade without the verdicts whose quote has hardly a word in common with the point.

    The encoder was fitted on questions of the packs; against the short rubrics at an incident's end it takes general talk for
    nearly everything."""
    if grade.score is None:
        return grade
    kept = []
    for point, verdict in zip(rubric.points, grade.verdicts, strict=True):
        wanted = {word for text in (point.statement, *point.phrasings) for word in stems(text)}
        said = len(wanted & set(stems(verdict.quote)))
        earned = verdict.finding in (Finding.COVERED, Finding.PARTLY)
        kept.append(Verdict(point.id, Finding.MISSING, sure=verdict.sure) if earned and said < IN_COMMON else verdict)
    return replace(grade, verdicts=tuple(kept), score=arithmetic.score(rubric, kept, grade.misconceptions))
