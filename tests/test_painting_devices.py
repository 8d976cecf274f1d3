from __future__ import annotations

import sys

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.publishing.painting import devices
from kanjiprep.publishing.painting.devices import Machine, Need, Placement, Ways, choose

GIB = 2**30
LARGE = Need("SD3.5 Large", {"transformer": 8_056_627_520, "T5": 4_762_310_656, "CLIP": 818_310_144}, GIB)
SMALL = Need("tiny", {"transformer": 1000})
A100 = Machine("A100", 39 * GIB, has_bfloat16=True, ram_free_bytes=100 * GIB)
LAPTOP = Machine(ram_free_bytes=16 * GIB)


def gpu(free_gib: float, **changes: bool) -> Machine:
    return Machine("GPU", round(free_gib * GIB), changes.get("has_bfloat16", True), ram_free_bytes=100 * GIB)


@pytest.mark.parametrize(("free_gib", "offload"), [(39, "none"), (24, "model"), (19.5, "model"), (11, "sequential")])
def test_what_waits_in_memory_follows_from_the_gpus_free_memory(free_gib: float, offload: str) -> None:
    chosen = choose(Ways(), gpu(free_gib), LARGE)
    assert (chosen.device, chosen.dtype, chosen.offload) == ("cuda", "bfloat16", offload)
    assert f"{free_gib:.1f} GiB of GPU are free" in chosen.why


def test_a_gpu_without_bfloat16_takes_float16() -> None:
    assert choose(Ways(), gpu(15, has_bfloat16=False), SMALL).dtype == "float16"


def test_what_is_asked_for_is_done_and_the_other_choice_told() -> None:
    chosen = choose(Ways(offload="sequential", dtype="float32"), A100, SMALL)
    assert (chosen.offload, chosen.dtype) == ("sequential", "float32")
    assert chosen.why == "asked for; by memory it would be none"


def test_a_gpu_is_taken_before_a_cpu_and_apples_before_a_cpu() -> None:
    assert choose(Ways(), Machine(has_mps=True, ram_free_bytes=GIB), SMALL).device == "mps"
    assert choose(Ways(device="cpu"), A100, SMALL).device == "cpu"
    assert choose(Ways(), LAPTOP, SMALL) == Placement("cpu", "float32", "none", "there is no GPU here")


def test_a_large_model_on_a_cpu_without_the_memory_is_refused_unless_asked_for() -> None:
    with pytest.raises(
        UsageError, match=r"needs about 51.8 GiB .* 16.0 GiB are free; .*--device cpu --dtype bfloat16"
    ):
        choose(Ways(), LAPTOP, LARGE)
    with pytest.raises(UsageError, match=r"insist with --device cpu$"):
        choose(Ways(dtype="bfloat16"), LAPTOP, LARGE)
    asked = choose(Ways(device="cpu"), LAPTOP, LARGE)
    assert asked.warnings == (
        "the model takes about 51.8 GiB of the computer's memory while it is loaded, and 16.0 GiB are free",
    )
    assert choose(Ways(), Machine(ram_free_bytes=60 * GIB), LARGE).device == "cpu"


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="torch finds no cuda device here; use cpu, or install torch with CUDA"):
        choose(Ways(device="cuda"), LAPTOP, SMALL)
    with pytest.raises(UsageError, match="torch finds no mps device here; use cuda or cpu$"):
        choose(Ways(device="mps"), A100, SMALL)


def test_offload_without_a_gpu_is_refused() -> None:
    with pytest.raises(UsageError, match="--offload: model is for an NVIDIA GPU, and the device is cpu"):
        choose(Ways(offload="model"), LAPTOP, SMALL)
    assert choose(Ways(offload="none"), LAPTOP, SMALL).offload == "none"


def test_this_machine_is_read_and_torch_is_needed_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.read_machine().ram_free_bytes > 0
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError) as told:
        devices.read_machine()
    assert str(told.value) == "pictures need diffusers; pip install 'kanjiprep[generate]'"


def test_a_gpu_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (5, 9))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "T4")
    found = devices.read_machine()
    assert (found.cuda, found.cuda_free_bytes, found.has_bfloat16) == ("T4", 5, False)
