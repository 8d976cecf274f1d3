"""What a run folder tells about its run beside the pictures: settings, dataset, and where numbers come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kanjiprep.dataset import folder as dataset_folder
from kanjiprep.errors import KanjiprepError
from kanjiprep.evaluation import history
from kanjiprep.evaluation.bands import Bands
from kanjiprep.evaluation.judged import Cost, DatasetShort, Fact, WeightPoint
from kanjiprep.training import prompts
from kanjiprep.training.run_spec import RunSpec
from kanjiprep.training.running import run_source
from kanjiprep.training.running.run_source import Environment


def settings(spec: RunSpec) -> dict[str, str]:
    """All that ``spec`` says: ``optimizer.learning_rate`` to ``0.0001``, without its prose."""
    return {name: value for name, value in _flat(asdict(spec)) if name not in ("title", "why")}


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        elif value is not None:
            yield f"{before}{name}", ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def shown_prompts(run: Path, spec: RunSpec) -> dict[str, str]:
    """Prompts of ``run`` by short name, in their style if the file that the trainer read is there.

    Raises:
        TrainerError: If they cannot be read.
    """
    return run_source.prompts(run) or dict(spec.validation.prompts)


def plain_prompts(run: Path, spec: RunSpec) -> dict[str, str]:
    """Prompts of ``run`` by short name without a style around them, as far as their files are here."""
    found, problems = prompts.load(spec.validation, run)
    return dict(found.plain) if not problems else {}


def dataset(run: Path, environment: Environment) -> DatasetShort:
    """The dataset of ``run`` in short.

    Raises:
        TrainerError: If its captions cannot be read.
    """
    hub = f"{environment.hub_dataset}@{environment.hub_revision}" if environment.hub_dataset else ""
    return DatasetShort(
        pictures=environment.pictures,
        digest=environment.digest,
        caption=run_source.first_caption(run),
        hub=hub.removesuffix("@"),
        style=_style(Path(environment.dataset), environment.digest),
    )


def _style(folder: Path, digest: str) -> str:
    """How its pictures are drawn, by the birth certificate, if that is here, readable, and of no other dataset."""
    try:
        certificate = dataset_folder.read_certificate(folder)
    except KanjiprepError:  # only this line of the report rests on it
        return ""
    if certificate is None or (digest and certificate.digest != digest):
        return ""
    style = certificate.style
    return f"{style.size_px} px, strokes {style.stroke_width:g} of 109 wide, {style.margin_px} px margin"


def facts(bands: Bands | None, cost: Cost, weights: tuple[WeightPoint, ...]) -> tuple[Fact, ...]:
    """Where the numbers about a run come from."""
    digest = f", dataset {bands.digest[:12]}" if bands else ""
    by = f"bands of {bands.pictures} of the training{digest}" if bands else "bands of the training pictures"
    found = [
        Fact("score, style, shape", f"computed from the pictures by {by}"),
        Fact("interval and tie", "computed from the scores: 95 %, by the spread over prompts and neighbouring steps"),
        Fact("loss, gradient, learning rate", "measured by the trainer, from events.jsonl"),
        Fact(
            "explosions", f"computed from the gradient by the guard's rule; {history.NEAR_STEPS} steps after it count"
        ),
        Fact("hours", "measured by the supervisor, all attempts together"),
    ]
    if cost.usd is not None:
        found.append(Fact("dollars", f"computed: hours by the price of the machine ({cost.price_source})"))
    if weights:
        found.append(
            Fact(
                "norms of the weights", f"computed from {max(one.modules for one in weights)} modules of each adapter"
            )
        )
    return tuple(found)
