"""The network: half a million numbers that turn ink into components, a number of strokes, and features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kanjiprep.errors import UsageError

Net = Any
"""A torch ``ModuleDict``; torch is not there to be named while this module is read."""
Batch = Any
"""A torch tensor (N, 1, side, side) float32, 0 for paper to 1 for ink."""

Numbers = NDArray[np.float32]
STROKE_SCALE: Final = 4.0
"""Strokes to one unit of the network's answer."""
_CHANNELS: Final = (32, 48, 96, 128, 128)
_DROPPED: Final = 0.2
_AT_ONCE: Final = 128


@dataclass(frozen=True, slots=True)
class Seen:
    """What the network says of N pictures.

    Attributes:
        components: (N, C), the probability that a picture has each component.
        strokes: (N,), how many strokes it seems to have.
        features: (N, F), each of length 1; their products tell how alike two pictures are.
    """

    components: Numbers
    strokes: Numbers
    features: Numbers


def load_torch() -> Any:
    """The torch library.

    Raises:
        UsageError: If it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise UsageError("needs torch", remedy="pip install 'kanjiprep[score]'") from error
    return torch


def build(components: int) -> Net:
    """A network with random weights, drawn from torch's own generator.

    Args:
        components: How many it is to tell apart.

    Raises:
        UsageError: If torch is not installed.
    """
    nn = load_torch().nn
    first, second, third, fourth, last = _CHANNELS
    trunk = nn.Sequential(
        *_layer(nn, 1, first, 5, 2),
        *_layer(nn, first, second, 3, 1),
        nn.MaxPool2d(2),
        *_layer(nn, second, third, 3, 1),
        nn.MaxPool2d(2),
        *_layer(nn, third, fourth, 3, 1),
        *_layer(nn, fourth, last, 3, 1),
    )
    heads = {
        "places": nn.Conv2d(last, components, 1),
        "whole": nn.Linear(4 * last, components),
        "strokes": nn.Linear(4 * last, 1),
    }
    net = nn.ModuleDict({"trunk": trunk, "drop": nn.Dropout(_DROPPED), **heads})
    return net.to(memory_format=load_torch().channels_last)


def answer(net: Net, batch: Batch) -> tuple[Batch, Batch, Batch]:
    """The logits of the components, the strokes in units of ``STROKE_SCALE``, and the quarters' features.

    A component may be anywhere: each of the 8 x 8 places has a say, and the loudest counts.
    """
    torch = load_torch()
    seen = net["trunk"](batch.contiguous(memory_format=torch.channels_last))
    quarters = torch.nn.functional.adaptive_avg_pool2d(seen, 2).flatten(1)
    places = net["places"](net["drop"](seen)).flatten(2)
    loudest = torch.logsumexp(places, 2) - float(np.log(places.shape[2]))
    return loudest + net["whole"](net["drop"](quarters)), net["strokes"](quarters)[:, 0], quarters


def see(net: Net, inks: NDArray[np.uint8]) -> Seen:
    """What ``net`` says of pictures.

    Args:
        net: The network.
        inks: (N, side, side) uint8, as ``glyphs.of_picture`` gives them.
    """
    torch = load_torch()
    net.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(inks), _AT_ONCE):
            batch = torch.from_numpy(inks[start : start + _AT_ONCE].astype(np.float32) / 255)[:, None]
            logits, strokes, features = answer(net, batch)
            parts.append((torch.sigmoid(logits), strokes * STROKE_SCALE, torch.nn.functional.normalize(features)))
    found = [np.concatenate([one.numpy() for one in kind]) for kind in zip(*parts, strict=True)]
    return Seen(*found)


def weights(net: Net) -> dict[str, Numbers]:
    """The numbers of ``net`` by name."""
    state = net.state_dict()
    return {
        name: np.ascontiguousarray(value.numpy()) for name, value in state.items() if value.dtype.is_floating_point
    }


def filled(numbers: Mapping[str, Numbers]) -> Net:
    """The network with these numbers.

    Args:
        numbers: As ``weights`` gave them.

    Raises:
        UsageError: If torch is not installed.
    """
    torch = load_torch()
    with torch.random.fork_rng(devices=[]):
        net = build(len(numbers["places.bias"]))
    state = net.state_dict()
    state.update({name: torch.from_numpy(np.array(value)) for name, value in numbers.items()})
    net.load_state_dict(state)
    return net


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """A block in which torch draws from ``seed`` and computes the same each time; what was set before is restored.

    Raises:
        UsageError: If torch is not installed.
    """
    torch = load_torch()
    before, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    warned_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        torch.set_num_threads(1)  # sums of several threads are rounded in another order on another number of cores
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(before, warn_only=warned_only)


def _layer(nn: Any, inputs: int, outputs: int, size: int, stride: int) -> tuple[Any, ...]:
    return (
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
