"""A preset in the options of diffusers' script, and what the script does in another way than the preset asks."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kanjiprep.errors import UsageError
from kanjiprep.training import models, schedule
from kanjiprep.training.presets import Preset
from kanjiprep.training.run_spec import TINY, RunSpec
from kanjiprep.training.schedule import Steps

OPTION: Final = "--export-diffusers"
_OPTIMIZERS: Final = ("adamw_bf16", "torch-adamw", "optimi-adamw")
"""What the script's own AdamW stands for."""
_SHAPES: Final = {"constant": "constant", "linear": "linear", "cosine": "cosine"}


@dataclass(frozen=True, slots=True)
class Argument:
    """An option of the script with its values; a flag has none."""

    name: str
    values: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """The option for a shell: on one line, or each of several values on a line of its own."""
        if len(self.values) <= 1:
            return (shlex.join([f"--{self.name}", *self.values]),)
        return (f"--{self.name}", *(f"    {shlex.quote(value)}" for value in self.values))


def refuse_unfit(preset: Preset) -> None:
    """Refuse what is no full fine-tune of Stable Diffusion 1.5, or what the script cannot do.

    Raises:
        UsageError: Naming the first thing that does not fit, and what to do instead.
    """
    for where, what, remedy in _misfits(preset.name, preset.spec):
        raise UsageError(what, where, remedy)
    strange = next((name for name, text in preset.prompts.by_name.items() if "\0" in text), None)
    if strange is not None:
        raise UsageError(f"the prompt {strange!r} holds a NUL, which no command line can", preset.name, "take it out")


def _misfits(name: str, spec: RunSpec) -> Iterator[tuple[str, str, str]]:
    if (spec.model.family, spec.model.train) != ("sd1x", "full"):
        what = f"{OPTION} is for a full fine-tune of Stable Diffusion 1.5, and this trains"
        kind = "a LoRA" if spec.model.train == "lora" else "all weights"
        remedy = f"take the preset sd15-full, or train this one with kanjiprep launch-simpletuner {shlex.quote(name)}"
        yield name, f"{what} {kind} of {spec.model.family}", remedy
    if spec.model.flavour == TINY and not spec.model.path:
        yield "model.flavour", "the tiny model has no repository on the Hub", "--set model.flavour=1.5"
    if spec.model.path.startswith(("/", ".", "~")):
        remedy = "leave it out, and give that folder to train.sh in the variable MODEL"
        yield "model.path", "is a folder of this machine, which another may not have", remedy
    if spec.optimizer.name not in _OPTIMIZERS:
        yield "optimizer.name", f"the script has no {spec.optimizer.name}", f"take one of {', '.join(_OPTIMIZERS)}"
    if spec.optimizer.clip == "value":
        yield "optimizer.clip", "the script clips by the norm of the gradient only", "--set optimizer.clip=norm"
    if spec.schedule.shape not in _SHAPES:
        remedy = f"take one of {', '.join(_SHAPES)}"
        yield "schedule.shape", f"the script cannot be told a {spec.schedule.shape} schedule as asked", remedy
    if spec.machine.gpus > 1:
        yield "machine.gpus", "what is exported trains on one GPU", "--set machine.gpus=1"


def model(spec: RunSpec) -> str:
    """The repository of the model to start from."""
    return spec.model.path or models.model_of(spec.model.family, spec.model.flavour).repo


def arguments(preset: Preset, steps: Steps) -> tuple[Argument, ...]:
    """The options of the script for ``preset``, but those for model, pictures and output."""
    spec, training = preset.spec, preset.spec.training
    return (
        Argument("resolution", (str(training.resolution_px),)),
        Argument("train_batch_size", (str(training.batch),)),
        Argument("gradient_accumulation_steps", (str(training.accumulation),)),
        Argument("max_train_steps", (str(steps.total),)),
        *_moving(spec),
        Argument("mixed_precision", ("bf16",)),
        *([Argument("gradient_checkpointing")] if training.gradient_checkpointing else []),
        Argument("seed", (str(training.seed),)),
        *_keeping(spec, steps),
        *_looking(preset, steps),
        Argument("report_to", ("tensorboard",)),
    )


