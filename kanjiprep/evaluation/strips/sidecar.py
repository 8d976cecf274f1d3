"""The documents beside a strip and a grid: where each picture is, and what is known of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import kanjiprep
from kanjiprep.evaluation.choose import Verdict
from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.evaluation.strips import grid, strip
from kanjiprep.evaluation.strips.labels import Labels
from kanjiprep.evaluation.strips.placed import Layout, Placed

STRIP: Final = "strip"
GRID: Final = "grid"


def strip_json(run: JudgedRun, labels: Labels) -> bytes:
    """The document beside the strip, for a file of the same name but for its ending.

    ``labels`` must be those that the strip is drawn with.
    """
    return _document(STRIP, [run], strip.layout(run, labels))


def grid_json(runs: Sequence[JudgedRun], labels: Labels) -> bytes:
    """The document beside the grid, for a file of the same name but for its ending.

    ``labels`` must be those that the grid is drawn with.
    """
    return _document(GRID, runs, grid.layout(runs, labels))


def _document(kind: str, runs: Sequence[JudgedRun], layout: Layout) -> bytes:
    table = {
        "kind": kind,
        "tool": f"kanjiprep {kanjiprep.__version__}",
        "width": layout.width_px,
        "height": layout.height_px,
        "runs": [{"run": run.name, **_verdict(run.verdict)} for run in runs],
        "cells": [_cell(one) for one in layout.cells],
    }
    text = json.dumps(table, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair becomes what JSON writes for it


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {"status": verdict.status, "step": verdict.step, "why": verdict.why, "tied": list(verdict.tied)}


def _cell(one: Placed) -> dict[str, Any]:
    shown, picture = one.shown, one.shown.picture
    return {
        "left": one.left,
        "top": one.top,
        "width": one.side_px,
        "height": one.side_px,
        "run": shown.run,
        "step": shown.step,
        "base": shown.is_base,
        "prompt": shown.prompt,
        "text": shown.text,
        "seed": shown.seed,
        "file": shown.file or None,
        "box": list(picture.cell.box) if picture and picture.cell.box else None,
        "score": picture.score if picture else None,
        "style": picture.style if picture else None,
        "shape": picture.shape if picture else None,
        "fault": picture.fault if picture else None,
        "flags": [{"about": flag.about, "text": flag.text} for flag in shown.flags],
        "chosen": shown.is_chosen,
        "tied": shown.is_tied,
    }
