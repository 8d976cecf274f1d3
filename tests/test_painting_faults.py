from __future__ import annotations

import pytest

from kanjiprep.errors import HubError, TrainerError, UsageError
from kanjiprep.publishing.hub.fault import Fault
from kanjiprep.publishing.painting import faults

HUB = "https://huggingface.co"
LARGE = "stabilityai/stable-diffusion-3.5-large"


@pytest.mark.parametrize("kind", ["gated", "unauthorized", "forbidden"])
def test_a_gated_model_says_where_its_licence_is(kind: str) -> None:
    told = faults.of_hub(Fault(kind), LARGE, HUB)  # type: ignore[arg-type]
    assert isinstance(told, HubError)
    assert str(told).endswith(f"accept the licence at {HUB}/{LARGE} and set HF_TOKEN")


def test_other_faults_of_the_hub_say_what_it_said() -> None:
    assert "no such repository" in str(faults.of_hub(Fault("missing"), LARGE, HUB))
    busy = faults.of_hub(Fault("busy", "429 Too Many Requests."), LARGE, HUB)
    assert str(busy) == f"{LARGE}: cannot be fetched: 429 Too Many Requests; run the same command again later"
    assert "cannot be fetched: server;" in str(faults.of_hub(Fault("server"), LARGE, HUB))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    ],
)
def test_too_little_memory_is_told_with_what_helps(error: Exception) -> None:
    with (
        pytest.raises(TrainerError, match="there is not enough memory for it; give --offload"),
        faults.clear("fails", "sd3", "nothing"),
    ):
        raise error


def test_any_failure_of_a_library_becomes_one_short_line_without_paths() -> None:
    with pytest.raises(TrainerError) as told, faults.clear("cannot be loaded", "sd3", "look"):
        raise ValueError(f"no file\n/home/alice/secret/model.bin {'x' * 300}")
    assert "\n" not in str(told.value)
    assert "alice" not in str(told.value)
    assert len(str(told.value)) < 260
    with (
        pytest.raises(TrainerError, match="sd3: cannot be loaded: KeyError"),
        faults.clear("cannot be loaded", "sd3", ""),
    ):
        raise KeyError


def test_our_own_failures_and_interrupts_pass() -> None:
    with pytest.raises(UsageError, match="mine"), faults.clear("fails", "", ""):
        raise UsageError("mine")
    with pytest.raises(KeyboardInterrupt), faults.clear("fails", "", ""):
        raise KeyboardInterrupt


def test_a_mismatch_of_sizes_is_told_in_plain_words() -> None:
    told = "^x: does not fit: its matrices have other sizes than the model's; take another$"
    with pytest.raises(TrainerError, match=told), faults.clear("does not fit", "x", "take another"):
        raise RuntimeError("Error(s) in loading state_dict for X: size mismatch for a.b: copying a param with shape")
