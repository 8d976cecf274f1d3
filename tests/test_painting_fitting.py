"""How a LoRA's file is handed over; what diffusers makes of it is in integration/test_generate.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.publishing import tuned as tuneds
from kanjiprep.publishing.painting import fitting
from kanjiprep.publishing.tuned import Tuned
from kanjiprep.training import presets
from kanjiprep.training.running.attempts import WEIGHTS
from tests import lora_files, run_folders

SECOND = "transformer.transformer_blocks.0.attn.to_q.lora_B.weight"


class Pipeline:
    """It keeps what it is given to load."""

    def __init__(self) -> None:
        self.file = Path()
        self.tensors: dict[str, Any] = {}

    def load_lora_weights(self, folder: str, weight_name: str, adapter_name: str) -> None:
        self.file = Path(folder) / weight_name
        self.tensors = lora_files.everything(self.file)[0]
        self.name = adapter_name

    def get_list_adapters(self) -> dict[str, list[str]]:
        return {"transformer": [self.name]}


def written(path: Path, alpha: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = lora_files.said(r=4, lora_alpha=alpha) if alpha is not None else None
    return lora_files.write(path, lora_files.named(lora_files.weights(), "diffusers-peft"), metadata)


def put(tuned: Tuned) -> Pipeline:
    pipeline = Pipeline()
    fitting.put_adapter(pipeline, tuned, "tiny")
    return pipeline


def test_a_file_that_needs_no_mending_is_loaded_itself(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", alpha=4)
    assert put(tuneds.find(str(path))).file == path


def test_of_a_file_without_the_suffix_a_copy_is_loaded(tmp_path: Path) -> None:
    path = written(tmp_path / "a.bin", alpha=4)
    pipeline = put(tuneds.find(str(path)))
    assert pipeline.file.suffix == ".safetensors"
    assert not pipeline.file.parent.exists()
    assert pipeline.tensors.keys() == lora_files.everything(path)[0].keys()


def test_the_alpha_of_a_run_is_applied_where_the_file_does_not_say(tmp_path: Path) -> None:
    run = run_folders.trained(tmp_path, preset=presets.load("tiny-cpu", ("lora.rank=4", "lora.alpha=2")))
    path = run / "output" / "checkpoint-8" / WEIGHTS
    path.unlink()
    before = lora_files.everything(written(path))[0]
    pipeline = put(tuneds.find(str(run), "8"))
    assert not pipeline.file.parent.exists()
    assert np.array_equal(pipeline.tensors[SECOND], before[SECOND] / 2)
    alone = path.rename(tmp_path / "alone.safetensors")
    assert np.array_equal(put(tuneds.find(str(alone))).tensors[SECOND], before[SECOND])


def test_a_file_with_numbers_that_are_none_is_refused(tmp_path: Path) -> None:
    weights = lora_files.weights()
    first, _ = weights[next(iter(weights))][:2]
    first[0, 0] = np.nan
    tensors = lora_files.named(weights, "diffusers-peft")
    path = lora_files.write(tmp_path / "a.safetensors", tensors, lora_files.said(r=4, lora_alpha=4))
    with pytest.raises(TrainerError, match="unfit: NaN or infinity"):
        put(tuneds.find(str(path)))
