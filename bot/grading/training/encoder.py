r"""The command that makes the encoder's weights file.

    python -m bot.grading.training.encoder --from DIR --content content/ml-interview \
        --out bot/grading/weights/encoder.npz

`--from` is a folder with the published all-MiniLM-L6-v2: `model.safetensors` and `vocab.txt`. Without
`--content` the weights are converted as they are, which needs numpy alone; tuning needs torch and a few
minutes of one processor core.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.grading.encoder import Encoder, Pieces
from bot.grading.training import convert
from bot.grading.training.texts import LABELS, read

PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors as its authors published it."""

Floats = NDArray[np.float32]

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when the file is written, 2 when something needed is missing."""
    parser = argparse.ArgumentParser(prog="python -m bot.grading.training.encoder", description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, required=True, help="folder with model.safetensors and vocab.txt")
    parser.add_argument("--out", type=Path, required=True, help="the weights file to write (.npz)")
    parser.add_argument("--content", type=Path, help="a pack's folder: tune on its rubrics")
    parser.add_argument("--layers", type=int, default=6, help="layers that make vectors of texts, 1..6")
    parser.add_argument("--steps", type=int, default=400, help="steps of tuning for likeness; 0: leave as published")
    parser.add_argument("--rate", type=float, default=5e-5, help="peak learning rate for likeness")
    parser.add_argument("--pair-layers", type=int, default=0, help="layers that judge pairs, 0 (no judge) to 6")
    parser.add_argument("--pair-steps", type=int, default=1500, help="steps of tuning the judge of pairs")
    parser.add_argument("--pair-rate", type=float, default=1e-4, help="peak learning rate of the judge of pairs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--any-weights", action="store_true", help="do not ask for the published SHA-256")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)

    weights = chosen.source / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != PUBLISHED and not chosen.any_weights:
        log.error("%s has SHA-256 %s, not that of the published weights", weights, digest)
        return 2
    tensors = convert.read_safetensors(weights)
    vocabulary = (chosen.source / "vocab.txt").read_text(encoding="utf-8")
    text_tensors: Mapping[str, Floats] = tensors
    pair_tensors: Mapping[str, Floats] | None = None
    head: tuple[Floats, Floats] | None = None

    if chosen.content is not None:
        try:
            import torch

            from bot.grading.training import tune
        except ImportError:
            log.error("tuning needs torch: pip install torch")
            return 2
        torch.set_num_threads(chosen.threads)
        torch.use_deterministic_algorithms(True)
        split = Pieces(vocabulary.rstrip("\n").split("\n"))
        materials = read(chosen.content)
        random.Random(chosen.seed).shuffle(materials)
        log.info("%d questions and follow-ups", len(materials))
        if chosen.steps:
            plan = tune.Plan(layers=chosen.layers, steps=chosen.steps, rate=chosen.rate, seed=chosen.seed)
            text_tensors = {**tensors, **tune.tune_texts(tensors, materials, split, plan).tower.tensors()}
        if chosen.pair_layers:
            plan = tune.Plan(layers=chosen.pair_layers, steps=chosen.pair_steps, rate=chosen.pair_rate, seed=chosen.seed)
            judge = tune.tune_pairs(text_tensors, materials, split, plan)
            pair_tensors = judge.tower.tensors()
            head = (judge.head.weight.detach().numpy(), judge.head.bias.detach().numpy())

    arrays = {**convert.common(tensors, vocabulary), **convert.tower(text_tensors, "text", chosen.layers)}
    about: dict[str, object] = {"source": "sentence-transformers/all-MiniLM-L6-v2", "sha256": digest}
    about |= {"text_layers": chosen.layers, "tuned": chosen.content is not None, "seed": chosen.seed}
    if pair_tensors is not None and head is not None:
        arrays |= convert.tower(pair_tensors, "pair", chosen.pair_layers)
        arrays |= {"pair.head": head[0], "pair.head.bias": head[1]}
        about |= {"pair_layers": chosen.pair_layers, "labels": list(LABELS)}
    size = convert.write(chosen.out, arrays, about)
    Encoder.load(chosen.out)
    log.info("%s: %.1f MB, SHA-256 %s", chosen.out, size / 1e6, hashlib.sha256(chosen.out.read_bytes()).hexdigest())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
