"""Mended LoRA files, applied by the real diffusers to the tiny model: as strong as they were trained."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.evaluation.weights import lora
from kanjiprep.publishing.doctor import fixed
from kanjiprep.training.trainer import Trainer
from tests import lora_files

pytestmark = pytest.mark.trainer

NAME = "pytorch_lora_weights.safetensors"
Apply = Callable[[str, Path], Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("adapters")


@pytest.fixture(scope="module")
def apply(trainer: Trainer, tiny_sd3: Path, made: Path) -> Iterator[Apply]:
    """A function that loads a file and tells how far the model then is from what is wanted and from the base."""
    words = [str(trainer.python), str(Path(__file__).parent / "lora_oracle.py"), str(tiny_sd3)]
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    with (
        (made / "said").open("w") as said,
        subprocess.Popen(
            words, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
        ) as oracle,
    ):

        def put(question: Any) -> Any:
            assert oracle.stdin is not None
            assert oracle.stdout is not None
            oracle.stdin.write(json.dumps(question) + "\n")
            oracle.stdin.flush()
            answer = oracle.stdout.readline()
            assert answer, (made / "said").read_text("utf-8")[-2000:]
            return json.loads(answer)

        put(str(made))
        yield lambda name, path: put((name, str(path)))
        assert oracle.stdin is not None
        oracle.stdin.close()


@pytest.mark.parametrize(
    ("name", "alpha", "tolerance"),
    [
        ("equal", None, 1e-4),
        ("half", None, 1e-4),
        ("third", None, 0.02),
        ("bad prefix", None, 1e-4),
        ("no prefix", 2.0, 1e-4),
        ("alphas", None, 1e-4),
        ("unet", None, 1e-4),
    ],
)
def test_a_mended_file_is_as_strong_as_it_was_trained(
    apply: Apply, made: Path, tmp_path: Path, name: str, alpha: float | None, tolerance: float
) -> None:
    assert fixed.fix(made / name / NAME, tmp_path / NAME, alpha)
    from_wanted, from_base = apply(name, tmp_path / NAME)
    assert from_base > 0.03, "it does something"
    assert from_wanted < tolerance * from_base


def test_what_is_said_of_diffusers_in_the_unit_tests_is_so(apply: Apply, made: Path) -> None:
    modules = [pair.module for pair in lora.inspect(made / "half" / NAME).pairs]
    for name in ("half", "bad prefix", "no prefix", "alphas"):
        path = made / name / NAME
        real, said = apply(name, path), lora_files.diffusers(path, modules)
        assert isinstance(real, str) == isinstance(said, str), name
        if isinstance(real, str):
            assert str(said) in real
        else:
            assert (real[1] == 0) == (not said), name
