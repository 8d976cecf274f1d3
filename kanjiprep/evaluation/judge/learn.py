"""The lesson: characters shown again and again, each time a little different, until their components are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kanjiprep.evaluation.judge import net, variety
from kanjiprep.progress import Progress

_COMPONENT_LOSS: Final = 0.1
"""Of the sum over the components."""
_STROKE_LOSS: Final = 0.01
_PRESENT: Final = 2.0
"""How much a component that is there counts against one that is not."""
_RATE: Final = 3e-3
"""The highest learning rate, of a rise over the first fifth and a fall to nothing."""
_DECAY: Final = 0.02
"""Of AdamW's weights."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a judge is trained.

    Attributes:
        epochs: Times that each character is shown.
        batch: Characters at once.
        least: In how many characters a component must be to be told apart.
        characters: Fewer than so many are refused.
    """

    epochs: int = 20
    batch: int = 64
    least: int = 30
    characters: int = 500


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learnt from.

    Attributes:
        inks: (widths, characters, side, side) uint8.
        truth: (characters, components), which ones they have.
        strokes: (characters,), how many.
        learnt: Indices of the characters that are learnt.
        calibrated: Of those that novelty is calibrated on.
        measured: Of those that the figures are of.
    """

    inks: NDArray[np.uint8]
    truth: NDArray[np.bool_]
    strokes: NDArray[np.float32]
    learnt: NDArray[np.intp]
    calibrated: NDArray[np.intp]
    measured: NDArray[np.intp]


def teach(network: net.Net, lesson: Lesson, recipe: Recipe, seed: int, progress: Progress) -> None:
    """Train ``network`` in place on the characters that are to be learnt.

    Args:
        network: From ``net.build``.
        lesson: What to learn.
        recipe: How.
        seed: Decides the order and the changes.
        progress: Hears of every epoch.

    Raises:
        UsageError: If torch is not installed.
    """
    torch = net.load_torch()
    random = torch.Generator().manual_seed(seed)
    inks, learnt = torch.from_numpy(lesson.inks), torch.from_numpy(lesson.learnt)
    answers = torch.from_numpy(lesson.truth.astype(np.float32)), torch.from_numpy(lesson.strokes)
    optimizer = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    batches = -(-len(learnt) // recipe.batch)
    steps = recipe.epochs * batches
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=0.2)
    network.train()
    for epoch in range(recipe.epochs):
        progress("train the judge", epoch, recipe.epochs)
        for picked in learnt[torch.randperm(len(learnt), generator=random)].chunk(batches):
            loss = _loss(torch, network, variety.of(inks, picked, random), [one[picked] for one in answers])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    progress("train the judge", recipe.epochs, recipe.epochs)


def _loss(torch: Any, network: net.Net, batch: net.Batch, answers: list[Any]) -> Any:
    functional, (truth, strokes) = torch.nn.functional, answers
    logits, counted, _ = net.answer(network, batch)
    by_component = functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=torch.tensor(_PRESENT))
    by_strokes = functional.smooth_l1_loss(counted, strokes / net.STROKE_SCALE)
    return _COMPONENT_LOSS * truth.shape[1] * by_component + _STROKE_LOSS * by_strokes
