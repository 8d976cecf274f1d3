from __future__ import annotations

from dataclasses import replace

import pytest

from kanjiprep.training import disk, models
from kanjiprep.training.disk import Pictures
from kanjiprep.training.models import Workload

TINY = Workload(flavour="tiny", rank=64, batch=6, resolution_px=256)
SAMPLES = 12


@pytest.mark.parametrize(
    ("workload", "weights", "optimizer"),
    [
        (TINY, 201_624, 610_919),
        (replace(TINY, optimizer="optimi-stableadamw"), 201_632, 616_782),
        (replace(TINY, optimizer="torch-adamw"), 201_624, 413_479),
        (replace(TINY, train="full"), 1_836_424, 2_013_515),
    ],
    ids=("adamw_bf16", "optimi-stableadamw", "torch-adamw", "full"),
)
def test_files_are_as_large_as_simpletuner_wrote_them(workload: Workload, weights: int, optimizer: int) -> None:
    one = disk.checkpoint(workload, SAMPLES, 0)
    assert one.weights.value == pytest.approx(weights, rel=0.01)
    assert one.optimizer.value == pytest.approx(optimizer, rel=0.01)


def test_the_rest_of_a_checkpoint_is_as_large_as_simpletuner_wrote_it() -> None:
    seen = sum((9, 395, 39, 14_497, 1_401, 1_210, 88))
    assert disk.checkpoint(TINY, SAMPLES, 0).rest.value == pytest.approx(seen, rel=0.15)


def test_caches_are_within_their_bands() -> None:
    tiny = models.model_of("sd3", "tiny")
    text = disk.text_cache_bytes(tiny, 1)
    assert text.low < 17_270 < text.high, "mean of 14 files"
    latent = disk.latent_cache_bytes(tiny, 256, 1)
    assert latent.low < 61_650 / 2 < latent.high, "fp32 on a CPU, so twice what a GPU writes"


def test_a_checkpoint_of_the_original_work() -> None:
    """Rank 768: 1.14 GB of weights, 3.4 GB of optimizer."""
    one = disk.checkpoint(Workload(rank=768, batch=6), 6_413, 0)
    assert one.weights.value == pytest.approx(1.1356e9, rel=0.001)
    assert one.optimizer.value == pytest.approx(3.407e9, rel=0.001)
    assert one.rest.value < 1e6


def test_only_kept_checkpoints_count_and_the_one_being_written() -> None:
    few, many = (disk.disk(TINY, SAMPLES, Pictures(1, written, 5, 1, 0, 0)) for written in (3, 30))
    assert few.checkpoints.value == pytest.approx(3 * few.checkpoint.total.value)
    assert many.checkpoints.value == pytest.approx(6 * many.checkpoint.total.value)


def test_all_parts_count() -> None:
    all_of_it = disk.disk(Workload(rank=768, batch=6, validation_px=1024), 6_413, Pictures(1, 30, 5, 1, 30, 4))
    parts = ("checkpoints", "result", "text_cache", "latent_cache", "pictures", "download")
    assert all_of_it.total.value == pytest.approx(sum(getattr(all_of_it, name).value for name in parts))
    assert all(getattr(all_of_it, name).value > 0 for name in parts)
    assert (all_of_it.total.unit, all_of_it.total.how) == ("bytes", "estimated")


def test_full_fine_tuning_ends_with_a_pipeline() -> None:
    full = disk.disk(Workload(train="full"), 6_413, Pictures(1, 3, 1, 1, 0, 0))
    assert full.result.value > full.download.value > full.checkpoint.weights.value > 16e9


def test_sharding_makes_checkpoints_larger() -> None:
    full = Workload(train="full", gpus=8)
    alone, zero2, sharded = (
        disk.checkpoint(full, 6_413, 0, sharding).optimizer.value for sharding in ("none", "zero2", "full")
    )
    assert zero2 == pytest.approx(12 * 8.0566e9, rel=0.001)
    assert alone < sharded < zero2


def test_sd15_has_small_caches() -> None:
    small = models.model_of("sd1x", "1.5")
    assert disk.text_cache_bytes(small, 1).high == 2 * 77 * 768
    assert disk.latent_cache_bytes(small, 512, 1).high == 2 * 4 * 64 * 64
