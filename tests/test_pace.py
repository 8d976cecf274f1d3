from __future__ import annotations

import sys
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from kanjiprep.training import gpus, memory, pace, step_table
from kanjiprep.training.models import Workload
from kanjiprep.training.step_table import Cell

sys.path.append(str(Path(__file__).parent.parent / "benchmarks" / "gpu"))

import fit_table

CELLS = step_table.cells()
LEFT, KEPT = fit_table.split(CELLS)
LEFT_OUT = [cell for cell in LEFT if cell.kind == "train"]


def gpu(name: str = "h200") -> gpus.Gpu:
    return gpus.gpu_named(gpus.load(), name)


def test_the_constants_are_those_of_the_fit() -> None:
    assert astuple(pace.PACE) == pytest.approx(astuple(fit_table.fit(KEPT)), rel=0.02)


def test_what_memory_adds_to_what_is_counted_is_that_of_the_fit() -> None:
    found = fit_table.fit_memory(KEPT)
    in_use = {
        "context_gib": memory._CONTEXT_GIB,
        "workspace_gib": memory._WORKSPACE_GIB,
        "reserve_gib": memory._RESERVE_GIB,
        "reserve_again": memory._RESERVE[True],
        "reserve_kept": memory._RESERVE[False],
        "reserve_of_gradients": memory._RESERVE_OF_GRADIENTS,
    }
    assert found == pytest.approx(in_use, rel=0.02)


@pytest.mark.parametrize("cell", LEFT_OUT, ids=str)
def test_seconds_of_steps_that_were_left_out_are_met_within_fifteen_percent(cell: Cell) -> None:
    said = pace.estimate(pace.of_cell(cell), gpu())
    assert said.value == pytest.approx(cell.median_s, rel=0.15)
    assert said.low < cell.median_s < said.high


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.kind == "train"], ids=str)
def test_memory_of_measured_steps_is_met_within_three_percent(cell: Cell) -> None:
    need = memory.vram(cell.workload).total
    assert need.value == pytest.approx(cell.held_gib, rel=0.03)
    assert need.low < cell.allocated_gib + cell.beside_gib < cell.held_gib < need.high


def test_the_formula_is_better_than_a_share_of_the_peak() -> None:
    ours, theirs = (
        fit_table.worst(fit_table.errors(LEFT_OUT, say, lambda cell: cell.median_s))
        for say in (fit_table.by(pace.PACE), fit_table.rival)
    )
    assert ours < theirs / 5


def test_small_batches_wait_for_the_processor() -> None:
    small = pace.training(Workload(rank=128, resolution_px=512))
    assert pace.processor_s(small, pace.PACE) > 3 * pace.card_s(small, gpu(), pace.PACE)
    large = pace.training(Workload(rank=128, batch=6))
    assert pace.processor_s(large, pace.PACE) < pace.card_s(large, gpu(), pace.PACE) / 3


def test_another_card_is_slower_by_its_peak_and_bandwidth() -> None:
    work = pace.training(Workload(rank=768, batch=6))
    here, there, between = (pace.estimate(work, gpu(name)) for name in ("h200", "a100-40gb-sxm", "h100-80gb-sxm"))
    assert there.value / here.value == pytest.approx(989.5 / 312, rel=0.07)
    assert here.value < between.value < 4.8 / 3.35 * here.value
    assert here.high / here.low == pytest.approx(1.5, abs=0.01)
    assert there.high / there.low == pytest.approx(2, abs=0.03)


def test_more_batches_a_step_visit_the_optimizer_once() -> None:
    one, three = (pace.training(Workload(rank=64, accumulation=count)) for count in (1, 3))
    assert three.flops.total == pytest.approx(3 * one.flops.total)
    assert (three.launched, three.again, three.modules) == (3 * one.launched, 3 * one.again, one.modules)


def test_full_fine_tuning_has_no_modules_to_visit_and_goes_back_further() -> None:
    lora, full = (pace.training(Workload(train=train)) for train in ("lora", "full"))
    assert (full.modules, lora.modules) == (0, 152)
    assert full.moved > lora.moved
    assert full.numbers > 8e9


def test_half_the_samples_are_launched_as_often() -> None:
    whole = pace.drawing(Workload(), 1024)
    half = pace.shrunk(whole, 0.5)
    assert half.flops.total == pytest.approx(whole.flops.total / 2)
    assert half.launched == whole.launched


def test_a_fused_optimizer_launches_little() -> None:
    each, fused = (
        pace.training(replace(LEFT_OUT[0].workload, optimizer=name)) for name in ("adamw_bf16", "torch-adamw")
    )
    assert each.modules > fused.modules == 0
