"""Runs under the trainer's Python: asks SimpleTuner's own objects, a JSON line in and a JSON line out."""

from __future__ import annotations

import json
import logging
import os
import runpy
import sys
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.scheduler import AcceleratedScheduler
from accelerate.state import AcceleratorState, PartialState
from simpletuner.helpers.configuration.cli_utils import normalize_lr_scheduler_value
from simpletuner.helpers.metadata.backends.parquet import ParquetMetadataBackend
from simpletuner.helpers.multiaspect.image import MultiaspectImage
from simpletuner.helpers.training.custom_schedule import get_lr_scheduler
from simpletuner.helpers.training.state_tracker import StateTracker
from simpletuner.helpers.training.trainer import Trainer

QUIET = logging.getLogger("oracle")
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # libraries print to stdout


def rates(name: str, total: int, warmup: int, peak: float, end: float, power: float, gpus: int) -> Any:
    accelerator = Accelerator(cpu=True)
    for state in (PartialState, AcceleratorState):
        state._shared_state["num_processes"] = gpus
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    arguments = SimpleNamespace(
        lr_scheduler=normalize_lr_scheduler_value(name, warmup),
        lr_warmup_steps=warmup,
        max_train_steps=total,
        lr_end=end,
        lr_power=power,
        lr_num_cycles=1,
    )
    try:
        bare = get_lr_scheduler(arguments, optimizer, accelerator, QUIET, 0)
    except ValueError:
        return "refused"
    if hasattr(bare, "last_step"):  # as Trainer.init_lr_scheduler does
        bare.last_step = 0
    stepped = AcceleratedOptimizer(optimizer)
    scheduler = AcceleratedScheduler(bare, stepped)
    found = [optimizer.param_groups[0]["lr"]]
    for step in range(total):
        stepped.step()
        further = {"step": step, "epoch": 1} if name == "cosine_with_restarts" else {}
        with suppress(TypeError):  # Trainer.train logs what goes wrong here and goes on
            scheduler.step(**further)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def steps(buckets: dict[str, int], batch: int, accumulation: int, gpus: int, repeats: int) -> Any:
    StateTracker.set_args(
        SimpleNamespace(
            disable_bucket_pruning=False, allow_dataset_oversubscription=False, seed=1, train_batch_size=batch
        )
    )
    backend = object.__new__(ParquetMetadataBackend)
    backend.id, backend.batch_size, backend.repeats, backend.bucket_report = "kanji", batch, repeats, None
    backend.accelerator = SimpleNamespace(num_processes=gpus, process_index=0, is_main_process=True)
    backend.aspect_ratio_bucket_indices = {
        name: [f"{name}-{index}" for index in range(size)] for name, size in buckets.items()
    }
    StateTracker.data_backends = {"kanji": {"metadata_backend": backend, "dataset_type": "image", "config": {}}}
    backend.minimum_image_size = None  # what the real backend makes of our 0
    backend._enforce_min_bucket_size()
    try:
        backend.split_buckets_between_processes(gradient_accumulation_steps=accumulation)
        config = SimpleNamespace(
            gradient_accumulation_steps=accumulation,
            num_train_epochs=3,
            max_train_steps=0,
            strict_epoch_limit=False,
            distillation_method=None,
            train_batch_size=batch,
        )
        trainer = SimpleNamespace(config=config, distiller=None, lr_scheduler=None, accelerator=backend.accelerator)
        Trainer._recalculate_training_steps(trainer)
    except ValueError as error:
        return str(error).splitlines()[0]
    return [config.num_update_steps_per_epoch, config.max_train_steps]


def bucket(width_px: int, height_px: int, resolution_px: int) -> str:
    StateTracker.set_args(SimpleNamespace(aspect_bucket_alignment=64, aspect_bucket_rounding=2, output_dir="."))
    StateTracker.aspect_resolution_map = {}
    ratio = MultiaspectImage.calculate_image_aspect_ratio((width_px, height_px))
    megapixels = resolution_px**2 / 1e6
    return str(MultiaspectImage.calculate_new_size_by_pixel_area(ratio, megapixels, (width_px, height_px))[2])


def deep(script: str, config: dict[str, Any], backends: list[Any]) -> Any:
    return runpy.run_path(script)["answer"]({"config": config, "backends": backends})


def main() -> None:
    answers: dict[str, Callable[..., Any]] = {"deep": deep, "rates": rates, "steps": steps, "bucket": bucket}
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(answers[question.pop("what")](**question)), file=ANSWERS, flush=True)


if __name__ == "__main__":
    main()
