"""Where a model is loaded and how: the device, the type of its numbers, and what waits in the computer's memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from kanjiprep.errors import UsageError

Device = Literal["cpu", "cuda", "mps"]
Dtype = Literal["float32", "bfloat16", "float16"]
Offload = Literal["none", "model", "sequential"]

_BYTES_EACH: Final[Mapping[Dtype, int]] = {"float32": 4, "bfloat16": 2, "float16": 2}
_ROOM_BYTES: Final = 3 * 2**30
"""What painting needs beside the weights. Source: an estimate: the driver's own share (0.5 GiB), two pictures of 1024
px in the transformer at once, and their decoding."""
_GIB: Final = 2**30
_HALVED: Final[tuple[Dtype, ...]] = ("bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Ways:
    """How a model is to be loaded; None leaves the choice to us.

    Attributes:
        device: Where it computes.
        dtype: Type of its numbers.
        offload: What waits in the computer's memory while it is not computing: nothing, whole parts, or every layer.
        family: ``sd3`` or ``sd1x``, for whoever takes no other.
        adapter_bytes: Of the largest adapter that will be taken, if it is not the first one.
    """

    device: Device | None = None
    dtype: Dtype | None = None
    offload: Offload | None = None
    family: str | None = None
    adapter_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to compute with.

    Attributes:
        cuda: Name of the GPU; empty without one that torch can use.
        cuda_free_bytes: Of its memory.
        has_bfloat16: Whether it computes with such numbers itself.
        has_mps: Whether there is a GPU of Apple's.
        ram_free_bytes: Of the computer's memory.
    """

    cuda: str = ""
    cuda_free_bytes: int = 0
    has_bfloat16: bool = False
    has_mps: bool = False
    ram_free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """What is to be loaded.

    Attributes:
        name: Of the model, as it is told.
        parts: How many numbers each part has, by its name.
        adapter_bytes: Of the largest adapter.
    """

    name: str
    parts: Mapping[str, int]
    adapter_bytes: int = 0

    def in_all(self, dtype: Dtype) -> int:
        """Bytes of everything."""
        return sum(self.parts.values()) * _BYTES_EACH[dtype] + self.adapter_bytes

    def largest(self, dtype: Dtype) -> int:
        """Bytes of the largest part, with its adapter."""
        return max(self.parts.values(), default=0) * _BYTES_EACH[dtype] + self.adapter_bytes


@dataclass(frozen=True, slots=True)
class Placement:
    """What was chosen.

    Attributes:
        device: Where it computes.
        dtype: Type of its numbers.
        offload: What waits in the computer's memory.
        why: In a sentence.
        warnings: What speaks against it, a sentence each.
    """

    device: Device
    dtype: Dtype
    offload: Offload
    why: str
    warnings: tuple[str, ...] = ()


def read_machine() -> Machine:
    """What there is to compute with, and how much memory is free now.

    Raises:
        UsageError: If torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise missing_extra() from error
    import psutil

    has_mps = torch.backends.mps.is_available()
    ram = psutil.virtual_memory().available
    if not torch.cuda.is_available():
        return Machine(has_mps=has_mps, ram_free_bytes=ram)
    free, _ = torch.cuda.mem_get_info()
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return Machine(torch.cuda.get_device_name(), free, has_bfloat16, has_mps, ram)


def missing_extra() -> UsageError:
    """What is said where diffusers is not installed."""
    return UsageError("pictures need diffusers", "", "pip install 'kanjiprep[generate]'")


def choose(ways: Ways, machine: Machine, need: Need) -> Placement:
    """How ``need`` is loaded on ``machine``.

    Raises:
        UsageError: If the machine has no such device, or memory for the model on no device of its own choice.
    """
    device = device_of(ways, machine)
    if device == "cuda":
        return _on_cuda(ways, machine, need)
    return _on_mps(ways, machine, need) if device == "mps" else _on_cpu(ways, machine, need)


def device_of(ways: Ways, machine: Machine) -> Device:
    """Where anything is loaded on ``machine``, whatever its size.

    Raises:
        UsageError: If the machine has no such device, or the device nothing to offload to.
    """
    device = _device(ways, machine)
    if device != "cuda" and ways.offload not in (None, "none"):
        raise UsageError(
            f"{ways.offload} is for an NVIDIA GPU, and the device is {device}", "--offload", "leave it out"
        )
    return device


def _device(ways: Ways, machine: Machine) -> Device:
    has: dict[Device, bool] = {"cuda": bool(machine.cuda), "mps": machine.has_mps, "cpu": True}
    if ways.device is None:
        return next(device for device, is_there in has.items() if is_there)
    if not has[ways.device]:
        there = " or ".join(device for device, is_there in has.items() if is_there)
        remedy = f"use {there}" + (", or install torch with CUDA" if ways.device == "cuda" else "")
        raise UsageError(f"torch finds no {ways.device} device here", "--device", remedy)
    return ways.device


def _on_cuda(ways: Ways, machine: Machine, need: Need) -> Placement:
    dtype: Dtype = ways.dtype or ("bfloat16" if machine.has_bfloat16 else "float16")
    whole, largest = need.in_all(dtype) + _ROOM_BYTES, need.largest(dtype) + _ROOM_BYTES
    free = machine.cuda_free_bytes
    offload: Offload = "none" if free >= whole else "model" if free >= largest else "sequential"
    had = f"{gib(free)} of {machine.cuda} are free"
    reasons: dict[Offload, str] = {
        "none": f"{had}, the whole model needs about {gib(whole)}",
        "model": f"{had}, the whole model needs about {gib(whole)}, its largest part {gib(largest)}",
        "sequential": f"{had}, the largest part alone needs about {gib(largest)}; this is many times slower",
    }
    why = reasons[offload] if ways.offload in (None, offload) else f"asked for; by memory it would be {offload}"
    return Placement("cuda", dtype, ways.offload or offload, why, _ram_warnings(need.in_all(dtype), machine))


def _on_mps(ways: Ways, machine: Machine, need: Need) -> Placement:
    dtype: Dtype = ways.dtype or "float16"
    why = "a GPU of Apple's, which shares the computer's memory"
    return Placement("mps", dtype, "none", why, _ram_warnings(need.in_all(dtype), machine))


def _on_cpu(ways: Ways, machine: Machine, need: Need) -> Placement:
    dtype: Dtype = ways.dtype or "float32"
    warnings = _ram_warnings(need.in_all(dtype), machine)
    if warnings and ways.device is None:
        what = f"{need.name} needs about {gib(need.in_all(dtype))} of memory without a GPU"
        remedy = f"use a machine with a GPU, or insist with --device cpu{_halved(dtype)}"
        raise UsageError(f"{what}, and {gib(machine.ram_free_bytes)} are free", "", remedy)
    return Placement("cpu", dtype, "none", "asked for" if ways.device else "there is no GPU here", warnings)


def _halved(dtype: Dtype) -> str:
    return "" if dtype in _HALVED else " --dtype bfloat16, which takes half of that"


def _ram_warnings(need_bytes: int, machine: Machine) -> tuple[str, ...]:
    if need_bytes <= machine.ram_free_bytes:
        return ()
    said = f"the model takes about {gib(need_bytes)} of the computer's memory while it is loaded"
    return (f"{said}, and {gib(machine.ram_free_bytes)} are free",)


def gib(count: int) -> str:
    """So many bytes in GiB, as they are told."""
    return f"{count / _GIB:.1f} GiB"
