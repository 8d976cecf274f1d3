from __future__ import annotations

from dataclasses import replace

import pytest

from kanjiprep.training import flops, models
from kanjiprep.training.models import Workload

LARGE = Workload(rank=768, batch=6)


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
    assert flops.forward(models.model_of(*name), px).total == counted


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
    attention = flops.forward(model, workload.resolution_px).attention
    passes = 1 + workload.gradient_checkpointing + 2.5
    assert flops.of_step(workload).total - passes * attention == pytest.approx(counted, rel=rel)


def test_batch_and_accumulation_multiply() -> None:
    one = flops.of_step(replace(LARGE, batch=1)).total
    assert flops.of_step(replace(LARGE, batch=3, accumulation=4)).total == pytest.approx(12 * one)


def test_a_guided_step_of_inference_is_two_forward_passes() -> None:
    model = models.model_of("sd3", "large")
    twice = flops.of_picture_step(replace(LARGE, rank=1), 1024).total / flops.forward(model, 1024).total
    assert 2 < twice < 2.01
    full = flops.of_picture_step(replace(LARGE, train="full"), 1024)
    assert full.total == 2 * flops.forward(model, 1024).total


@pytest.mark.parametrize(
    ("way", "px", "counted"),
    [("encode", 512, 1_117_563_912_192), ("encode", 1024, 4_882_572_509_184), ("decode", 1024, 10_472_204_009_472)],
)
def test_the_vaes_operations_are_those_that_torch_counts(way: str, px: int, counted: int) -> None:
    assert flops.vae_flops(way, px) == counted  # type: ignore[arg-type]
