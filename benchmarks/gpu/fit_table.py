"""Fits the formulas of seconds and memory to the measured steps, and tells their error on cells that were left out.

Every third cell of the table, in the order of measurement, is left out of the fit. Then each cell is left out in
turn. The rival is what ``plan`` said before anything was measured: operations at 0.35 of the card's peak. The last
line is one JSON document with the ratio of the two errors.

Usage: python benchmarks/gpu/fit_table.py
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from kanjiprep.training import gpus, memory, models, pace, step_table
from kanjiprep.training.models import Workload
from kanjiprep.training.pace import Pace
from kanjiprep.training.step_table import Cell

RIVAL_SHARE = 0.35
_EXPECTED = Pace(0.7, 0.45, 500.0, 0.0025, 0.01, 0.0009, 6e-11)
_FREEDOM = (0.05, 0.3, 0.7, 1.0, 1.0, 1.0, 1.0)
"""How far, as a power of e, a constant may stray from what is expected before it costs as much as an error of 5 %."""
_ERROR = 0.05


def split(cells: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """Every third cell, which is left out of the fit, and the others."""
    left = list(cells[2::3])
    return left, [cell for cell in cells if cell not in left]


def fit(cells: Sequence[Cell]) -> Pace:
    """The constants with which the formula meets ``cells`` best."""
    gpu = gpus.gpu_named(gpus.load(), pace.MEASURED_ON)
    works = [pace.of_cell(cell) for cell in cells]

    def misses(strayed: Sequence[float]) -> list[float]:
        tried = Pace(*(value * math.exp(by) for value, by in zip(astuple(_EXPECTED), strayed, strict=True)))
        said = (pace.seconds(work, gpu, tried) for work in works)
        off = [math.log(one / cell.median_s) / _ERROR for one, cell in zip(said, cells, strict=True)]
        return [*off, *(by / free for by, free in zip(strayed, _FREEDOM, strict=True))]

    strayed = least_squares(misses, [0.0] * len(_FREEDOM)).x
    found = (value * math.exp(by) for value, by in zip(astuple(_EXPECTED), strayed, strict=True))
    return Pace(*(float(f"{value:.3g}") for value in found))


def errors(cells: Sequence[Cell], say: Callable[[Cell], float], truth: Callable[[Cell], float]) -> list[float]:
    """Relative errors of what ``say`` says of each cell."""
    return [say(cell) / truth(cell) - 1 for cell in cells]


def by(constants: Pace) -> Callable[[Cell], float]:
    """What the formula says with ``constants``."""
    gpu = gpus.gpu_named(gpus.load(), pace.MEASURED_ON)
    return lambda cell: pace.seconds(pace.of_cell(cell), gpu, constants)


def rival(cell: Cell) -> float:
    """Operations at a fixed share of the peak."""
    gpu = gpus.gpu_named(gpus.load(), pace.MEASURED_ON)
    return pace.of_cell(cell).flops.total / ((gpu.bf16_tflops or 0.0) * 1e12 * RIVAL_SHARE)


def held(cell: Cell) -> float:
    """What ``plan`` says that the cell takes of the card, in GiB."""
    return memory.vram(cell.workload).total.value


def fit_memory(cells: Sequence[Cell]) -> dict[str, float]:
    """What ``cells`` say of the constants that come on top of what is counted; names as in ``memory``."""
    trained = [cell for cell in cells if _is_training(cell)]
    beyond = [cell.allocated_gib - memory.counted_gib(cell.workload) for cell in trained]
    rows, kept = [], []
    for cell in trained:
        alive, keeps = memory.activation_bytes(cell.workload) / memory.GIB, cell.workload.gradient_checkpointing
        gradients = 2 * models.trained_parameters(cell.workload) / memory.GIB
        rows.append([1.0, alive * keeps, alive * (not keeps), gradients])
        kept.append(cell.reserved_gib - cell.allocated_gib)
    names = ("reserve_gib", "reserve_again", "reserve_kept", "reserve_of_gradients")
    found = dict(zip(names, map(float, np.linalg.lstsq(np.array(rows), np.array(kept), rcond=None)[0]), strict=True))
    context = statistics.mean(cell.beside_gib for cell in trained)
    return {"context_gib": context, "workspace_gib": statistics.mean(beyond), **found}


def worst(values: Sequence[float]) -> float:
    """The largest error, without its sign."""
    return max(map(abs, values))


def main() -> None:
    """Fit, and print what came of it."""
    cells = step_table.cells()
    left, kept = split(cells)
    found = fit(kept)
    print(f"fitted to {len(kept)} cells, {len(left)} left out")
    for field in fields(found):
        print(f"  {field.name:<11} {getattr(found, field.name):.3g}   (in use: {getattr(pace.PACE, field.name):.3g})")
    each = [errors([cell], by(fit([one for one in cells if one is not cell])), _median_s)[0] for cell in cells]
    off = errors(cells, by(found), _median_s)
    print(f"\n{'cell':<58} {'s':>6} {'formula':>8} {'error':>7} {'alone':>7} {'GiB':>7} {'formula':>8} {'error':>7}")
    for number, cell in enumerate(cells):
        print(_line(cell, by(found)(cell), off[number], each[number], cell in left))
    print("\nmemory beside what is counted, by the same cells:")
    for name, value in fit_memory(kept).items():
        print(f"  {name:<21} {value:.3g}")
    print(json.dumps(_result(cells, left, found, each)))


def _result(cells: Sequence[Cell], left: Sequence[Cell], found: Pace, each: Sequence[float]) -> dict[str, Any]:
    trained = [cell for cell in left if cell.kind == "train"]
    ours, theirs = errors(trained, by(found), _median_s), errors(trained, rival, _median_s)
    alone = [one for one, cell in zip(each, cells, strict=True) if _is_training(cell)]
    took = errors([cell for cell in cells if cell.kind == "train"], held, lambda cell: cell.held_gib)
    return {
        "benchmark": "fit_table",
        "left_out": len(left),
        "worst_of_left_out": worst(ours),
        "worst_left_out_one_by_one": worst(alone),
        "median_left_out_one_by_one": statistics.median(map(abs, alone)),
        "worst_of_rival": worst(theirs),
        "ratio_of_worst_errors": worst(ours) / worst(theirs),
        "worst_of_memory": worst(took),
        "worst_of_memory_left_out": worst(errors(trained, held, lambda cell: cell.held_gib)),
        "worst_of_inference_left_out": worst(
            errors([one for one in left if one not in trained], by(found), _median_s)
        ),
    }


def _is_training(cell: Cell) -> bool:
    return cell.kind == "train"


def _median_s(cell: Cell) -> float:
    return cell.median_s


def _line(cell: Cell, said: float, off: float, alone: float, is_left: bool) -> str:
    what: Workload = cell.workload
    keeps = "checkpointing" if what.gradient_checkpointing else "all kept"
    name = f"{what.flavour} {cell.kind} {what.resolution_px} x{what.batch} rank {what.rank} {keeps} {what.optimizer}"
    text = f"{'*' if is_left else ' '}{name:<57} {cell.median_s:6.3f} {said:8.3f} {off:+7.1%} {alone:+7.1%}"
    if not _is_training(cell):
        return text
    return f"{text} {cell.held_gib:7.2f} {held(cell):8.2f} {held(cell) / cell.held_gib - 1:+7.1%}"


if __name__ == "__main__":
    main()
