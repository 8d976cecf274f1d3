from __future__ import annotations

from dataclasses import replace

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training import gpus, models, speed
from kanjiprep.training.models import Workload
from kanjiprep.training.speed import Drawing, MeasuredStep

LARGE = Workload(rank=768, batch=6, validation_px=1024)


def gpu(name: str = "a100-40gb-sxm") -> gpus.Gpu:
    return gpus.gpu_named(gpus.load(), name)


@pytest.mark.parametrize(
    ("name", "px", "counted"),
    [
        (("sd3", "large"), 512, 7_337_924_158_464),
        (("sd3", "large"), 1024, 30_249_588_679_680),
        (("sd3", "medium"), 1024, 10_982_313_836_544),
        (("sd1x", "1.5"), 512, 803_273_441_280),
        (("sd1x", "1.5"), 1024, 4_674_006_220_800),
    ],
)
def test_forward_operations_are_those_that_torch_counts(name: tuple[str, str], px: int, counted: int) -> None:
    assert speed.forward_flops(models.model_of(*name), px) == counted


TRAINING = [
    (Workload(rank=64, resolution_px=512), 20_593_585_160_192, 0.005),
    (Workload(rank=64, resolution_px=512, gradient_checkpointing=False), 13_746_284_101_632, 0.005),
    (Workload(train="full", resolution_px=512), 27_012_546_035_712, 0.005),
    (Workload(flavour="medium", rank=64, resolution_px=512), 6_052_287_086_592, 0.01),
    (Workload(family="sd1x", flavour="1.5", rank=64, resolution_px=512), 1_866_497_261_568, 0.13),
    (
        Workload(family="sd1x", flavour="1.5", train="full", resolution_px=512, gradient_checkpointing=False),
        2_028_616_253_440,
        0.005,
    ),
]
"""What torch's FlopCounterMode counts of a training step, all but attention (which a flash kernel hides from it)."""


@pytest.mark.parametrize(("workload", "counted", "rel"), TRAINING)
def test_training_operations_are_near_those_that_torch_counts(workload: Workload, counted: int, rel: float) -> None:
    model = models.model_of(workload.family, workload.flavour)
    attention = speed.forward_flops(replace(model, layers=()), workload.resolution_px)
    passes = 1 + workload.gradient_checkpointing + 2.5
    assert speed.step_flops(workload).value - passes * attention == pytest.approx(counted, rel=rel)


def test_batch_and_accumulation_multiply() -> None:
    one = speed.step_flops(replace(LARGE, batch=1)).value
    assert speed.step_flops(replace(LARGE, batch=3, accumulation=4)).value == pytest.approx(12 * one)


def test_a_step_is_a_band_with_its_reason() -> None:
    step = speed.step_seconds(LARGE, gpu())
    assert step.low < step.value < step.high == pytest.approx(2 * step.low)
    assert (step.unit, step.how) == ("s", "estimated")
    assert step.source == "operations at 0.25 to 0.5 of 312 TFLOP/s"
    assert "H100 in 11.6 s" in speed.UTILISATION.source


@pytest.mark.parametrize("seconds", [11.615, 7.466])
def test_the_published_inference_is_within_the_band(seconds: float) -> None:
    """SD3.5 Large, 1024 px, 50 guided steps on an H100 SXM, eager and compiled: onnxruntime PR 22986."""
    drawn = speed.validation_hours(LARGE, gpu("h100-80gb-sxm"), Drawing(1, 50))
    assert drawn.low * 3600 < seconds < drawn.high * 3600


def test_bands_widen_where_less_is_known() -> None:
    sure = speed.utilisation(LARGE)
    small = speed.utilisation(replace(LARGE, batch=1, resolution_px=512))
    unet = speed.utilisation(replace(LARGE, family="sd1x", flavour="1.5"))
    packed = speed.utilisation(replace(LARGE, precision="nf4"))
    assert small.low == unet.low < packed.low < sure.low
    assert {one.high for one in (sure, small, unet, packed)} == {0.5}


