r"""The command that makes the encoder's weights file.

    python -m bot.grading.training.encoder --from DIR --replies tests/grading/own.jsonl --out first.npz
    python -m bot.grading.training.encoder --on first.npz --replies tests/grading/own.jsonl tests/grading/bank.jsonl --mean \
        --lines tests/grading/lines.jsonl --out bot/grading/weights/encoder.npz

`--from` is a folder with the published all-MiniLM-L6-v2: `model.safetensors` and `vocab.txt`. Needs torch and about half an hour of
one processor core each. It prints as it goes how well the judge does on questions that it is not tuned on. Then `python -m
bot.grading.training.head` fits what turns its numbers into verdicts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import random
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.content import default_folder
from bot.grading.encoder import Encoder
from bot.grading.pieces import Pieces
from bot.grading.training import convert, validation
from bot.grading.training.texts import LABELS, Material, read, spared, tunable

SOURCE = "sentence-transformers/all-MiniLM-L6-v2"
PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors as its authors published it."""

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when the file is written, 2 when something needed is missing."""
    parser = argparse.ArgumentParser(prog="python -m bot.grading.training.encoder", description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, help="folder with model.safetensors and vocab.txt: begin anew")
    parser.add_argument("--on", type=Path, help="a weights file to go on from, instead of --from")
    parser.add_argument(
        "--replies", type=Path, nargs="+", required=True, help="marked replies (JSON lines); those marked `held` are not used"
    )
    parser.add_argument("--content", type=Path, default=default_folder(), help="the packs; those that come with the coach by default")
    parser.add_argument("--lines", type=Path, help="further lines of the packs' questions, for tuning alone (JSON lines)")
    parser.add_argument("--out", type=Path, required=True, help="the weights file to write (.npz)")
    parser.add_argument("--steps", type=int, help="450, or 590 from the published weights")
    parser.add_argument("--mean", action="store_true", help="write what lies half way between the weights of --on and the tuned ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of torch; a second one costs much on a busy machine and gains little")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)

    if (chosen.source is None) == (chosen.on is None):
        parser.error("--from or --on is needed, and not both")
    if chosen.mean and chosen.on is None:
        parser.error("--mean goes on from the weights of --on")
    try:
        import torch

        from bot.grading.training import tune
        from bot.grading.training.model import Reader
    except ImportError:
        log.error("tuning needs torch: pip install torch")
        return 2
    torch.set_num_threads(chosen.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(chosen.seed)
    if chosen.on is not None:
        plan = tune.Plan(seed=chosen.seed)
        with np.load(chosen.on, allow_pickle=False) as kept:
            begun: dict[str, NDArray[np.generic]] = dict(kept)
        tensors = convert.published(begun, plan.layers)
        vocabulary = bytes(begun["vocabulary"].astype(np.uint8)).decode()
    else:
        plan, begun = replace(tune.ANEW, seed=chosen.seed), {}
        weights = chosen.source / "model.safetensors"
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        if digest != PUBLISHED:
            log.error("%s has SHA-256 %s, not that of the published weights", weights, digest)
            return 2
        tensors = convert.read_safetensors(weights)
        vocabulary = (chosen.source / "vocab.txt").read_text(encoding="utf-8")
    if chosen.steps is not None:
        plan = replace(plan, steps=chosen.steps)
    model = Reader(tensors, plan.layers, plan.frozen, len(LABELS))
    if begun:
        model.learned(begun)
    split = Pieces(vocabulary.rstrip("\n").split("\n"))
    everything = read(chosen.content, chosen.lines)
    apart = validation.drawn(_apart(everything, chosen.content), random.Random(chosen.seed))

    def write(tuned: Reader) -> int:
        arrays = {**convert.common(tensors, vocabulary), **convert.tower({**tensors, **tuned.tower.tensors()}, "text", plan.layers)}
        arrays["types"] = arrays["types"][0]
        arrays |= tuned.arrays()
        if chosen.mean:
            arrays = convert.mean(begun, arrays)
        about = {"source": SOURCE, "sha256": PUBLISHED, "text_layers": plan.layers, "labels": list(LABELS)}
        return convert.write(chosen.out, arrays, about)

    def checkpoint(tuned: Reader, step: int) -> None:
        log.info("step %d: %s", step, tune.judged(tuned, tune.framed(split), apart))
        write(tuned)

    log.info("before: %s", tune.judged(model.eval(), tune.framed(split), apart))
    materials = tunable(everything)
    random.Random(chosen.seed).shuffle(materials)
    marked = [json.loads(line) for file in chosen.replies for line in file.read_text("utf-8").splitlines()]
    marked = [reply for reply in marked if not reply["held"] and "other_language" not in reply["kind"]]
    log.info("%d questions and follow-ups, %d replies", len(materials), len(marked))
    size = write(tune.tune(model, materials, marked, split, plan, checkpoint))
    Encoder.load(chosen.out)
    log.info("%s: %.1f MB, SHA-256 %s", chosen.out, size / 1e6, hashlib.sha256(chosen.out.read_bytes()).hexdigest())
    return 0


def _apart(everything: Sequence[Material], content: Path) -> list[Material]:
    """The questions for measuring that are not of the syllabus: those of it were tuned on before any were kept apart."""
    syllabus = tomllib.loads((content / "syllabus.toml").read_text("utf-8"))
    first = {entry["id"] for entry in (*syllabus["questions"], *syllabus["scenarios"])}
    return [one for one in everything if "/" not in one.id and spared(one.id) == 1 and one.id not in first]


if __name__ == "__main__":
    raise SystemExit(main())
