"""What the GPUs of this machine are at, as the driver says."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Final

_FIELDS: Final = (
    "name",
    "driver_version",
    "utilization.gpu",
    "memory.used",
    "memory.total",
    "temperature.gpu",
    "power.draw",
)
_TIMEOUT_S: Final = 10.0
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU at one moment; what the driver does not tell is None.

    Attributes:
        name: Its maker's.
        driver: Version of the driver.
        busy: Share of time in which it computed, 0 to 1.
        used_bytes: Of its memory.
        total_bytes: Of its memory.
        celsius: Its temperature.
        watts: Its draw.
    """

    name: str
    driver: str
    busy: float | None
    used_bytes: float | None
    total_bytes: float | None
    celsius: float | None
    watts: float | None


def read(program: str = "nvidia-smi") -> tuple[Gpu, ...]:
    """Every GPU of NVIDIA's here; none where there is no driver or it does not answer."""
    words = [program, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse(done.stdout) if done.returncode == 0 else ()


def parse(text: str) -> tuple[Gpu, ...]:
    """The GPUs that the driver's table tells of, one a line."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    return tuple(_gpu(row) for row in rows if len(row) == len(_FIELDS))


def _gpu(row: list[str]) -> Gpu:
    busy, used, total, celsius, watts = (_number(cell) for cell in row[2:])
    return Gpu(
        row[0],
        row[1],
        None if busy is None else busy / 100,
        None if used is None else used * _MIB,
        None if total is None else total * _MIB,
        celsius,
        watts,
    )


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:  # [N/A], [Not Supported]
        return None
