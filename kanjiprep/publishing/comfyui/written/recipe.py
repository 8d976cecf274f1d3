"""Everything that a workflow says, each value with its source, before there are any nodes."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

from kanjiprep.errors import TrainerError, UsageError, shown
from kanjiprep.evaluation.weights import lora
from kanjiprep.publishing.comfyui.written import model_files, sampling, wording
from kanjiprep.publishing.comfyui.written.model_files import ModelFile
from kanjiprep.publishing.comfyui.written.order import MOST_SEED, Order, Setting, taken
from kanjiprep.publishing.comfyui.written.sampling import SD3_SHIFT, Sampling
from kanjiprep.publishing.comfyui.written.wording import Asked, Words
from kanjiprep.publishing.tuned import Tuned
from kanjiprep.training.running import run_source

_SIZE_STEP_PX: Final = {"sd3": 16, "sd1x": 8}


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a workflow says.

    Attributes:
        family: ``sd3`` or ``sd1x``.
        checkpoint: The base model's file.
        encoders: Files of the text encoders; none where the checkpoint holds them.
        name: Of what was trained, for the names of pictures.
        lora: ComfyUI's name of the LoRA file.
        strength: How strongly it is applied.
        prompts: What pictures are to show.
        negative: What they are to avoid.
        size_px: Width and height.
        seed: Of the noise.
        sampling: How noise becomes a picture.
        settings: All of it in words, with sources.
        notes: What a user should know.
    """

    family: str
    checkpoint: ModelFile
    encoders: tuple[ModelFile, ...]
    name: str
    lora: str
    strength: float
    prompts: tuple[Asked, ...]
    negative: str
    size_px: int
    seed: int
    sampling: Sampling
    settings: tuple[Setting, ...]
    notes: tuple[str, ...]


def recipe(tuned: Tuned, order: Order) -> Recipe:
    """What a workflow for ``tuned`` is to say.

    Raises:
        UsageError: If it is no LoRA of a family that is known, or the order cannot be met.
        TrainerError: If the run cannot be read, or the file holds no LoRA at all.
    """
    _refuse(tuned)
    if order.like_validation and tuned.asked is None:
        what = "is of no run, so there is no validation to be like"
        raise UsageError(what, "--like-validation", "give the run, or leave it out")
    checkpoint = model_files.checkpoint(tuned.family, tuned.flavour, order.checkpoint_file)
    encoders = model_files.encoders(checkpoint, order.variant) if tuned.family == "sd3" else ()
    words = wording.words(tuned, order.prompts, order.style, order.negative, order.like_validation)
    sampled, settings = sampling.sampling(tuned, order)
    (size_px, size_source), (seed, seed_source) = _size(tuned, order), _seed(tuned, order)
    return Recipe(
        family=tuned.family,
        checkpoint=checkpoint,
        encoders=encoders,
        name=label(tuned),
        lora=f"{label(tuned)}.safetensors",
        strength=order.strength,
        prompts=words.prompts,
        negative=words.negative,
        size_px=size_px,
        seed=seed,
        sampling=sampled,
        settings=(
            *settings,
            Setting("size", f"{size_px} x {size_px} px", size_source),
            Setting("seed", str(seed), seed_source),
            Setting("strength of the LoRA", f"{order.strength:g}", "1 is as it was trained"),
            *_told(words),
        ),
        notes=(*words.notes, *_notes(tuned, order, sampled)),
    )


def label(tuned: Tuned) -> str:
    """What ``tuned`` is called in ComfyUI, without a suffix."""
    return tuned.name if tuned.step is None else f"{tuned.name}-step-{tuned.step}"


def _refuse(tuned: Tuned) -> None:
    if tuned.kind == "full":
        part = f"{tuned.path.parent.name}/{tuned.path.name}"
        remedy = (
            f"put the weights of its folder {part}, as one file, into ComfyUI's models/diffusion_models and load "
            "them with the node Load Diffusion Model; Load Checkpoint wants the whole model in a single file"
        )
        raise UsageError("is a full fine-tune, and this workflow is for LoRAs", label(tuned), remedy)
    if tuned.family not in _SIZE_STEP_PX:
        found = lora.outline(tuned.path)
        if not found.pairs:
            what = f"unfit: {'; '.join(lora.problems(found))}"
            raise TrainerError(what, str(tuned.path), f"look at it with {_command(tuned)}")
        what = "is a LoRA for a model that is not known, so there is no workflow for it"
        raise UsageError(what, label(tuned), "give one of SD3.5 or SD 1.5, or look at it with kanjiprep lora")


def _command(tuned: Tuned) -> str:
    return f"kanjiprep lora {shlex.quote(str(tuned.path))}"


def _size(tuned: Tuned, order: Order) -> tuple[int, str]:
    own = 1024 if tuned.family == "sd3" else 512
    size_px, source = taken(order.size_px, tuned.asked.size_px if tuned.asked else None, own, "the base model's own")
    step = _SIZE_STEP_PX[tuned.family]
    if size_px % step:
        near = round(size_px / step) * step
        raise UsageError(f"{size_px} is no multiple of {step}", "--size-px", f"the nearest is {near}")
    return size_px, source


def _seed(tuned: Tuned, order: Order) -> tuple[int, str]:
    seed, source = taken(order.seed, tuned.asked.seed if tuned.asked else None, 42, "as good as any")
    if seed > MOST_SEED:
        what = f"{shown(seed)} is too large: ComfyUI's window, which is a browser's, would round it"
        raise UsageError(what, "--seed", f"give one up to {MOST_SEED}")
    return seed, source


def _told(words: Words) -> tuple[Setting, ...]:
    prompts = tuple(Setting(f"prompt {one.name}", one.text, words.source) for one in words.prompts)
    negative = Setting("negative prompt", words.negative or "none", words.negative_source)
    return (Setting("style", words.style, words.style_source), *prompts, negative)


def _notes(tuned: Tuned, order: Order, sampled: Sampling) -> tuple[str, ...]:
    notes = []
    if order.like_validation and tuned.family == "sd3":
        notes.append(
            "the trainer leaves out the first step and scales the share of the negative prompt (CFG-Zero*), which "
            "no node of ComfyUI does alike; pictures are of the same kind as in validation, not equal"
        )
    if order.like_validation and sampled.shift is not None and sampled.shift != SD3_SHIFT:
        notes.append(
            f"the run validates with its own shift {sampled.shift:g}, where SD3.5 is sampled with {SD3_SHIFT:g} "
            "elsewhere"
        )
    if tuned.run is not None and run_source.spec(tuned.run).model.path and order.checkpoint_file is None:
        notes.append(
            "the run trained on a model of its own (model.path), and the workflow names the usual one; "
            "give --checkpoint-file with the file of yours"
        )
    return tuple(notes)
