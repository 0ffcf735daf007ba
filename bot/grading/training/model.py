"""The encoder in torch, for tuning: the same arithmetic as `bot.grading.encoder`, with gradients."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bot.grading.training.convert import HEADS, LONGEST, rounded

Floats = NDArray[np.float32]


class Layer(nn.Module):
    """One layer of BERT."""

    def __init__(self, tensors: Mapping[str, Floats], number: int, dropout: float) -> None:
        super().__init__()
        name = f"encoder.layer.{number}."
        self.query = _linear(tensors, name + "attention.self.query")
        self.key = _linear(tensors, name + "attention.self.key")
        self.value = _linear(tensors, name + "attention.self.value")
        self.out = _linear(tensors, name + "attention.output.dense")
        self.norm1 = _norm(tensors, name + "attention.output.LayerNorm")
        self.up = _linear(tensors, name + "intermediate.dense")
        self.down = _linear(tensors, name + "output.dense")
        self.norm2 = _norm(tensors, name + "output.LayerNorm")
        self.dropout = dropout

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """`x` [texts, tokens, width]; `there` [texts, 1, 1, tokens] is true where there is a token."""
        shape = (x.shape[0], x.shape[1], HEADS, -1)
        query, key, value = (part(x).view(shape).transpose(1, 2) for part in (self.query, self.key, self.value))
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=there)
        seen = self.out(seen.transpose(1, 2).reshape(x.shape))
        x = self.norm1(x + functional.dropout(seen, self.dropout, self.training))
        made = self.down(functional.gelu(self.up(x)))
        normed: Tensor = self.norm2(x + functional.dropout(made, self.dropout, self.training))
        return normed

    def tensors(self, number: int) -> dict[str, Floats]:
        """The weights under the names of the published file."""
        name = f"encoder.layer.{number}."
        parts: dict[str, nn.Linear | nn.LayerNorm] = {
            "attention.self.query": self.query,
            "attention.self.key": self.key,
            "attention.self.value": self.value,
            "attention.output.dense": self.out,
            "attention.output.LayerNorm": self.norm1,
            "intermediate.dense": self.up,
            "output.dense": self.down,
            "output.LayerNorm": self.norm2,
        }
        made: dict[str, Floats] = {}
        for part, module in parts.items():
            made[f"{name}{part}.weight"] = _array(module.weight)
            made[f"{name}{part}.bias"] = _array(module.bias)
        return made


class Tower(nn.Module):
    """Word, position and type embeddings and the first `layers` layers.

    Words and positions stay as they are (the words rounded, as they are shipped), so two towers can share
    them.
    """

    def __init__(self, tensors: Mapping[str, Floats], layers: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.words = _table(rounded(tensors["embeddings.word_embeddings.weight"]), tuned=False)
        self.positions = _table(tensors["embeddings.position_embeddings.weight"][:LONGEST], tuned=False)
        self.types = _table(tensors["embeddings.token_type_embeddings.weight"], tuned=True)
        self.norm = _norm(tensors, "embeddings.LayerNorm")
        self.layers = nn.ModuleList(Layer(tensors, number, dropout) for number in range(layers))

    def embed(self, ids: Tensor) -> Tensor:
        """[texts, tokens] to the states that go into the first layer, [texts, tokens, width]."""
        places = torch.arange(ids.shape[1])
        x: Tensor = self.norm(self.words(ids) + self.positions(places) + self.types(torch.zeros_like(ids)))
        return x

    def through(self, x: Tensor, there: Tensor, first: int, last: int) -> Tensor:
        """The states after the layers first..last-1; `there` [texts, tokens]."""
        mask = there[:, None, None, :]
        for layer in self.layers[first:last]:
            x = layer(x, mask)
        return x

    def tensors(self) -> dict[str, Floats]:
        """The tunable weights under the names of the published file."""
        made = {
            "embeddings.token_type_embeddings.weight": _array(self.types.weight),
            "embeddings.LayerNorm.weight": _array(self.norm.weight),
            "embeddings.LayerNorm.bias": _array(self.norm.bias),
        }
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            made.update(layer.tensors(number))
        return made


class Reader(nn.Module):
    """The tower, and the judge that compares two texts word by word (decomposable attention, Parikh et al. 2016)."""

    WIDE, MIDDLE = 160, 128

    def __init__(self, tensors: Mapping[str, Floats], layers: int, frozen: int, labels: int) -> None:
        """`layers` of the published model are kept; the words, the norm and the first `frozen` layers are not tuned."""
        super().__init__()
        self.tower = Tower(tensors, layers)
        self.frozen = frozen
        self._known: dict[tuple[int, ...], Tensor] = {}
        for part in (self.tower.norm, *self.tower.layers[:frozen]):
            for value in part.parameters():
                value.requires_grad = False
        self.tower.types.weight.requires_grad = False
        width = self.tower.norm.weight.shape[0]
        self.sharpness = nn.Parameter(torch.tensor(2.3))
        self.compare = nn.Linear(4 * width, self.WIDE)
        self.middle = nn.Linear(4 * self.WIDE + 2 * width, self.MIDDLE)
        self.head = nn.Linear(self.MIDDLE, labels)

    def read(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor, Tensor]:
        """States [texts, tokens, width], where there is a token, and vectors of length 1. Texts of like length go together.

        What the layers that are not tuned make of a text is worked out once."""
        self._remember(rows)
        order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
        longest = len(rows[order[-1]])
        states, theres = [], []
        for chunk in _chunks(order, 5):
            _, there = padded([rows[number] for number in chunk])
            known = [self._known[tuple(rows[number])].float() for number in chunk]
            begun = nn.utils.rnn.pad_sequence(known, batch_first=True)
            made = self.tower.through(begun, there, self.frozen, len(self.tower.layers))
            states.append(functional.pad(made, (0, 0, 0, longest - made.shape[1])))
            theres.append(functional.pad(there, (0, longest - there.shape[1])))
        back = torch.tensor(order).argsort()
        state, there = torch.cat(states)[back], torch.cat(theres)[back]
        return state, there, functional.normalize((state * there[:, :, None]).sum(dim=1), dim=1)

    def _remember(self, rows: Sequence[Sequence[int]]) -> None:
        new = sorted({key for row in rows if (key := tuple(row)) not in self._known}, key=lambda row: (len(row), row))
        tuning = self.training
        self.eval()
        with torch.no_grad():
            for start in range(0, len(new), 32):
                chunk = new[start : start + 32]
                ids, there = padded(chunk)
                made = self.tower.through(self.tower.embed(ids), there, 0, self.frozen)
                self._known.update({row: states[: len(row)].half() for row, states in zip(chunk, made, strict=True)})
        self.train(tuning)

    def judge(self, read: tuple[Tensor, Tensor, Tensor], claims: Tensor, passages: Tensor) -> Tensor:
        """Logits for pairs of indices into what was read."""
        state, there, vector = read
        own, other, less, times = self.compare.weight.split(state.shape[2], dim=1)
        one, two = functional.linear(state, own + less, self.compare.bias), functional.linear(state, other - less)
        unit = functional.normalize(state, dim=2)
        left, right = there[claims], there[passages]
        n, m = int(left.sum(dim=1).max()), int(right.sum(dim=1).max())
        left, right = left[:, :n], right[:, :m]
        alike = torch.exp(self.sharpness) * (unit[claims][:, :n] @ unit[passages][:, :m].transpose(1, 2))
        for_a = torch.softmax(alike.masked_fill(~right[:, None, :], -1e9), dim=2)
        for_b = torch.softmax(alike.masked_fill(~left[:, :, None], -1e9), dim=1).transpose(1, 2)
        features = []
        for shares, mine, its, inside, reach, far in ((for_a, claims, passages, left, n, m), (for_b, passages, claims, right, m, n)):
            made = one[mine][:, :reach] + shares @ two[its][:, :far]
            made = functional.gelu(made + functional.linear(state[mine][:, :reach] * (shares @ state[its][:, :far]), times))
            made = functional.dropout(made, 0.1, self.training)
            features.append(made.masked_fill(~inside[:, :, None], -1e4).max(dim=1).values)
            features.append((made * inside[:, :, None]).sum(dim=1) / inside.sum(dim=1, keepdim=True))
        u, v = vector[claims], vector[passages]
        middle = self.middle(torch.cat([*features, (u - v).abs() * 8, u * v * 20], dim=1))
        logits: Tensor = self.head(functional.dropout(functional.gelu(middle), 0.1, self.training))
        return logits

    def twin(self) -> Reader:
        """A copy that is not tuned; what the frozen layers make of a text is remembered for both."""
        made = copy.deepcopy(self).eval()
        made._known = self._known
        return made

    def learned(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Begins with the judge of a weights file."""
        with torch.no_grad():
            self.sharpness.copy_(torch.tensor(float(np.log(np.asarray(arrays["judge.sharpness"], dtype=np.float64)))))
            for name, part in (("compare", self.compare), ("middle", self.middle), ("head", self.head)):
                part.weight.copy_(torch.from_numpy(np.asarray(arrays[f"judge.{name}"], dtype=np.float32)))
                part.bias.copy_(torch.from_numpy(np.asarray(arrays[f"judge.{name}.bias"], dtype=np.float32)))

    def arrays(self) -> dict[str, Floats]:
        """The judge's weights under the names of the weights file."""
        made = {"judge.sharpness": np.exp(_array(self.sharpness))}
        for name, part in (("compare", self.compare), ("middle", self.middle), ("head", self.head)):
            made[f"judge.{name}"], made[f"judge.{name}.bias"] = _array(part.weight), _array(part.bias)
        return made


