"""The script that measures steps on a GPU, tried with a tiny model on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "benchmarks" / "gpu" / "step_table.py"


def measured(folder: Path) -> str:
    words = [sys.executable, str(SCRIPT), "--out", str(folder), "--device", "cpu", "--tiny", "--steps", "2"]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout


def test_it_measures_what_it_has_not_measured_yet(tmp_path: Path) -> None:
    first = measured(tmp_path).splitlines()
    assert json.loads(first[-1])["cells"] == len(first) - 1 == 5
    table = json.loads((tmp_path / "step_table.json").read_text("utf-8"))
    assert [row["kind"] for row in table["rows"]] == ["train"] * 4 + ["draw"]
    assert all(row["fits"] and 0 < row["least_s"] <= row["median_s"] <= row["most_s"] for row in table["rows"])
    assert (tmp_path / "step_table.md").read_text("utf-8").count("| tiny |") == 5
    again = measured(tmp_path).splitlines()
    assert len(again) == 1
    assert json.loads((tmp_path / "step_table.json").read_text("utf-8"))["rows"] == table["rows"]
