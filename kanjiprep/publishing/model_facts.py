"""All that a model card says of an adapter, as plain values that somebody else gathers; no path is among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kanjiprep.evaluation.score_table import Scores
from kanjiprep.publishing.widgets import Widget


@dataclass(frozen=True, slots=True)
class Base:
    """The model that the adapter belongs to.

    Attributes:
        repo: On the Hub; empty for one that is not there, as the tiny random model of a rehearsal.
        name: As people say it.
        family: ``sd3`` or ``sd1x``.
        is_copy: Whether it was read from a folder, so that nobody knows whether it is unchanged.
    """

    repo: str
    name: str
    family: Literal["sd3", "sd1x"]
    is_copy: bool = False


@dataclass(frozen=True, slots=True)
class Adapter:
    """The file of weights.

    Attributes:
        file_name: In the repository.
        rank: Width of the two matrices of a module.
        alpha: The adapter is applied times alpha / rank.
        targets: Names of the adapted modules in diffusers.
        modules: How many they are.
        parameters: Numbers in all.
        dtype: Of the numbers, in the words of safetensors.
        bytes: Size of the file.
        sha256: Of the file.
        repairs: What was changed in the file after training, one sentence each.
    """

    file_name: str
    rank: int
    alpha: float
    targets: tuple[str, ...]
    modules: int
    parameters: int
    dtype: str
    bytes: int
    sha256: str
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What the adapter learnt from.

    Attributes:
        pictures: How many.
        caption: The first caption, which shows how all of them look.
        is_kanji: Whether it was built from KanjiVG and KANJIDIC2, as its birth certificate says.
        repo_id: On the Hub; empty for a folder that is not there.
        revision: Tag or commit there; empty if that is not known.
        digest: Of the dataset folder; empty if that is not known.
    """

    pictures: int
    caption: str
    is_kanji: bool
    repo_id: str = ""
    revision: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Training:
    """How it was trained, as it ran and not as it was asked for.

    Attributes:
        step: After which the adapter was taken.
        total_steps: That the run had or would have had.
        epochs: Passes over the dataset up to ``step``.
        batch: Pictures at a time on one GPU.
        accumulation: Batches added up before a step.
        gpus: How many.
        pictures_a_step: On all GPUs together.
        learning_rate: At its peak, in the attempt that made the adapter: lower after a rollback.
        schedule: The shape of the learning rate, in words.
        optimizer: Its name.
        clip: What was done to large gradients, in words.
        resolution_px: Side of the square whose area pictures were scaled to.
        caption_dropout: Share of pictures trained without their caption.
        precision: Of the frozen weights.
        seed: Of the trainer.
        trainer: With its version.
        gpu: What was used, in words; empty for a CPU, and if it is not known.
        hours: Of a trainer running in the whole run, steps that were undone included.
        usd: What they cost; None if that is not known.
        ended: How the run ended, in words; empty if it took all its steps.
        rollbacks: How often the run went back to an earlier checkpoint.
        alerts: What went wrong or was noticed on the way, one sentence each.
    """

    step: int
    total_steps: int
    epochs: float
    batch: int
    accumulation: int
    gpus: int
    pictures_a_step: int
    learning_rate: float
    schedule: str
    optimizer: str
    clip: str
    resolution_px: int
    caption_dropout: float
    precision: str
    seed: int
    trainer: str
    gpu: str
    hours: float
    usd: float | None = None
    ended: str = ""
    rollbacks: int = 0
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How validation pictures are painted, which is how to paint more.

    Attributes:
        steps: Of the sampler.
        guidance: Scale of classifier-free guidance.
        size_px: Width and height.
        seed: Of the noise.
        skip_layers: Blocks of SD3 left out of a third pass; empty for no such pass.
    """

    steps: int
    guidance: float
    size_px: int
    seed: int
    skip_layers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """All that a model card says.

    Attributes:
        repo_id: Where the adapter goes on the Hub.
        base: The model that it adapts.
        adapter: The file.
        data: What it learnt from.
        training: How.
        sampling: How pictures are painted with it.
        pictures: Of the gallery.
        workflows: Paths of ComfyUI workflows in the repository.
        scores: None if no checkpoint was scored.
        is_last: Whether it is the last checkpoint of its run.
    """

    repo_id: str
    base: Base
    adapter: Adapter
    data: TrainingData
    training: Training
    sampling: Sampling
    pictures: tuple[Widget, ...] = ()
    workflows: tuple[str, ...] = ()
    scores: Scores | None = None
    is_last: bool = True
