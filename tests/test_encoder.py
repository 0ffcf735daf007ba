"""The encoder: the same bits for the same text, BERT's own word pieces, and weights that explain what is
wrong with them."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bot.grading.encoder import Encoder, WeightsError, _gelu
from bot.grading.lately import MOST, Lately
from bot.grading.pieces import Pieces
from bot.grading.training import convert

WIDTH, HEADS, MIDDLE = 48, 12, 192
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-=+/()^%"
VOCABULARY = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{letter}" for letter in LETTERS),
    "precision", "recall", "false", "positive", "##s", "over", "##fit", "##ting", "model", "the", "cafe",
    "naive", "中", "«", "…",
]  # fmt: skip


def small(path: Path, layers: int = 2, seed: int = 0) -> Path:
    """A weights file of the real format with random weights."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.2).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": normal(len(VOCABULARY), WIDTH),
        "embeddings.position_embeddings.weight": normal(512, WIDTH),
        "embeddings.token_type_embeddings.weight": normal(2, WIDTH),
        "embeddings.LayerNorm.weight": normal(WIDTH) + 1,
        "embeddings.LayerNorm.bias": normal(WIDTH),
    }
    shapes = {f"attention.self.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
    shapes |= {"attention.output.dense": (WIDTH, WIDTH), "intermediate.dense": (MIDDLE, WIDTH)}
    shapes |= {"output.dense": (WIDTH, MIDDLE)}
    for number in range(layers):
        for part, shape in shapes.items():
            tensors[f"encoder.layer.{number}.{part}.weight"] = normal(*shape)
            tensors[f"encoder.layer.{number}.{part}.bias"] = normal(shape[0])
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            tensors[f"encoder.layer.{number}.{part}.weight"] = normal(WIDTH) + 1
            tensors[f"encoder.layer.{number}.{part}.bias"] = normal(WIDTH)
    arrays = {
        **convert.common(tensors, "\n".join(VOCABULARY) + "\n"),
        **convert.tower(tensors, "text", layers),
    }
    arrays["types"] = arrays["types"][0]
    wide, middle = 20, 16
    arrays |= {
        "judge.sharpness": np.float64(3.0), "judge.compare": normal(wide, 4 * WIDTH), "judge.compare.bias": normal(wide),
        "judge.middle": normal(middle, 4 * wide + 2 * WIDTH), "judge.middle.bias": normal(middle),
        "judge.head": normal(3, middle), "judge.head.bias": normal(3),
    }  # fmt: skip
    about: dict[str, object] = {"text_layers": layers, "labels": ["states", "denies", "neither"]}
    convert.write(path, arrays, about)
    return path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return Encoder.load(small(tmp_path_factory.mktemp("weights") / "small.npz"))


def texts(count: int) -> list[str]:
    """Texts of 0 to 40 words and one beyond the limit."""
    rng = random.Random(4)
    words = ["precision", "recall", "overfitting", "the", "x", "0.5", "café", "中文", "models,", "(a+b)"]
    made = [" ".join(rng.choices(words, k=rng.randrange(0, 40))) for _ in range(count - 1)]
    return [*made, "recall " * 400]


def test_a_text_gets_the_same_bits_alone_and_in_any_company(encoder: Encoder) -> None:
    """Alone, together and shuffled: not one bit differs."""
    some = texts(60)
    together = encoder.vectors(some)
    for number, text in enumerate(some):
        assert np.array_equal(encoder.vectors([text])[0], together[number])
    order = random.Random(5).sample(range(len(some)), len(some))
    assert np.array_equal(encoder.vectors([some[number] for number in order]), together[order])


def test_what_was_read_lately_is_not_read_again_and_is_the_same_to_the_bit(encoder: Encoder, tmp_path: Path) -> None:
    """However much is read between, and a text that comes twice at once."""
    lately, some = Lately.load(small(tmp_path / "small.npz")), texts(60)
    first = lately.read([*some, some[3]])
    again = lately.read(some)
    lately.read([f"text {number}" for number in range(MOST - 10)])
    later = lately.read(some)

    assert all(one is two for one, two in zip(first, again, strict=False))
    assert first[-1] is first[3]
    assert sum(one is three for one, three in zip(first, later, strict=False)) == 10
    for read in (first, later):
        assert np.array_equal(np.stack([one.vector for one in read[:60]]), encoder.vectors(some))


def test_a_pair_gets_the_same_bits_alone_and_in_any_company(encoder: Encoder) -> None:
    """The judge of pairs keeps the same promise."""
    some = texts(40)
    read = encoder.read(some)
    pairs = list(zip(read, reversed(read), strict=True))
    together = encoder.judge(pairs)
    assert together.shape == (40, 3)
    assert encoder.labels == ("states", "denies", "neither")
    for number, pair in enumerate(pairs):
        assert np.array_equal(encoder.judge([pair])[0], together[number])


def test_another_process_with_more_threads_gets_the_same_bits(tmp_path: Path) -> None:
    """What BLAS does with its threads does not show."""
    path = small(tmp_path / "small.npz")
    script = (
        "import sys, hashlib; from bot.grading.encoder import Encoder;"
        "made = Encoder.load(sys.argv[1]).vectors(sys.argv[2:]);"
        "print(hashlib.sha256(made.tobytes()).hexdigest())"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", script, str(path), *texts(8)[:-1]],
            env={"OPENBLAS_NUM_THREADS": threads, "PYTHONPATH": str(Path(__file__).parents[1])},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(prints) == 1


def test_vectors_have_length_one_and_an_order_of_words(encoder: Encoder) -> None:
    """A unit row for every text, the empty one too; another order of words is another vector."""
    made = encoder.vectors(["", "recall over precision", "precision over recall"])
    assert made.shape == (3, WIDTH)
    assert made.dtype == np.float32
    np.testing.assert_allclose((made * made).sum(axis=1), 1, atol=1e-6)
    assert not np.allclose(made[1], made[2])
    assert encoder.vectors([]).shape == (0, WIDTH)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Precision", ["precision"]),
        ("overfitting models", ["over", "##fit", "##ting", "model", "##s"]),
        ("CAFÉ, naïve!", ["cafe", ",", "naive", "!"]),
        ("a=b/(c+d)^2", ["a", "=", "b", "/", "(", "c", "+", "d", ")", "^", "2"]),
        ("the\u200b model\x00\u00ad", ["the", "model"]),
        ("model\u3000the\u00a0x", ["model", "the", "x"]),
        ("x中x", ["x", "中", "x"]),
        ("«the…", ["«", "the", "…"]),
        ("语", ["[UNK]"]),
        ("x" * 101, ["[UNK]"]),
        ("", []),
    ],
)
def test_word_pieces(text: str, pieces: list[str]) -> None:
    """Lower case, no accents, punctuation apart, ideographs apart, the longest piece first."""
    assert [VOCABULARY[number] for number in Pieces(VOCABULARY)(text)] == pieces