def _moving(spec: RunSpec) -> Iterator[Argument]:
    """How weights move."""
    optimizer, warmup = spec.optimizer, spec.schedule.warmup_steps
    shape = _SHAPES[spec.schedule.shape]
    yield Argument("learning_rate", (repr(optimizer.learning_rate),))
    yield Argument("lr_scheduler", ("constant_with_warmup" if shape == "constant" and warmup else shape,))
    yield Argument("lr_warmup_steps", (str(warmup),))
    yield Argument("max_grad_norm", ("inf" if optimizer.clip == "off" else repr(optimizer.clip_at),))
    if optimizer.weight_decay is not None:
        yield Argument("adam_weight_decay", (repr(optimizer.weight_decay),))


def _keeping(spec: RunSpec, steps: Steps) -> Iterator[Argument]:
    """What is kept, and gone on from after an interruption."""
    yield Argument("checkpointing_steps", (str(schedule.checkpoint_interval(spec.checkpoints, steps.per_epoch)),))
    if spec.checkpoints.keep is not None:
        yield Argument("checkpoints_total_limit", (str(spec.checkpoints.keep),))
    yield Argument("resume_from_checkpoint", ("latest",))


def _looking(preset: Preset, steps: Steps) -> Iterator[Argument]:
    """Validation pictures."""
    spec = preset.spec
    every = spec.validation.every_steps or schedule.checkpoint_interval(spec.checkpoints, steps.per_epoch)
    yield Argument("validation_epochs", (str(max(1, round(every / passes_steps(spec, steps)))),))
    yield Argument("validation_prompts", tuple(_harmless(text) for text in preset.prompts.by_name.values()))


def passes_steps(spec: RunSpec, steps: Steps) -> int:
    """Steps of one epoch as the script counts it: every picture once, in batches, the last one not full."""
    return math.ceil(math.ceil(steps.pictures / spec.training.batch) / spec.training.accumulation)


def passes(spec: RunSpec, steps: Steps) -> int:
    """Epochs that the script will say it trains."""
    return math.ceil(steps.total / passes_steps(spec, steps))


def _harmless(prompt: str) -> str:
    """``prompt`` so that it is never taken for an option; the tokenizer strips spaces."""
    return f" {prompt}" if prompt.startswith("-") else prompt


def notes(spec: RunSpec) -> tuple[str, ...]:
    """What the script does in another way than SimpleTuner would with the same preset, a sentence each."""
    return tuple(_notes(spec))


def _notes(spec: RunSpec) -> Iterator[str]:
    yield (
        "Weights, gradients and the two moments of AdamW are kept in 32 bits, 16 bytes for each trained number, "
        f"and computed with in bf16; SimpleTuner's {spec.optimizer.name} takes its own way."
    )
    if spec.training.caption_dropout:
        yield f"No caption is ever left out; the preset asks for a share of {spec.training.caption_dropout:g}."
    if spec.training.repeats:
        yield (f"The script knows no repeats: an epoch of the preset is {spec.training.repeats + 1} of its epochs.")
    if spec.schedule.shape == "cosine":
        yield f"The cosine falls to 0, and not to {spec.schedule.end_learning_rate:g}."
    yield (
        "Validation pictures take 20 steps and no negative prompt, are painted in the first epoch and then in every "
        "so many, and are shown by TensorBoard alone."
    )
    yield "The script does not learn a moving average of the weights, for the preset asks for none."


def command(preset: Preset, steps: Steps) -> tuple[str, ...]:
    """The lines of the command after the script's name, quoted for a shell; variables are train.sh's own."""
    given = tuple(line for argument in arguments(preset, steps) for line in argument.lines())
    places = {
        "pretrained_model_name_or_path": "MODEL",
        "train_data_dir": "TRAIN_DATA_DIR",
        "output_dir": "OUTPUT_DIR",
    }
    return (*(f'--{name} "${variable}"' for name, variable in places.items()), *given)
