"""Made-up runs of small adapters with the truth known: factors trained by Adam on a toy problem, some of them kicked.

Every module fits its own random matrix by its two factors, with noise in the gradient, under a schedule that
presets use. So norms grow from zero as they do in training: fast at first, under a warm-up faster still, slowly
later, each module at its own pace. An explosion is a matrix of rank one on top of a module's product, as large as a
factor of its norm says, which stays, goes at once after some checkpoints (the rollback), or fades.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
After = Literal["stays", "goes", "fades"]

BLOCKS, KINDS = 6, 4
MODULES: Final = BLOCKS * KINDS
WIDTH, RANK = 16, 4
UPDATES: Final = 1200
"""Of the toy; ten steps of a run are one."""
STEPS_EACH: Final = 10
RECORDED_EACH: Final = 40
"""Updates between two records of the factors; a run has a checkpoint at each, each second or each third."""
OF_ALL: Final = 0.1
"""Share of explosions that hit every module."""

SCHEDULES: Mapping[str, Callable[[Array], Array]] = {
    "constant": np.ones_like,
    "constant, warm-up 10 %": lambda done: np.minimum(done / 0.1, 1),
    "cosine": lambda done: 0.5 + 0.5 * np.cos(np.pi * done),
    "cosine, warm-up 10 %": lambda done: np.minimum(done / 0.1, 0.5 + 0.5 * np.cos(np.pi * (done - 0.1) / 0.9)),
    "polynomial, warm-up 20 %": lambda done: np.minimum(done / 0.2, (1 - done) / 0.8),
    "4 cosines, warm-up 5 %": lambda done: np.minimum(done / 0.05, 0.5 + 0.5 * np.cos(8 * np.pi * (done % 0.25) / 2)),
}
"""Share of the peak learning rate by share of the run that is done."""


@dataclass(frozen=True, slots=True)
class Explosion:
    """What was done to a run.

    Attributes:
        start: Index of its first checkpoint.
        stop: Behind its last; the number of checkpoints if it stays.
        factor: By how much the norm of the module that was hit most is larger than without it, at its first
            checkpoint.
        modules: How many were hit.
        after: What becomes of it.
    """

    start: int
    stop: int
    factor: float
    modules: int
    after: After


@dataclass(frozen=True, slots=True)
class Run:
    """Spectral norms over checkpoints.

    Attributes:
        schedule: Its name.
        steps: Of the checkpoints.
        spectral: Of each module at each.
        explosions: None in a healthy run.
    """

    schedule: str
    steps: tuple[int, ...]
    spectral: Array
    explosions: tuple[Explosion, ...]


def runs(count: int, first_seed: int) -> Iterator[Run]:
    """As many runs, half of them healthy, the schedules in turn."""
    names = [tuple(SCHEDULES)[index % len(SCHEDULES)] for index in range(count)]
    downs, ups = trained(names, first_seed)
    for index, name in enumerate(names):
        random = np.random.default_rng((first_seed, index))
        stride = int(random.integers(1, 4))
        down, up = downs[index, stride - 1 :: stride], ups[index, stride - 1 :: stride]
        steps = tuple(stride * RECORDED_EACH * STEPS_EACH * (number + 1) for number in range(len(down)))
        is_healthy = index // len(SCHEDULES) % 2 == 0
        products = up @ down
        explosions: list[Explosion] = []
        for _ in range(0 if is_healthy else int(random.integers(1, 3))):
            last = explosions[-1].stop + 2 if explosions else 1
            if last < len(steps):
                products, explosion = kicked(products, last, random)
                explosions.append(explosion)
        yield Run(name, steps, norms_of(products), tuple(explosions))


def norms_of(products: Array) -> Array:
    """The spectral norm of each matrix."""
    return np.asarray(np.linalg.svd(products, compute_uv=False)[..., 0])


def trained(names: list[str], seed: int) -> tuple[Array, Array]:
    """Both factors of every run and module at every record, ``(run, record, module, rows, columns)``."""
    random = np.random.default_rng(seed)
    lead = (len(names), MODULES)
    done = np.arange(UPDATES) / UPDATES
    rates = np.stack([SCHEDULES[name](done) for name in names]) * 10 ** random.uniform(-4, -2, (len(names), 1))
    pace = 10 ** random.uniform(-0.3, 0.3, (*lead, 1, 1))  # modules differ in how hard they are pulled
    noise = 10 ** random.uniform(-1.5, 0.5, (len(names), 1, 1, 1))
    decay = random.choice([0, 0.01], (len(names), 1, 1, 1))
    wanted = random.standard_normal((*lead, WIDTH, RANK)) @ random.standard_normal((*lead, RANK, WIDTH)) / WIDTH
    factors = [random.uniform(-1, 1, (*lead, RANK, WIDTH)) / WIDTH**0.5, np.zeros((*lead, WIDTH, RANK))]
    means, squares = [[np.zeros_like(one) for one in factors] for _ in range(2)]
    records: tuple[list[Array], list[Array]] = ([], [])
    for update in range(UPDATES):
        down, up = factors
        slope = pace * (up @ down - wanted)
        slopes = [up.swapaxes(-1, -2) @ slope, slope @ down.swapaxes(-1, -2)]
        for index, one in enumerate(slopes):
            noisy = one + noise * pace * 0.1 * random.standard_normal(one.shape)
            means[index] += 0.1 * (noisy - means[index])
            squares[index] += 0.01 * (noisy**2 - squares[index])
            fresh = 1 - 0.9 ** (update + 1), 1 - 0.99 ** (update + 1)
            move = means[index] / fresh[0] / (np.sqrt(squares[index] / fresh[1]) + 1e-8)
            factors[index] = factors[index] - rates[:, update, None, None, None] * (move + decay * factors[index])
        if (update + 1) % RECORDED_EACH == 0:
            for kept, one in zip(records, factors, strict=True):
                kept.append(one)
    down, up = (np.stack(kept, axis=1) for kept in records)
    return down, up


def kicked(products: Array, earliest: int, random: np.random.Generator) -> tuple[Array, Explosion]:
    """The products with one explosion, and what it is."""
    length = len(products)
    start = int(random.integers(earliest, length))
    after: After = ("stays", "goes", "fades")[int(random.integers(3))]
    wanted = float(np.exp(random.uniform(np.log(1.3), np.log(30))))
    hit = _hit(random)
    course = _course(after, length - start, random)
    before = norms_of(products)[start]
    found = products.copy()
    for module in hit:
        strength = wanted ** random.uniform(0.7, 1) - 1
        left, right = random.standard_normal((2, WIDTH))
        kick = np.outer(left / np.linalg.norm(left), right / np.linalg.norm(right))
        top = np.linalg.svd(products[start, module])
        kick = 0.7 * np.outer(top.U[:, 0], top.Vh[0]) + 0.3 * kick  # most of it along what the module does already
        found[start:, module] += before[module] * strength * course[:, None, None] * kick
    factors = norms_of(found)[start] / before
    is_over = 1 + (wanted - 1) * course < wanted**0.5  # what is left of one that fades counts as over at its root
    stop = start + (int(is_over.argmax()) if is_over.any() else length - start)
    return found, Explosion(start, stop, float(factors.max()), len(hit), after)


def _hit(random: np.random.Generator) -> list[int]:
    """Modules: some or all of neighbouring blocks, one time in ten of all blocks."""
    if random.random() < OF_ALL:
        return list(range(MODULES))
    blocks = int(random.integers(1, 1 + BLOCKS // 2))
    first = int(random.integers(0, BLOCKS - blocks + 1))
    kinds = random.choice(KINDS, ceil(KINDS * random.random()), replace=False)
    return [block * KINDS + int(kind) for block in range(first, first + blocks) for kind in kinds]


def _course(after: After, length: int, random: np.random.Generator) -> Array:
    """The size of an explosion at each checkpoint from its first, which is 1."""
    ages = np.arange(length)
    if after == "goes":
        return (ages < random.integers(1, 7)).astype(float)
    return 0.5 ** (ages / random.uniform(0.7, 3)) if after == "fades" else np.ones(length)