def test_a_text_cannot_forge_a_border() -> None:
    """The name of a special token is ordinary text."""
    made = Pieces(VOCABULARY)
    assert not {made.start, made.end} & set(made("the [SEP] model [CLS]"))


def test_word_pieces_are_those_of_the_tokenizers_package(tmp_path: Path) -> None:
    """Token for token on random text, where that package is at hand (code points of Unicode before version
    8)."""
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = [*VOCABULARY, *(chr(code) for code in range(0xE0, 0x500) if chr(code) not in VOCABULARY)]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    theirs = tokenizers.BertWordPieceTokenizer(str(tmp_path / "vocab.txt"), lowercase=True)
    ours = Pieces(vocabulary)
    rng = random.Random(6)
    alphabet = [
        *LETTERS,
        *"ABCDÉÀÖŁßİΣςǅñçàй中文가हि ",
        "\t",
        "\u00a0",
        "\u200d",
        "\u0301",
        "\u2019",
        "\u2014",
        "😀",
        "½",
        "ﬁ",
        "…",
    ]
    for _ in range(3000):
        text = "".join(rng.choices(alphabet, k=rng.randrange(1, 40)))
        assert ours(text) == theirs.encode(text, add_special_tokens=False).ids, repr(text)


@pytest.mark.parametrize("damage", ["missing", "not a weights file", "cut short", "another format"])
def test_a_bad_weights_file_is_one_clear_sentence(tmp_path: Path, damage: str) -> None:
    """Every way of being unreadable names the file."""
    path = small(tmp_path / "small.npz")
    if damage == "missing":
        path.unlink()
    elif damage == "not a weights file":
        path.write_bytes(b"hello")
    elif damage == "cut short":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        convert.write(path, {}, {"format": 99})
    with pytest.raises(WeightsError, match=r"small\.npz"):
        Encoder.load(path)


def test_rounding_keeps_weights_within_half_a_step() -> None:
    """Eight bits per weight: the error is at most half of the row's largest weight over 127."""
    weights = np.random.default_rng(2).standard_normal((20, 300)).astype(np.float32)
    off = np.abs(convert.rounded(weights) - weights).max(axis=1)
    assert np.all(off <= np.abs(weights).max(axis=1) / 254 * 1.001)


def test_the_bend_is_the_normal_distributions_wherever_a_number_may_lie() -> None:
    """Far from zero, too, where a sloppier one overflows or bends back; warnings are errors here."""
    near = np.linspace(-12, 12, 2401, dtype=np.float32)
    numbers = np.concatenate([near, np.array([-1e4, -300, -40, 40, 300, 1e4], dtype=np.float32)])
    wanted = [x * 0.5 * math.erfc(-x / math.sqrt(2)) for x in numbers.tolist()]

    assert np.abs(_gelu(numbers[:, None].copy())[:, 0] - wanted).max() < 4e-5
