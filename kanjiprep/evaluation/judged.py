"""A judged run, as values: what ``score`` computes and ``report`` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.choose import Flag, Verdict
from kanjiprep.training.running.phases import Phase


@dataclass(frozen=True, slots=True)
class Parts:
    """What the trained judge sees in a picture; never a part of the score.

    Attributes:
        wanted: Components that the prompt's meaning asks for; none if it asks for none that is known.
        found: Those of them that the picture has.
        nearest: The most similar real characters with their similarity, -1 to 1, the most similar first.
        novelty: 0 for a copy of a training picture to 1 for nothing like any.
    """

    wanted: tuple[str, ...]
    found: tuple[str, ...]
    nearest: tuple[tuple[str, float], ...]
    novelty: float


@dataclass(frozen=True, slots=True)
class PictureScore:
    """A picture, judged.

    Attributes:
        cell: Where it is.
        statistics: By name, see ``features.STATISTICS``.
        style: How far it is from ink on paper as in training, 0 for not at all, in half bands.
        shape: How far it is from being built as in training; the median of sound pictures is 1.
        score: 0 to 100, higher is better.
        fault: Why it counts as exploded, in words; empty if it does not.
        oddities: What is most out of range, in words, the worst first.
        parts: What the trained judge sees; None without it.
    """

    cell: Cell
    statistics: Mapping[str, float]
    style: float
    shape: float
    score: float
    fault: str
    oddities: tuple[str, ...]
    parts: Parts | None = None


@dataclass(frozen=True, slots=True)
class WeightPoint:
    """How large an adapter is at a checkpoint.

    Numbers of a checkpoint that cannot be read, or whose weights are not finite, are NaN.

    Attributes:
        step: Of the run.
        frobenius: Root of the sum of squares of ||BA|| over the modules looked at, scaled as it is applied.
        spectral: The largest spectral norm of a module.
        jump: The largest growth of a module's spectral norm against the checkpoint before, as a factor; 1 for the
            first.
        module: The one that jumped.
        modules: How many were looked at.
        fault: Why it counts as exploded, in words; empty if it does not.
    """

    step: int
    frobenius: float
    spectral: float
    jump: float
    module: str
    modules: int
    fault: str


@dataclass(frozen=True, slots=True)
class JudgedStep:
    """A checkpoint, or a step with pictures and no checkpoint.

    Attributes:
        step: Of the run.
        has_weights: Whether its adapter is there.
        path: Of the checkpoint, inside the run folder; empty if there is none.
        pictures: How many were judged.
        style: Their mean.
        shape: Their mean.
        score: Their mean; None without pictures.
        flags: Why it is not to be chosen.
    """

    step: int
    has_weights: bool
    path: str
    pictures: int
    style: float | None
    shape: float | None
    score: float | None
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """Numbers over the steps, thinned; None where one was not finite.

    Attributes:
        steps: Ascending.
        loss: At each.
        gradient: At each.
        rate: Learning rate at each.
    """

    steps: tuple[int, ...]
    loss: tuple[float | None, ...]
    gradient: tuple[float | None, ...]
    rate: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """Time and money.

    Attributes:
        hours: That the trainer ran.
        usd: By the price of the machine; None if it has none.
        price_source: Whose price that is.
        step_s: Median seconds of a step; None if not known.
    """

    hours: float
    usd: float | None
    price_source: str
    step_s: float | None


@dataclass(frozen=True, slots=True)
class DatasetShort:
    """The dataset of a run in short.

    Attributes:
        pictures: How many.
        digest: Of the whole.
        caption: The first one.
        hub: ``REPO_ID@REVISION``; empty if it is not from the Hub.
        style: How its pictures are drawn, in words; empty if it is not known.
    """

    pictures: int
    digest: str
    caption: str
    hub: str
    style: str


@dataclass(frozen=True, slots=True)
class Fact:
    """Where a number comes from.

    Attributes:
        what: The number, in words.
        how: Measured, computed, published or estimated, by whom and from what.
    """

    what: str
    how: str


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A run, judged.

    Attributes:
        name: Of its folder.
        folder: Absolute.
        status: As ``monitor`` tells it.
        reason: Why it ended; empty if it did not or all is well.
        step: The last one done.
        total_steps: Of the whole run.
        prompts: Prompts in their style, by short name.
        verdict: Which checkpoint.
        steps: Checkpoints and steps with pictures, ascending.
        pictures: All that were judged, the base model's among them.
        curves: Loss, gradient and learning rate.
        phases: Explosions, by the guard's rule.
        weights: Of the checkpoints; none if they were not looked at.
        cost: Time and money.
        settings: The spec, flattened: ``optimizer.learning_rate`` to ``0.0001``.
        dataset: In short.
        warnings: What a user should know, a sentence each, without a full stop.
        facts: Where the numbers come from.
    """

    name: str
    folder: Path
    status: str
    reason: str
    step: int
    total_steps: int
    prompts: Mapping[str, str]
    verdict: Verdict
    steps: tuple[JudgedStep, ...]
    pictures: tuple[PictureScore, ...]
    curves: Curves
    phases: tuple[Phase, ...]
    weights: tuple[WeightPoint, ...]
    cost: Cost
    settings: Mapping[str, str]
    dataset: DatasetShort
    warnings: tuple[str, ...]
    facts: tuple[Fact, ...]
