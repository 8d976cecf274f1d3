from __future__ import annotations

from dataclasses import replace

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training import gpus, speed
from kanjiprep.training.models import Workload
from kanjiprep.training.provenance import exact
from kanjiprep.training.speed import Drawing

WRITTEN = exact(2e12, "bytes", "computed", "checkpoints")
LARGE = Workload(rank=768, batch=6, validation_px=1024)


def gpu(name: str = "a100-40gb-sxm") -> gpus.Gpu:
    return gpus.gpu_named(gpus.load(), name)


def test_a_step_on_a_card_that_was_not_measured_is_a_wide_band_with_its_reason() -> None:
    step = speed.step_seconds(LARGE, gpu())
    assert step.low < step.value < step.high < 2.1 * step.low
    assert (step.unit, step.how) == ("s", "estimated")
    assert "steps on an H200" in step.source
    assert "at 312 TFLOP/s and 1.555 TB/s instead; this card was not measured" in step.source


def test_a_step_that_was_measured_is_told_as_such() -> None:
    step = speed.step_seconds(replace(LARGE, gradient_checkpointing=True), gpu("h200"))
    assert step.value == pytest.approx(2.256, abs=0.001)
    assert step.how == "measured"
    assert step.source.startswith("median of twenty steps on an H200, 2026-11-27")
    assert step.high / step.value == pytest.approx(1.1)
    other = speed.step_seconds(replace(LARGE, batch=3), gpu("h200"))
    assert other.how == "estimated"
    assert other.high / other.value == pytest.approx(1.2)


def test_the_users_own_run_on_the_cards_that_lambda_rents() -> None:
    """Rank 768, batch 6, 32,070 steps with the trainer's own dropout."""
    own = replace(LARGE, dropout=0.1)
    drawing = Drawing(32_070 // 600, 28)
    for name, price, hours in (("a100-40gb-sxm", 1.99, 62.8), ("h100-80gb-sxm", 4.29, 25.0)):
        run = speed.duration(own, gpu(name), 32_070, 6_413, drawing, exact(2.3e11, "bytes", "computed", "x")).total
        assert run.value == pytest.approx(hours, rel=0.01)
        assert run.low < 0.75 * run.value < 1.35 * run.value < run.high
        assert run.high * price < 450


def test_a_published_time_on_a_card_that_was_not_measured_is_met() -> None:
    """SD3.5 Large, 1024 px, 50 guided steps on an H100 SXM in 11.615 s, not compiled: onnxruntime PR 22986."""
    drawn = speed.validation_hours(replace(LARGE, rank=1), gpu("h100-80gb-sxm"), Drawing(1, 50))
    assert drawn.value * 3600 == pytest.approx(11.615, rel=0.03)
    assert drawn.low * 3600 < 11.615 < drawn.high * 3600


def test_bands_widen_where_less_is_known() -> None:
    sure = speed.step_seconds(replace(LARGE, batch=5), gpu("h200"))
    packed = speed.step_seconds(replace(LARGE, batch=5, precision="nf4"), gpu("h200"))
    unet = speed.step_seconds(replace(LARGE, family="sd1x", flavour="1.5"), gpu("h200"))
    assert [round(one.high / one.low, 1) for one in (sure, packed, unet)] == [1.5, 2.5, 5.0]
    assert "weights in nf4, a guess" in packed.source
    assert "a UNet's small levels" in unet.source


def test_both_runs_of_the_original_work_cost_less_than_all_that_was_spent() -> None:
    """Two runs of 36,000 steps, at 1.29 USD an hour at first; 450 USD were spent on everything."""
    hours = speed.duration(LARGE, gpu(), 36_000, 6_413, Drawing(36_000 // 400, 30), WRITTEN).total
    assert 50 < 2 * hours.low * 1.29 < 2 * hours.value * 1.29 < 450


def test_a_run_is_the_sum_of_its_parts() -> None:
    run = speed.duration(LARGE, gpu(), 1000, 6413, Drawing(30, 30), WRITTEN)
    assert run.training.value == pytest.approx(1000 / 3600 * speed.step_seconds(LARGE, gpu()).value)
    parts = (run.setup, run.caches, run.training, run.validation, run.checkpoints)
    assert run.total.value == pytest.approx(sum(one.value for one in parts))
    assert all(one.value > 0 and one.unit == "h" for one in parts)
    assert run.checkpoints.value * 3600 == pytest.approx(2e12 / 8e8)


@pytest.mark.parametrize("family", [("sd3", "large"), ("sd1x", "1.5")])
def test_guidance_draws_twice(family: tuple[str, str]) -> None:
    drawn = replace(LARGE, family=family[0], flavour=family[1])
    twice, once = (speed.validation_hours(drawn, gpu(), Drawing(10, 1000, guided)) for guided in (True, False))
    assert twice.value == pytest.approx(2 * once.value, rel=0.02)


def test_more_gpus_share_the_caches_and_scale_almost() -> None:
    one, eight = (
        speed.duration(replace(LARGE, gpus=gpus), gpu(), 1000, 6413, Drawing(0, 30), WRITTEN) for gpus in (1, 8)
    )
    assert eight.caches.value == pytest.approx(one.caches.value / 8)
    assert one.training.value < eight.training.value < 1.2 * one.training.value, "each step has eight batches"
    assert eight.validation.value == 0


def test_a_gpu_without_bf16_is_told() -> None:
    with pytest.raises(UsageError, match="V100 16 GB has no bf16, in which the trainer computes; choose a newer GPU"):
        speed.step_seconds(LARGE, gpu("v100-16gb"))
