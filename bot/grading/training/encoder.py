r"""The command that makes the encoder's weights file.

    python -m bot.grading.training.encoder --from DIR --replies tests/grading/own.jsonl --out bot/grading/weights/encoder.npz

`--from` is a folder with the published all-MiniLM-L6-v2: `model.safetensors` and `vocab.txt`. Needs torch and about an hour
of two processor cores. Then `python -m bot.grading.training.head` fits what turns its numbers into verdicts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from bot.content import default_folder
from bot.grading.encoder import Encoder, Pieces
from bot.grading.training import convert
from bot.grading.training.texts import LABELS, read

PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors as its authors published it."""

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when the file is written, 2 when something needed is missing."""
    parser = argparse.ArgumentParser(prog="python -m bot.grading.training.encoder", description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, required=True, help="folder with model.safetensors and vocab.txt")
    parser.add_argument("--replies", type=Path, required=True, help="marked replies (JSON lines); those marked `held` are not used")
    parser.add_argument("--content", type=Path, default=default_folder(), help="the packs; those that come with the coach by default")
    parser.add_argument("--out", type=Path, required=True, help="the weights file to write (.npz)")
    parser.add_argument("--steps", type=int, default=590)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)

    weights = chosen.source / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != PUBLISHED:
        log.error("%s has SHA-256 %s, not that of the published weights", weights, digest)
        return 2
    try:
        import torch

        from bot.grading.training import tune
    except ImportError:
        log.error("tuning needs torch: pip install torch")
        return 2
    torch.set_num_threads(chosen.threads)
    torch.use_deterministic_algorithms(True)
    tensors = convert.read_safetensors(weights)
    vocabulary = (chosen.source / "vocab.txt").read_text(encoding="utf-8")
    split = Pieces(vocabulary.rstrip("\n").split("\n"))
    materials = read(chosen.content)
    random.Random(chosen.seed).shuffle(materials)
    marked = [json.loads(line) for line in chosen.replies.read_text("utf-8").splitlines()]
    marked = [reply for reply in marked if not reply["held"] and "other_language" not in reply["kind"]]
    plan = tune.Plan(steps=chosen.steps, seed=chosen.seed)
    log.info("%d questions and follow-ups, %d replies", len(materials), len(marked))
    model = tune.tune(tensors, materials, marked, split, plan)
    arrays = {**convert.common(tensors, vocabulary), **convert.tower({**tensors, **model.tower.tensors()}, "text", plan.layers)}
    arrays["types"] = arrays["types"][0]
    arrays |= model.arrays()
    about = {"source": "sentence-transformers/all-MiniLM-L6-v2", "sha256": digest, "text_layers": plan.layers, "labels": list(LABELS)}
    size = convert.write(chosen.out, arrays, about)
    Encoder.load(chosen.out)
    log.info("%s: %.1f MB, SHA-256 %s", chosen.out, size / 1e6, hashlib.sha256(chosen.out.read_bytes()).hexdigest())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
