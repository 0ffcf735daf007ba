"""Tunes the encoder on the rubrics' texts and on marked replies: what a passage does to a claim, and which texts mean the same."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bot.grading.reading import segments
from bot.grading.training.model import Reader
from bot.grading.training.texts import DENIES, EMPTY, LABELS, NEITHER, STATES, Material, renumbered
from bot.grading.training.texts import noisy as _noisy
from bot.grading.training.texts import turned as _turned
from bot.grading.training.validation import Pairs, summary

Floats = NDArray[np.float32]
Split = Callable[[str], list[int]]
"""Token ids of a text, without end marks."""

Reply = dict[str, Any]
"""A marked reply: answer, and for each of two readers points (C, P, M, X by id), spans (quotes by id) and false (ids)."""

START, END, LONGEST = 101, 102, 48
HALF = -1
"""The label of a passage that says a claim by half."""

NEAR = 0.8
"""Cosine from which a passage of a neighbouring question may well make the claim: such a pair teaches nothing."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """How long and how fast to tune, when going on from weights that were tuned before."""

    layers: int = 5
    frozen: int = 1
    steps: int = 450
    rate: float = 1e-4  # the peak; rises over the first tenth, then falls to zero along a cosine
    pairs: int = 600  # in a step, at most
    twins: int = 70  # of a true and a false line in a step, at most
    answered: int = 2  # questions in a step of which replies are read, beside the two whose lines are
    replies: int = 10  # to each of those
    seed: int = 1
    temperature: float = 0.06  # of the contrastive loss
    likeness: float = 0.25  # weight of the contrastive loss
    judge: float = 6.0  # how much faster the judge learns than the layers
    half: float = 40.0  # steps in which the running mean of the weights forgets half
    kept: int = 25  # steps from one checkpoint to the next
    margin: float = 2.0  # by how much a true line should be judged to state rather than deny a claim, above a false one beside it
    apart: float = 0.2  # weight of that


ANEW = Plan(frozen=2, steps=590, rate=1.2e-4, judge=10.0, pairs=400, twins=45, answered=1, replies=6)
"""When beginning from the published weights: the judge knows nothing yet."""


@dataclass
class Batch:
    """Texts, the group of meaning of each (or None), and judged pairs (claim, passage, label) of their indices.

    twins: a claim, a passage that states it, and the one that denies it in the words likest to that.
    elsewhere: pairs of a claim of one question with a passage of another. far: whether those two are of different sections."""

    texts: list[str] = field(default_factory=list)
    groups: list[tuple[int, Any] | None] = field(default_factory=list)
    pairs: list[tuple[int, int, int]] = field(default_factory=list)
    twins: list[tuple[int, int, int]] = field(default_factory=list)
    elsewhere: list[tuple[int, int, int]] = field(default_factory=list)
    far: bool = False

    def add(self, text: str, group: tuple[int, Any] | None = None) -> int:
        self.texts.append(text)
        self.groups.append(group)
        return len(self.texts) - 1


def framed(split: Split) -> Split:
    """Token ids with the end marks, of a text that is not too long."""
    return lambda text: [START, *split(text)[:LONGEST], END]


def judged(model: Reader, frame: Split, pairs: Pairs) -> str:
    """What `validation` says of a model."""
    texts = list(dict.fromkeys(text for found in pairs.values() for pair in found for text in pair))
    place = {text: number for number, text in enumerate(texts)}
    logits, near = {}, {}
    with torch.no_grad():
        read = model.read([frame(text) for text in texts])
        for kind, found in pairs.items():
            claims, passages = (torch.tensor([place[pair[side]] for pair in found], dtype=torch.long) for side in (0, 1))
            parts = [model.judge(read, a, b) for a, b in zip(claims.split(128), passages.split(128), strict=True) if len(a)]
            logits[kind] = torch.cat(parts).numpy() if parts else np.empty((0, len(LABELS)))
            near[kind] = (read[2][claims] * read[2][passages]).sum(dim=1).numpy()
    return summary(logits, near)


def noisy(text: str, rng: random.Random) -> str:
    """One of a few noisy versions of a text: what is drawn again need not be read again."""
    return _noisy(text, random.Random(f"{rng.randrange(3)} {text}"))


def turned(text: str, rng: random.Random) -> str | None:
    """One of a few ways in which a text is turned round."""
    return _turned(text, random.Random(f"{rng.randrange(3)} {text}"))


def tune(
    model: Reader,
    materials: Sequence[Material],
    replies: Sequence[Reply],
    split: Split,
    plan: Plan,
    checkpoint: Callable[[Reader, int], None],
) -> Reader:
    """Two questions, two follow-ups and the replies to some more questions a step; cross entropy of the judge, and a supervised
    contrastive loss of the vectors (Khosla et al. 2020) in which a wrong text pushes and never pulls. Gives the running mean of
    the weights, and to `checkpoint` every `plan.kept` steps."""
    rng = random.Random(plan.seed)
    frame = framed(split)
    model.train()
    mean = model.twin()
    marked: dict[str, list[Reply]] = {}
    for reply in replies:
        marked.setdefault(reply["question_id"], []).append(reply)
    questions = [material for material in materials if "/" not in material.id]
    followups = [material for material in materials if "/" in material.id]
    step_of = _optimiser(model, plan)
    order: list[Material] = []
    answered = [material for material in questions if material.id in marked]
    began, total, right, seen = time.monotonic(), 0.0, 0, 0
    for step in range(plan.steps):
        if len(order) < 2:
            order = list(questions)
            rng.shuffle(order)
        batch = draw(_two(order, rng), rng.sample(followups, 2), marked, rng)
        for one in rng.sample(answered, min(plan.answered, len(answered))):
            _replies(batch, one, marked[one.id], plan.replies, rng)
        read = model.read([frame(text) for text in batch.texts])
        vectors = read[2].detach()
        batch.pairs += [pair for pair in batch.elsewhere if batch.far or float(vectors[pair[0]] @ vectors[pair[1]]) < NEAR]
        rng.shuffle(batch.pairs)
        rng.shuffle(batch.twins)
        twins = batch.twins[: plan.twins]
        pairs = [*batch.pairs[: plan.pairs - 2 * len(twins)], *_parts(twins)]
        lengths = read[1].sum(dim=1).tolist()
        order_of = sorted(range(len(pairs)), key=lambda number: lengths[pairs[number][0]] + lengths[pairs[number][1]])
        parts = []
        for first in range(0, len(pairs), 128):
            chunk = [pairs[number] for number in order_of[first : first + 128]]
            parts.append(model.judge(read, torch.tensor([pair[0] for pair in chunk]), torch.tensor([pair[1] for pair in chunk])))
        logits = torch.cat(parts)[torch.tensor(order_of).argsort()]
        wanted = _wanted([pair[2] for pair in pairs])
        loss = -(functional.log_softmax(logits, dim=1) * wanted).sum() / len(pairs)
        right += int((logits.argmax(dim=1) == wanted.argmax(dim=1)).sum())
        seen += len(pairs)
        if twins:
            sides = (logits[:, STATES] - logits[:, DENIES])[-2 * len(twins) :].view(-1, 2)
            loss = loss + plan.apart * functional.softplus(plan.margin - sides[:, 0] + sides[:, 1]).mean()
        step_of(loss + plan.likeness * _likeness(read[2], batch, plan), step)
        _follow(mean, model, max(1 - 0.5 ** (1 / plan.half), 1 / (step + 2)))
        if step % plan.kept == plan.kept - 1:
            checkpoint(mean, step + 1)
        total += float(loss.detach())
        if step % 10 == 9:
            log.info("step %d: loss %.3f, right %.3f, %.0f s", step + 1, total / 10, right / seen, time.monotonic() - began)
            total, right, seen = 0.0, 0, 0
    return mean


def _follow(mean: Reader, model: Reader, share: float) -> None:
    """Moves the running mean towards the weights as they are."""
    with torch.no_grad():
        for kept, now in zip(mean.parameters(), model.parameters(), strict=True):
            if now.requires_grad:
                kept.lerp_(now, share)


def _two(order: list[Material], rng: random.Random) -> list[Material]:
    """The next two questions, more often than by chance of the same section: neighbours are the hardest to tell apart."""
    first = order.pop()
    kin = [place for place, one in enumerate(order) if one.section == first.section]
    return [first, order.pop(kin[-1]) if kin and rng.random() < 0.4 else order.pop()]


def draw(two: Sequence[Material], followups: Sequence[Material], marked: Mapping[str, list[Reply]], rng: random.Random) -> Batch:
    """What one step looks at."""
    batch = Batch()
    borders = []
    for base, material in enumerate((*two, *followups)):
        first = len(batch.texts)
        _question(batch, material, marked.get(material.id, []), base, rng)
        borders.append((first, first + len(material.points), len(batch.texts)))
    batch.far = two[0].section != two[1].section
    for own, other in ((0, 1), (1, 0)):  # what is said of one question makes no point of another
        for _ in range(22):
            batch.elsewhere.append((rng.randrange(*borders[other][:2]), rng.randrange(borders[own][1], borders[own][2]), NEITHER))
    for base in range(len(two)):
        for _ in range(2):
            passage = batch.add(_rubbish(rng.choice(batch.texts[borders[base][0] : borders[base][2]]), rng))
            batch.pairs += [(rng.randrange(*borders[base][:2]), passage, NEITHER) for _ in range(2)]
    return batch


def _question(batch: Batch, material: Material, replies: Sequence[Reply], base: int, rng: random.Random) -> None:
    claims = {point.id: batch.add(point.true[0], (base, place)) for place, point in enumerate(material.points)}
    others = {
        point.id: batch.add(rng.choice(point.true[1:]), (base, place))
        for place, point in enumerate(material.points)
        if len(point.true) > 2 and rng.random() < 0.5
    }
    beliefs = {belief.id: batch.add(belief.texts[0], (base, 100 + place)) for place, belief in enumerate(material.misbeliefs)}

    def claim(point: str, but: str = "") -> int:
        other = others.get(point)
        return other if other is not None and rng.random() < 0.4 and batch.texts[other] != but else claims[point]

    def neither(passage: int, but: set[str], count: int) -> None:
        free = [point for point in claims if point not in but]
        batch.pairs.extend((claim(point), passage, NEITHER) for point in rng.sample(free, min(count, len(free))))

    stating: dict[str, dict[str, int]] = {}

    def against(point: str, passage: int, beside: str | None) -> None:
        """A passage that denies a point, and the line `beside` it that states the point in nearly the same words, if there is one."""
        if beside is None:
            batch.pairs.append((claim(point), passage, DENIES))
        else:
            batch.twins.append((claim(point, beside), stating[point][beside], passage))

    for place, point in enumerate(material.points):
        found = stating[point.id] = {}
        wrong = [*point.wrong, *(text for belief in material.misbeliefs if belief.reverses == point.id for text in belief.texts)]
        chosen = rng.sample(wrong, min(3, len(wrong)))
        for text in _beside(point.true[1:], chosen, 3, rng):
            said = noisy(text, rng)
            if rng.random() < 0.1 and len(claims) > 1:
                beside = rng.choice([one for one in material.points if one is not point])
                more = noisy(rng.choice(beside.true), rng)
                both = (said, more) if rng.random() < 0.5 else (more, said)
                passage = batch.add(f"{both[0].rstrip('.')}. {both[1]}")
                batch.pairs += [(claim(point.id, text), passage, STATES), (claim(beside.id), passage, STATES)]
                neither(passage, {point.id, beside.id}, 1)
            else:
                passage = found[text] = batch.add(said, (base, place))
                batch.pairs.append((claim(point.id, text), passage, STATES))
                neither(passage, {point.id}, 2)
        for text in chosen:
            passage = batch.add(noisy(text, rng), (base, f"not {place}"))
            against(point.id, passage, _likest(text, found))
            neither(passage, {point.id}, 1)
        for _ in range(1 if rng.random() < 0.8 else 2):
            text = rng.choice(list(found) or point.true)
            other = turned(text, rng)
            if other:
                against(point.id, batch.add(noisy(other, rng), (base, f"not {place}")), text if text in found else None)
        if rng.random() < 0.5:
            other = renumbered(rng.choice(point.true), point.true[0], rng)
            if other:
                batch.pairs.append((claims[point.id], batch.add(other, (base, f"not {place}")), DENIES))
    for place, belief in enumerate(material.misbeliefs):
        for text in rng.sample(belief.texts[1:], min(2, len(belief.texts) - 1)):
            passage = batch.add(noisy(text, rng), (base, 100 + place))
            true = stating.get(belief.reverses, {})
            if (near := _likest(text, true)) is not None:
                batch.twins.append((beliefs[belief.id], passage, true[near]))
            else:
                batch.pairs.append((beliefs[belief.id], passage, STATES))
            if len(beliefs) > 1:
                batch.pairs.append((beliefs[rng.choice([one for one in beliefs if one != belief.id])], passage, NEITHER))
            if rng.random() < 0.3 or not belief.reverses:
                neither(passage, {belief.reverses}, 1)
        reversed_point = next((point for point in material.points if point.id == belief.reverses), None)
        if reversed_point is not None:
            batch.pairs.append((beliefs[belief.id], batch.add(noisy(rng.choice(reversed_point.true), rng)), DENIES))
        others_points = [point for point in material.points if point.id != belief.reverses]
        for point in rng.sample(others_points, min(1, len(others_points))):
            batch.pairs.append((beliefs[belief.id], batch.add(noisy(rng.choice(point.true), rng)), NEITHER))
    neither(batch.add(noisy(rng.choice(material.asked), rng) if material.asked[0] else rng.choice(EMPTY)), set(), 2)
    words = [word for point in material.points for text in point.true for word in text.split() if len(word) > 4]
    neither(batch.add(" ".join(rng.sample(words, min(len(words), rng.randint(6, 16))))), set(), 2)
    if rng.random() < 0.3:
        neither(batch.add(rng.choice(EMPTY)), set(), 2)
    _marked(batch, material, rng.sample(replies, min(4, len(replies))), base, claim, beliefs, rng)


def _likest(text: str, lines: Iterable[str]) -> str | None:
    """Of `lines` the one that shares the most words with a text; None where there is no line."""
    words = set(text.lower().split())
    return max(lines, key=lambda line: len(words & (own := set(line.lower().split()))) / len(words | own), default=None)


def _beside(lines: Sequence[str], wrong: Sequence[str], count: int, rng: random.Random) -> list[str]:
    """`count` of a point's lines: those that are likest to the `wrong` ones, then others by chance."""
    near = [found for text in wrong if (found := _likest(text, lines)) is not None and rng.random() < 0.7]
    order = list(dict.fromkeys([*near, *rng.sample(lines, len(lines))]))[:count]
    return order


