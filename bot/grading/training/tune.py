"""Tunes the encoder on the rubrics' texts: likeness of texts (contrastive), and judgement of pairs (three
classes)."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bot.grading.training.model import Pairs, Texts, Tower
from bot.grading.training.texts import LABELS, Material, noisy, pairs, turned

Floats = NDArray[np.float32]
Split = Callable[[str], list[int]]
"""Token ids of a text, without end marks."""

log = logging.getLogger(__name__)

START, END = 101, 102


@dataclass(frozen=True)
class Plan:
    """How long and how fast to tune."""

    layers: int = 6
    steps: int = 500
    rate: float = 5e-5  # the peak; rises over the first tenth, then falls to zero along a cosine
    size: int = 32  # pairs in a step
    seed: int = 1
    temperature: float = 0.06  # of the contrastive loss


def tune_texts(tensors: Mapping[str, Floats], materials: Sequence[Material], split: Split, plan: Plan) -> Texts:
    """Bring texts of one point together, and away from its contraries, from misconceptions and from other
    points.

    Supervised contrastive loss (Khosla et al. 2020): each anchor against all texts of its step. Two questions
    a step, up to four texts of each group. Texts of different questions that were near each other before
    tuning (cosine over 0.55) do not repel: two questions may hold the same point.
    """
    rng = random.Random(plan.seed)
    torch.manual_seed(plan.seed)
    model = Texts(Tower(tensors, plan.layers)).train()
    before = Texts(Tower(tensors, 6)).eval()
    order: list[Material] = []
    began = time.monotonic()
    step_of = _optimiser(model, plan)
    total = 0.0
    for step in range(plan.steps):
        if len(order) < 2:
            order = list(materials)
            rng.shuffle(order)
        texts: list[str] = []
        groups: list[int] = []  # same number: the same meaning
        sides: list[int] = []  # the point that a wrong text turns round, or -1
        questions: list[int] = []
        for number, material in enumerate((order.pop(), order.pop())):
            _draw(material, number, rng, texts, groups, sides, questions)
        rows = [_framed(split(text)) for text in texts]
        group, side, question = (torch.tensor(values) for values in (groups, sides, questions))
        same = (group[:, None] == group[None, :]) & (group[:, None] >= 0)
        alone = torch.eye(len(rows), dtype=torch.bool)
        unsure = (side[:, None] == side[None, :]) & (side[:, None] >= 0) & ~same  # two ways of being wrong about one point
        with torch.no_grad():
            old = before(rows)
            unsure |= (question[:, None] != question[None, :]) & (old @ old.T > 0.55)
        vectors = model(rows)
        scores = (vectors @ vectors.T) / plan.temperature
        scores = scores.masked_fill(alone | unsure, -1e9)
        likely = scores - scores.logsumexp(dim=1, keepdim=True)
        good = same & ~alone
        anchors = good.any(dim=1)
        loss = -((likely * good).sum(dim=1)[anchors] / good.sum(dim=1)[anchors]).mean()
        step_of(loss, step)
        total += float(loss.detach())
        if step % 50 == 49:
            log.info("texts: step %d, loss %.3f, %.0f s", step + 1, total / 50, time.monotonic() - began)
            total = 0.0
    return model.eval()


def _draw(
    material: Material,
    number: int,
    rng: random.Random,
    texts: list[str],
    groups: list[int],
    sides: list[int],
    questions: list[int],
) -> None:
    def add(text: str, group: int, side: int) -> None:
        texts.append(noisy(text, rng))
        groups.append(group)
        sides.append(side)
        questions.append(number)

    base = 1000 * number
    places = {point.id: base + place for place, point in enumerate(material.points)}
    for point in material.points:
        place = places[point.id]
        for text in rng.sample(point.true, min(4, len(point.true))):
            add(text, place, -1)
        for text in rng.sample(point.wrong, min(2, len(point.wrong))):
            add(text, -1, place)
        if rng.random() < 0.3:
            other = turned(rng.choice(point.true), rng)
            if other is not None:
                add(other, -1, place)
    for place, belief in enumerate(material.misbeliefs):
        for text in rng.sample(belief.texts, min(3, len(belief.texts))):
            add(text, base + 500 + place, places.get(belief.reverses, -1))


def tune_pairs(tensors: Mapping[str, Floats], materials: Sequence[Material], split: Split, plan: Plan) -> Pairs:
    """Learn to say of (text of a point, clause) which of LABELS the clause is."""
    rng = random.Random(plan.seed)
    torch.manual_seed(plan.seed)
    model = Pairs(Tower(tensors, plan.layers), len(LABELS)).train()
    step_of = _optimiser(model, plan)
    began = time.monotonic()
    total, right = 0.0, 0
    stream = pairs(materials, plan.steps * plan.size, rng)
    for step in range(plan.steps):
        drawn = [next(stream) for _ in range(plan.size)]
        rows, seconds = pair_rows([(pair.point, pair.clause) for pair in drawn], split)
        wanted = torch.tensor([pair.label for pair in drawn])
        logits = model(rows, seconds)
        loss = functional.cross_entropy(logits, wanted, label_smoothing=0.05)
        step_of(loss, step)
        total += float(loss.detach())
        right += int((logits.argmax(dim=1) == wanted).sum())
        if step % 50 == 49:
            share = right / (50 * plan.size)
            log.info(
                "pairs: step %d, loss %.3f, right %.3f, %.0f s",
                step + 1,
                total / 50,
                share,
                time.monotonic() - began,
            )
            total, right = 0.0, 0
    return model.eval()


def pair_rows(drawn: Sequence[tuple[str, str]], split: Split) -> tuple[list[list[int]], list[int]]:
    """Token ids of pairs with their marks, and where each second text begins."""
    rows: list[list[int]] = []
    seconds: list[int] = []
    for one, other in drawn:
        a, b = split(one)[:120], split(other)[:120]
        rows.append([START, *a, END, *b, END])
        seconds.append(len(a) + 2)
    return rows, seconds


def _framed(ids: list[int]) -> list[int]:
    return [START, *ids[:126], END]


def _optimiser(model: torch.nn.Module, plan: Plan) -> Callable[[torch.Tensor, int], None]:
    """AdamW; the head of a judge of pairs learns twenty times as fast as what was learned before."""
    head = [value for name, value in model.named_parameters() if name.startswith("head") and value.requires_grad]
    body = [value for name, value in model.named_parameters() if not name.startswith("head") and value.requires_grad]
    groups = [{"params": body, "times": 1.0}, {"params": head, "times": 20.0}]
    optimiser = torch.optim.AdamW([group for group in groups if group["params"]], lr=plan.rate, weight_decay=0.01)

    def take(loss: torch.Tensor, step: int) -> None:
        rise = max(plan.steps // 10, 1)
        share = (step + 1) / rise if step < rise else 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (plan.steps - rise))
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * share * group["times"]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    return take
