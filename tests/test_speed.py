from __future__ import annotations

from dataclasses import replace

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training import gpus, models, speed
from kanjiprep.training.models import Workload
from kanjiprep.training.provenance import exact
from kanjiprep.training.speed import Drawing

WRITTEN = exact(2e12, "bytes", "computed", "checkpoints")
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
    assert step.source.startswith("operations at 0.25 to 0.5 of 312 TFLOP/s (NVIDIA A100 datasheet")
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
    hours = speed.duration(LARGE, gpu(), 36_000, 6_413, Drawing(36_000 // 400, 30), WRITTEN).total
    assert 50 < 2 * hours.low * 1.29 < 2 * hours.value * 1.29 < 450


def test_a_run_is_the_sum_of_its_parts() -> None:
    run = speed.duration(LARGE, gpu(), 1000, 6413, Drawing(30, 30), WRITTEN)
    assert run.training.value == pytest.approx(1000 / 3600 * speed.step_seconds(LARGE, gpu()).value)
    parts = (run.setup, run.caches, run.training, run.validation, run.checkpoints)
    assert run.total.value == pytest.approx(sum(one.value for one in parts))
    assert all(one.value > 0 and one.unit == "h" for one in parts)
    assert run.checkpoints.value * 3600 == pytest.approx(2e12 / 8e8)


def test_guidance_draws_twice() -> None:
    twice, once = (speed.validation_hours(LARGE, gpu(), Drawing(10, 1000, guided)) for guided in (True, False))
    assert twice.value == pytest.approx(2 * once.value, rel=0.01)


def test_more_gpus_share_the_caches_and_scale_almost() -> None:
    one, eight = (
        speed.duration(replace(LARGE, gpus=gpus), gpu(), 1000, 6413, Drawing(0, 30), WRITTEN) for gpus in (1, 8)
    )
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
