from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep.training import flops, gpus, models, step_table
from kanjiprep.training.models import Workload

H200 = step_table.FOLDER / "2026-11-27-h200.json"
ROWS = json.loads(H200.read_text("utf-8"))["rows"]


def test_the_table_that_ships_has_what_was_measured() -> None:
    cells = step_table.cells()
    assert len(cells) == len(ROWS) == 31
    assert {(one.gpu, one.card, one.day) for one in cells} == {("h200", "NVIDIA H200", "2026-11-27")}
    assert all(one.least_s <= one.median_s <= one.most_s for one in cells)
    assert all(row["steps"] >= 20 for row in ROWS)


def test_every_table_is_of_a_known_gpu() -> None:
    known = {one.name for one in gpus.load().gpu}
    assert {one.gpu for one in step_table.cells()} <= known


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_the_script_counted_as_we_do(number: int) -> None:
    row, cell = ROWS[number], step_table.cells()[number]
    count = flops.of_step if cell.kind == "train" else lambda one: flops.of_picture_step(one, one.resolution_px)
    assert row["tflop"] == pytest.approx(count(cell.workload).total / 1e12, rel=1e-6)
    assert row["trained_parameters"] == models.trained_parameters(cell.workload)
    assert row["tflops"] == pytest.approx(row["tflop"] / row["median_s"], rel=1e-3)


def test_a_setting_is_found_on_its_card_alone() -> None:
    wish = Workload(rank=768, batch=6, validation_px=1024)
    found = step_table.find(wish, "h200")
    assert found is not None
    assert found.median_s == pytest.approx(2.256, abs=0.001)
    assert found.held_gib == pytest.approx(30.91, abs=0.01)
    assert step_table.find(wish, "h100-80gb-sxm") is None
    assert step_table.find(replace(wish, batch=3), "h200") is None
    assert step_table.find(replace(wish, accumulation=2), "h200") is None


def test_what_did_not_fit_is_no_cell(tmp_path: Path) -> None:
    table = json.loads(H200.read_text("utf-8"))
    table["rows"] = [{**table["rows"][0], "fits": False, "seen": True}, table["rows"][1]]
    path = tmp_path / "2027-01-01-b200.json"
    path.write_text(json.dumps(table), "utf-8")
    assert [(one.gpu, one.workload.batch) for one in step_table.read(path)] == [("b200", 1)]
