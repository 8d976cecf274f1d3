"""What is published beside an adapter where a run has it: its report, and workflows for ComfyUI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from kanjiprep.evaluation import score_table
from kanjiprep.training.running import run_source

REPORT: Final = (
    "report/report.html",
    "report/strip.png",
    "report/strip.json",
    "report/grid.png",
    "report/grid.json",
    score_table.NAME,
)
COMFYUI: Final = "comfyui"


def extras(run: Path) -> tuple[tuple[Path, str], ...]:
    """The file and its path in the repository of everything that ``run`` has to go along.

    Raises:
        TrainerError: If one of them leads out of the run folder, or to nowhere.
    """
    workflows = sorted(one.name for one in (run / COMFYUI).glob("*.json") if not one.name.startswith("."))
    names = [*REPORT, *(f"{COMFYUI}/{name}" for name in workflows)]
    found = [(run_source.within(run, name), name) for name in names if os.path.lexists(run / name)]
    return tuple((path, name) for path, name in found if path.is_file())
