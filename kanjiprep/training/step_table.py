"""Training steps that were measured on real cards: the dated tables that ``benchmarks/gpu/step_table.py`` wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from kanjiprep.training.models import Workload
from kanjiprep.training.provenance import Figure, within

FOLDER: Final = Path(__file__).with_name("step_tables")
"""One file a card and day, called ``DAY-GPU.json``, the GPU by our name."""
_RUN_BAND: Final = 0.1
_OPTIMIZERS: Final = {"adamw-bf16": "adamw_bf16", "adamw-fused": "torch-adamw", "none": ""}
_DAY: Final = len("2026-11-27-")


@dataclass(frozen=True, slots=True)
class Cell:
    """One setting, measured on one card.

    Attributes:
        gpu: The card, by our name.
        card: By its maker's.
        day: When, ISO.
        kind: ``train``: a step of training. ``draw``: one guided step of inference.
        workload: What was trained.
        median_s: Of a step.
        least_s: Of a step.
        most_s: Of a step.
        allocated_gib: Peak of what PyTorch handed out.
        reserved_gib: Peak of what PyTorch had taken from the driver.
        beside_gib: What the process held of the card besides.
    """

    gpu: str
    card: str
    day: str
    kind: Literal["train", "draw"]
    workload: Workload
    median_s: float
    least_s: float
    most_s: float
    allocated_gib: float
    reserved_gib: float
    beside_gib: float

    @property
    def seconds(self) -> Figure:
        """Its median, with a band for what a whole run of the trainer does beside its steps."""
        source = (
            f"median of twenty steps on an {self.card.removeprefix('NVIDIA ')}, {self.day}, random weights and data, "
            f"docs/step-table.md; no run of the trainer was timed there, so {_RUN_BAND:.0%} either way"
        )
        return within(self.median_s, _RUN_BAND, "s", "measured", source)

    @property
    def held_gib(self) -> float:
        """What it took of the card in all."""
        return self.reserved_gib + self.beside_gib


@cache
def cells() -> tuple[Cell, ...]:
    """Every cell of every table that fitted its card, in the order in which they were measured."""
    return tuple(cell for path in sorted(FOLDER.glob("*.json")) for cell in read(path))


def read(path: Path) -> tuple[Cell, ...]:
    """The cells of one table."""
    table = json.loads(path.read_text("utf-8"))
    return tuple(_cell(path.stem[_DAY:], table["about"], row) for row in table["rows"] if row["fits"])


def find(workload: Workload, gpu: str) -> Cell | None:
    """The training step that was measured on that very card, the latest if there are several; None if none was."""
    found = [one for one in cells() if (one.gpu, one.kind, one.workload) == (gpu, "train", _comparable(workload))]
    return found[-1] if found else None


def _comparable(workload: Workload) -> Workload:
    """``workload`` without what makes no difference to a training step."""
    return replace(workload, validation_px=0)


def _cell(gpu: str, about: dict[str, Any], row: dict[str, Any]) -> Cell:
    workload = Workload(
        flavour=row["flavour"],
        rank=row["rank"],
        optimizer=_OPTIMIZERS[row["optimizer"]],
        batch=row["batch"],
        resolution_px=row["px"],
        gradient_checkpointing=row["checkpointing"],
        dropout=row["dropout"],
    )
    numbers = {name: row[name] for name in ("median_s", "least_s", "most_s")}
    held = {name: row[name] for name in ("allocated_gib", "reserved_gib", "beside_gib")}
    return Cell(gpu, about["card"], about["day"], row["kind"], workload, **numbers, **held)
