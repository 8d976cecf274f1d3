"""Seconds of a step of SD3 from what it computes, moves and launches, by a formula fitted to measured steps.

A step takes as long as the slower of two: the card, which multiplies matrices and moves numbers through its memory,
and the processor beside it, which launches every operation and keeps the books of checkpointing; then the optimizer.
Small batches wait for the processor, so half of them takes no less time. ``benchmarks/gpu/fit_table.py`` fits the
constants to the tables of :mod:`kanjiprep.training.step_table` and tells the error on cells that it left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from kanjiprep.training import flops, models
from kanjiprep.training.flops import Flops
from kanjiprep.training.gpus import Gpu
from kanjiprep.training.models import Model, Workload
from kanjiprep.training.provenance import Figure
from kanjiprep.training.step_table import Cell

MEASURED_ON: Final = "h200"
_SAME_CARD: Final = 0.2
"""Band on the card of the table. The worst errors: 10.4 % of training steps and 18 % of inference that were left out
of the fit, 19.6 % if one cell alone is left out at a time."""
_OTHER_CARDS: Final = (0.7, 1.4)
"""Band on any other card, of the card's part. None was measured; large transformers reach 0.44 to 0.57 of an A100's
peak (Megatron-LM) and 0.34 of an H200's was seen here, so an A100 may well be faster than by peak and bandwidth."""
_PROCESSORS: Final = (0.5, 1.6)
"""Of the processor's part: nobody knows beforehand which one comes with the card."""
_SHARPNESS: Final = 8
"""How sharply the slower side decides: at 8 two equal sides take 9 % more than either."""
_DUAL_BLOCK: Final = 0.5
"""What a block's second attention adds to the operations to be launched."""
_EVERY_NUMBER: Final = ("adamw_bf16",)
"""Optimizers that launch operations module by module; fused ones launch few."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The constants of the formula.

    Attributes:
        linear: Share of the card's bf16 peak that products with weights reach.
        attention: Share that attention reaches.
        bytes_each: Bytes moved for each token, channel, block and pass, beside those products.
        launch_s: Of the processor, for a block and pass.
        again_s: Of the processor, for a block that is computed again.
        module_s: Of the processor, for an adapted module whose numbers the optimizer moves by themselves.
        number_s: Of the card, for a trained number.
    """

    linear: float
    attention: float
    bytes_each: float
    launch_s: float
    again_s: float
    module_s: float
    number_s: float


@dataclass(frozen=True, slots=True)
class Work:
    """What a step consists of.

    Attributes:
        flops: Products.
        moved: Tokens times channels times blocks times passes.
        launched: Blocks times passes, larger blocks counting more.
        again: Blocks that are computed again.
        modules: Adapted modules that the optimizer visits one by one.
        numbers: That it moves.
    """

    flops: Flops
    moved: float
    launched: float
    again: float
    modules: int
    numbers: int


def training(workload: Workload) -> Work:
    """The work of one optimizer step on one GPU."""
    model = models.model_of(workload.family, workload.flavour)
    is_again = int(workload.gradient_checkpointing)
    backward = flops.BACKWARD_ATTENTION - 1 if workload.train == "lora" else flops.BACKWARD_ATTENTION
    passes, batches = 1 + is_again + backward, workload.accumulation
    moved = _moved(model, workload.resolution_px) * passes * workload.batch * batches
    is_each = workload.train == "lora" and workload.optimizer in _EVERY_NUMBER
    return Work(
        flops.of_step(workload),
        moved,
        _blocks(model) * (1 + backward) * batches,
        _blocks(model) * is_again * batches,
        models.lora_modules(model, workload.targets) if is_each else 0,
        models.trained_parameters(workload),
    )


def drawing(workload: Workload, resolution_px: int) -> Work:
    """The work of one guided step of inference for one picture."""
    model = models.model_of(workload.family, workload.flavour)
    done = flops.of_picture_step(workload, resolution_px)
    return Work(done, 2 * _moved(model, resolution_px), _blocks(model), 0, 0, 0)


def shrunk(work: Work, share: float) -> Work:
    """``work`` with so many of its samples: as much to launch, less to compute."""
    done = Flops(work.flops.linear * share, work.flops.attention * share)
    return replace(work, flops=done, moved=work.moved * share)


def of_cell(cell: Cell) -> Work:
    """The work of a measured cell."""
    if cell.kind == "draw":
        return drawing(cell.workload, cell.workload.resolution_px)
    return training(cell.workload)


def card_s(work: Work, gpu: Gpu, pace: Pace) -> float:
    """Seconds that ``gpu`` multiplies and moves, without the optimizer.

    A GPU without bf16 or without a known bandwidth is not asked; its peak and bandwidth count as nothing.
    """
    peak = (gpu.bf16_tflops or 0.0) * 1e12
    products = work.flops.linear / pace.linear + work.flops.attention / pace.attention
    return products / peak + work.moved * pace.bytes_each / (gpu.bandwidth_tb_s * 1e12)


def processor_s(work: Work, pace: Pace) -> float:
    """Seconds that the processor launches, without the optimizer."""
    return work.launched * pace.launch_s + work.again * pace.again_s


def seconds(work: Work, gpu: Gpu, pace: Pace, of_card: float = 1.0, of_processor: float = 1.0) -> float:
    """Seconds of the whole step, each side's share longer or shorter by a factor."""
    card, processor = card_s(work, gpu, pace) * of_card, processor_s(work, pace) * of_processor
    slower: float = (card**_SHARPNESS + processor**_SHARPNESS) ** (1 / _SHARPNESS)
    return slower + work.modules * pace.module_s * of_processor + work.numbers * pace.number_s * of_card


def estimate(work: Work, gpu: Gpu) -> Figure:
    """Seconds of the whole step on ``gpu``, with a band that is wider on a card that was not measured."""
    value = seconds(work, gpu, PACE)
    if gpu.name == MEASURED_ON:
        source = f"formula fitted to steps on an H200, docs/step-table.md, within {_SAME_CARD:.0%} there"
        return Figure(value, value * (1 - _SAME_CARD), value * (1 + _SAME_CARD), "s", "estimated", source)
    (fast, slack), (quick, slow) = _OTHER_CARDS, _PROCESSORS
    low, high = seconds(work, gpu, PACE, fast, quick), seconds(work, gpu, PACE, slack, slow)
    source = (
        f"formula fitted to steps on an H200, docs/step-table.md, at {gpu.bf16_tflops:g} TFLOP/s and "
        f"{gpu.bandwidth_tb_s:g} TB/s instead; this card was not measured, so {fast:g} to {slack:g} of it"
    )
    return Figure(value, low, high, "s", "estimated", source)


def _moved(model: Model, resolution_px: int) -> float:
    image = models.tokens(model, "image", 2, resolution_px)
    return model.width * (model.blocks * (image + model.text_tokens) + _DUAL_BLOCK * _dual(model) * image)


def _blocks(model: Model) -> float:
    return model.blocks + _DUAL_BLOCK * _dual(model)


def _dual(model: Model) -> int:
    return next(one.count for one in model.attentions if one.keys == "image")


PACE: Final = Pace(0.708, 0.449, 573.0, 0.00249, 0.00899, 0.000862, 4.4e-11)
"""Fitted to 21 of the 31 cells that an H200 was measured at on 2026-11-27; products of 8192 x 8192 matrices alone
reached 0.79 of its peak there."""
