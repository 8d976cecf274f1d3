from __future__ import annotations

import pytest

from kanjiprep.training.running import gpu
from kanjiprep.training.running.gpu import Gpu

MIB = 2**20
A100 = Gpu("NVIDIA A100-SXM4-40GB", "535.129.03", 0.97, 30_000 * MIB, 40_960 * MIB, 61.0, 390.25)


def test_every_gpu_of_the_drivers_table_is_told() -> None:
    lines = (
        "NVIDIA A100-SXM4-40GB, 535.129.03, 97, 30000, 40960, 61, 390.25\n"
        "NVIDIA H100 80GB HBM3, 570.86.15, 0, 4, 81559, 30, 70.10\n"
    )
    other = Gpu("NVIDIA H100 80GB HBM3", "570.86.15", 0.0, 4 * MIB, 81_559 * MIB, 30.0, 70.1)
    assert gpu.parse(lines) == (A100, other)


@pytest.mark.parametrize("cell", ["[N/A]", "[Not Supported]", "[Unknown Error]", ""])
def test_what_the_driver_does_not_tell_is_none(cell: str) -> None:
    cells = ", ".join([cell] * 5)
    assert gpu.parse(f"Some GPU, 1.2, {cells}\n") == (Gpu("Some GPU", "1.2", None, None, None, None, None),)


@pytest.mark.parametrize(
    "text", ["", "\n", "No devices were found\n", "a, b, 1, 2, 3, 4\n", "NVIDIA-SMI has failed, "]
)
def test_what_is_no_table_has_no_gpus(text: str) -> None:
    assert gpu.parse(text) == ()
