"""Every style of names, mended and loaded by diffusers: the transformer says what it said where it was trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from kanjiprep.evaluation.weights import lora
from kanjiprep.publishing.doctor import readers
from tests import lora_matrix
from tests.lora_matrix import Bench, Case

pytest.importorskip("diffusers", reason="diffusers is an extra")
pytest.importorskip("peft", reason="PEFT is an extra")

MOST = {"F32": 2e-6, "BF16": 0.004}
"""Largest difference in the transformer's output, of which the numbers are about 1; bf16 rounds the matrices."""


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("dtype", ["F32", "BF16"])
@pytest.mark.parametrize("case", lora_matrix.CASES, ids=lambda case: case.name)
def test_a_mended_file_says_what_the_training_side_said(bench: Bench, case: Case, dtype: str, tmp_path: Path) -> None:
    line = lora_matrix.line(bench, case, dtype, tmp_path)
    assert line.effect > 0.05, "the adapter does something"
    assert line.after <= MOST[dtype], line
    told = readers.diffusers(lora.outline(tmp_path / "before.safetensors"))
    assert told.is_right == (not isinstance(line.before, str) and line.before <= MOST[dtype]), line.before
    assert readers.diffusers(lora.outline(tmp_path / "after.safetensors")).is_right
    assert readers.comfyui(lora.outline(tmp_path / "after.safetensors")).is_right
    if not line.changes:
        assert isinstance(line.before, float)
        assert line.before <= MOST[dtype]