def _parts(twins: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Both pairs of each."""
    return [pair for claim, true, false in twins for pair in ((claim, true, STATES), (claim, false, DENIES))]


def _replies(batch: Batch, material: Material, replies: Sequence[Reply], count: int, rng: random.Random) -> None:
    """Some marked replies to one question, against its points."""
    base = 1 + max(group[0] for group in batch.groups if group is not None)
    claims = {point.id: batch.add(point.true[0], (base, place)) for place, point in enumerate(material.points)}
    beliefs = {belief.id: batch.add(belief.texts[0], (base, 100 + place)) for place, belief in enumerate(material.misbeliefs)}
    _marked(batch, material, rng.sample(replies, min(count, len(replies))), base, claims.__getitem__, beliefs, rng)


def _marked(
    batch: Batch,
    material: Material,
    replies: Sequence[Reply],
    base: int,
    claim: Callable[[str], int],
    beliefs: Mapping[str, int],
    rng: random.Random,
) -> None:
    """Marked replies to a question; and where one of them says a point and another one says it wrongly, both side by side."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for reply in replies:
        _reply(batch, material, reply, base, claim, beliefs, found, rng)
    for point, (true, false) in found.items():
        for passage in rng.sample(false, min(2, len(false))):
            if true:
                batch.twins.append((claim(point), rng.choice(true), passage))


def _reply(
    batch: Batch,
    material: Material,
    reply: Reply,
    base: int,
    claim: Callable[[str], int],
    beliefs: Mapping[str, int],
    found: dict[str, tuple[list[int], list[int]]],
    rng: random.Random,
) -> None:
    """The segments of a marked reply, each with what its readers found there. found: the passages that state and that deny a point."""
    believed = {one for reader in reply["false"] for one in reader}
    windows = segments(reply["answer"])[:10]
    passages = [batch.add(window.text if rng.random() < 0.7 else noisy(window.text, rng)) for window in windows]
    if not passages:
        return
    for place, point in enumerate(material.points):
        labels = [reader[point.id] for reader in reply["points"] if point.id in reader]
        if not labels:
            continue
        if set(labels) == {"M"}:
            batch.pairs += [(claim(point.id), passage, NEITHER) for passage in rng.sample(passages, min(2, len(passages)))]
            continue
        spans = [
            (at, at + len(words))
            for reader in reply["spans"]
            if (words := reader.get(point.id)) and (at := reply["answer"].find(words)) >= 0
        ]
        longest = max((stop - start for start, stop in spans), default=1)
        for passage, window in zip(passages, windows, strict=True):
            shared = max((min(window.end, stop) - max(window.start, start) for start, stop in spans), default=0)
            if shared <= 0.5 * longest and shared <= 0.6 * (window.end - window.start):
                continue
            true, false = found.setdefault(point.id, ([], []))
            if "X" in labels:
                batch.pairs.append((claim(point.id), passage, DENIES))
                false.append(passage)
                mistaken = [one.id for one in material.misbeliefs if one.reverses == point.id and one.id in believed]
                batch.pairs += [(beliefs[one], passage, STATES) for one in mistaken]
            elif set(labels) == {"C"}:
                batch.pairs.append((claim(point.id), passage, STATES))
                true.append(passage)
                batch.groups[passage] = batch.groups[passage] or (base, place)
            elif "M" not in labels:
                batch.pairs.append((claim(point.id), passage, HALF))
    for belief, place in beliefs.items():
        if belief not in believed and rng.random() < 0.3:
            batch.pairs.append((place, rng.choice(passages), NEITHER))


def _rubbish(text: str, rng: random.Random) -> str:
    words, kind = text.split(), rng.random()
    if kind < 0.4:
        rng.shuffle(words)
        return " ".join(words)
    if kind < 0.8:
        letters = "abcdefghijklmnopqrstuvwxyz"
        return " ".join("".join(rng.choices(letters, k=rng.randint(2, 9))) if rng.random() < 0.7 else word for word in words)
    return " ".join(rng.sample(words, min(len(words), 3)))


def _wanted(labels: Sequence[int]) -> Tensor:
    made = torch.zeros(len(labels), len(LABELS))
    for row, label in enumerate(labels):
        if label == HALF:
            made[row, STATES] = made[row, NEITHER] = 0.5
        else:
            made[row, label] = 1.0
    return made * 0.95 + 0.05 / len(LABELS)


def _likeness(vectors: Tensor, batch: Batch, plan: Plan) -> Tensor:
    kept = [(number, group) for number, group in enumerate(batch.groups) if group is not None]
    names = {group: place for place, group in enumerate(dict.fromkeys(group for _, group in kept))}
    group = torch.tensor([names[one] for _, one in kept])
    question = torch.tensor([one[0] for _, one in kept])
    wrong = torch.tensor([isinstance(one[1], str) for _, one in kept])
    chosen = vectors[[number for number, _ in kept]]
    alone = torch.eye(len(kept), dtype=torch.bool)
    scores = (chosen @ chosen.T / plan.temperature).masked_fill(alone | (question[:, None] != question[None, :]), -1e9)
    likely = scores - scores.logsumexp(dim=1, keepdim=True)
    same = (group[:, None] == group[None, :]) & ~alone & ~wrong[:, None] & ~wrong[None, :]
    anchors = same.any(dim=1)
    loss: Tensor = -((likely * same).sum(dim=1)[anchors] / same.sum(dim=1)[anchors]).mean()
    return loss


def _optimiser(model: Reader, plan: Plan) -> Callable[[Tensor, int], None]:
    """AdamW; the judge, which is new, learns ten times as fast as what was learned before."""
    body = [value for name, value in model.named_parameters() if name.startswith("tower") and value.requires_grad]
    head = [value for name, value in model.named_parameters() if not name.startswith("tower")]
    optimiser = torch.optim.AdamW([{"params": body, "times": 1.0}, {"params": head, "times": plan.judge}], lr=plan.rate, weight_decay=0.01)

    def take(loss: Tensor, step: int) -> None:
        rise = max(plan.steps // 10, 1)
        share = (step + 1) / rise if step < rise else 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (plan.steps - rise))
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * share * group["times"]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    return take