def _chunks(order: list[int], count: int) -> list[list[int]]:
    cut = [order[number * len(order) // count : (number + 1) * len(order) // count] for number in range(count)]
    return [chunk for chunk in cut if chunk]


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids [texts, tokens], filled with zeros at the end, and where there is a token."""
    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(longest)[None, :] < lengths[:, None]


def _table(rows: Floats, tuned: bool) -> nn.Embedding:
    made = nn.Embedding(*rows.shape)
    made.weight = nn.Parameter(torch.from_numpy(rows.copy()), requires_grad=tuned)
    return made


def _linear(tensors: Mapping[str, Floats], name: str) -> nn.Linear:
    weight, bias = (torch.from_numpy(tensors[f"{name}.{part}"].copy()) for part in ("weight", "bias"))
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight = nn.Parameter(weight)
    made.bias = nn.Parameter(bias)
    return made


def _norm(tensors: Mapping[str, Floats], name: str) -> nn.LayerNorm:
    weight, bias = (torch.from_numpy(tensors[f"{name}.{part}"].copy()) for part in ("weight", "bias"))
    made = nn.LayerNorm(weight.shape[0], eps=1e-12)
    made.weight = nn.Parameter(weight)
    made.bias = nn.Parameter(bias)
    return made


def _array(parameter: Tensor) -> Floats:
    made: Floats = parameter.detach().numpy().astype(np.float32)
    return made
