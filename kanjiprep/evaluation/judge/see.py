"""What the trained judge sees in pictures: components, the nearest real characters, and novelty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from kanjiprep.evaluation import measures
from kanjiprep.evaluation.judge import glyphs, net, parts
from kanjiprep.evaluation.judge.store import Judge
from kanjiprep.evaluation.judged import Parts
from kanjiprep.progress import Progress, silent

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""
Numbers = NDArray[np.float32]
Item = TypeVar("Item")

NEAREST: Final = 3
"""So many real characters are named."""
_AT_ONCE: Final = 64


def see(pictures: Iterable[tuple[Picture, str]], judge: Judge, progress: Progress = silent) -> tuple[Parts, ...]:
    """What ``judge`` sees in each picture, in their order; a picture without any ink is like nothing.

    Args:
        pictures: Each with its prompt, without the words of a style around it.
        judge: Of the dataset that the run was trained on.
        progress: Hears how many are seen.

    Raises:
        UsageError: If torch is not installed.
    """
    network = net.filled(judge.weights)
    found: list[Parts] = []
    for some in _batches(pictures, _AT_ONCE):
        inks = np.array([glyphs.of_picture(picture) for picture, _ in some])
        found += _parts(net.see(network, inks), inks, [prompt for _, prompt in some], judge)
        progress("look for components", len(found), None)
    return tuple(found)


def novelty(similarity: float, judge: Judge) -> float:
    """0 for a copy of a known character to 1 for one that is not known, by how alike the nearest known one is.

    It is ``1 / (1 + exp(-slope (similarity - middle)))``: the chance that a picture shows an unknown character where
    as many show copies. Slope and middle are fitted to characters that the network has not learnt, each changed as
    another hand would write it: looked up among all characters it is a copy, without the held-out ones it is unknown.
    """
    return float(1 / (1 + np.exp(np.clip(-judge.slope * (similarity - judge.middle), -50, 50))))


def component_recall(seen: Iterable[Parts]) -> float | None:
    """Share of the wanted components that are found, over all pictures; None if none is wanted."""
    pairs = [(len(one.found), len(one.wanted)) for one in seen]
    wanted = sum(total for _, total in pairs)
    return sum(found for found, _ in pairs) / wanted if wanted else None


def _parts(seen: net.Seen, inks: NDArray[np.uint8], prompts: Sequence[str], judge: Judge) -> Iterator[Parts]:
    alike = seen.features @ judge.bank.T
    for row, prompt in enumerate(prompts):
        wanted = parts.wanted(prompt, judge.phrases)
        if inks[row].any():
            yield _of_one(wanted, seen.components[row], alike[row], judge)
        else:
            yield Parts(wanted, (), (), 1.0)


def _of_one(wanted: tuple[str, ...], chances: Numbers, alike: Numbers, judge: Judge) -> Parts:
    there = {name for name, chance in zip(judge.components, chances, strict=True) if chance > measures.CERTAIN}
    order = np.argsort(-alike, kind="stable")[:NEAREST]
    nearest = tuple((judge.characters[index], min(1.0, float(alike[index]))) for index in order)
    return Parts(wanted, tuple(name for name in wanted if name in there), nearest, novelty(nearest[0][1], judge))


def _batches(items: Iterable[Item], count: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while some := list(islice(rest, count)):
        yield some