def test_both_runs_of_the_original_work_cost_less_than_all_that_was_spent() -> None:
    """Two runs of 36,000 steps, at 1.29 USD an hour at first; 450 USD were spent on everything."""
    hours = speed.duration(LARGE, gpu(), 36_000, 6_413, Drawing(36_000 // 400, 30)).total
    assert 50 < 2 * hours.low * 1.29 < 2 * hours.value * 1.29 < 450


def test_a_step_that_was_timed_is_preferred() -> None:
    timed = MeasuredStep("a100-40gb-sxm", LARGE, 5.25, "a run of 2026-11-20")
    step = speed.step_seconds(LARGE, gpu(), [timed])
    assert (step.value, step.how, step.source, step.is_exact) == (5.25, "measured", "a run of 2026-11-20", True)


def test_a_step_that_was_timed_with_another_batch_is_scaled() -> None:
    far = MeasuredStep("a100-40gb-sxm", replace(LARGE, batch=1), 1.0, "far")
    near = MeasuredStep("a100-40gb-sxm", replace(LARGE, batch=5), 5.0, "near")
    step = speed.step_seconds(LARGE, gpu(), [far, near])
    assert step.value == pytest.approx(6)
    assert (step.how, step.source) == ("estimated", "scaled by operations from 5 s (near)")
    assert speed.step_seconds(LARGE, gpu(), [far]).low == pytest.approx(6 * 0.5)


@pytest.mark.parametrize(
    "timed",
    [
        MeasuredStep("h100-80gb-sxm", LARGE, 1.0, "another GPU"),
        MeasuredStep("a100-40gb-sxm", replace(LARGE, precision="int8"), 1.0, "another precision"),
        MeasuredStep("a100-40gb-sxm", replace(LARGE, flavour="medium"), 1.0, "another model"),
    ],
)
def test_a_step_that_was_timed_of_something_else_tells_nothing(timed: MeasuredStep) -> None:
    assert speed.step_seconds(LARGE, gpu(), [timed]) == speed.step_seconds(LARGE, gpu())


def test_a_run_is_the_sum_of_its_parts() -> None:
    run = speed.duration(LARGE, gpu(), 1000, 6413, Drawing(30, 30))
    assert run.training.value == pytest.approx(1000 / 3600 * speed.step_seconds(LARGE, gpu()).value)
    assert run.total.value == pytest.approx(
        run.setup.value + run.caches.value + run.training.value + run.validation.value
    )
    assert all(one.value > 0 and one.unit == "h" for one in (run.setup, run.caches, run.training, run.validation))


def test_guidance_draws_twice() -> None:
    twice, once = (speed.validation_hours(LARGE, gpu(), Drawing(10, 1000, guided)) for guided in (True, False))
    assert twice.value == pytest.approx(2 * once.value, rel=0.01)


def test_more_gpus_share_the_caches_and_scale_almost() -> None:
    one, eight = (speed.duration(replace(LARGE, gpus=gpus), gpu(), 1000, 6413, Drawing(0, 30)) for gpus in (1, 8))
    assert eight.caches.value == pytest.approx(one.caches.value / 8)
    assert one.training.value < eight.training.value < 1.2 * one.training.value, "each step has eight batches"
    assert eight.validation.value == 0


@pytest.mark.parametrize(
    ("way", "px", "counted"),
    [("encode", 512, 1_117_563_912_192), ("encode", 1024, 4_882_572_509_184), ("decode", 1024, 10_472_204_009_472)],
)
def test_the_vaes_operations_are_those_that_torch_counts(way: str, px: int, counted: int) -> None:
    assert speed.vae_flops(way, px) == counted  # type: ignore[arg-type]


def test_a_gpu_without_bf16_is_told() -> None:
    with pytest.raises(UsageError, match="V100 16 GB has no bf16, in which the trainer computes; choose a newer GPU"):
        speed.step_seconds(LARGE, gpu("v100-16gb"))
