from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from kanjiprep.evaluation.judged import Curves
from kanjiprep.evaluation.report import curves
from tests import judged_runs
from tests.judged_runs import EVERY


def test_all_curves_stand_over_one_axis_of_steps(tmp_path: Path) -> None:
    run = judged_runs.with_weights(judged_runs.healthy(tmp_path / "x", prompts=2))
    figure = curves.figure(run, curves.last_step([run]))
    assert figure is not None
    names = [panel.name.split(",")[0] for panel in figure.panels]
    assert names == ["score", "gradient norm", "loss", "learning rate", "size of the adapter"]
    assert [text for _, text in figure.ticks] == ["0", "5,000", "10,000", "15,000", "20,000"]
    assert len(figure.checkpoints) == len(run.steps)
    assert len(figure.shades) == 2
    assert figure.chosen_text == f"{run.verdict.step:,}"
    kinds = {mark.kind for mark in figure.panels[0].marks}
    assert kinds == {"chosen", "tied", "dropped", "sound"}
    assert all(curves.LEFT <= mark.x <= curves.RIGHT for mark in figure.panels[0].marks)


def test_what_is_not_a_number_is_a_gap(tmp_path: Path) -> None:
    run = judged_runs.healthy(tmp_path / "x", checkpoints=2, prompts=1)
    made = Curves((1, 2, 3, 4), (1.0, math.nan, 2.0, 3.0), (1.0, 0.0, 2.0, None), (None, None, None, None))
    figure = curves.figure(replace(run, curves=made), 800)
    assert figure is not None
    score, gradient, loss = figure.panels
    assert (score.line.count("M"), gradient.line.count("M"), loss.line.count("M")) == (1, 2, 2)
    assert "h0" in gradient.line
    assert "nan" not in "".join(panel.line for panel in figure.panels)
    assert figure.told["columns"] == {
        "gradient": [1.0, 0.0, 2.0, None],
        "loss": [1.0, None, 2.0, 3.0],
        "learning rate": [None] * 4,
    }


def test_a_single_checkpoint_has_a_band_that_can_be_seen(tmp_path: Path) -> None:
    figure = curves.figure(judged_runs.one_checkpoint(tmp_path / "x"), EVERY)
    assert figure is not None
    assert figure.panels[0].band.startswith("M")
    assert len(figure.panels[0].marks) == 1


def test_dropped_checkpoints_part_the_band(tmp_path: Path) -> None:
    run = judged_runs.healthy(tmp_path / "x", prompts=1)
    figure = curves.figure(run, 24_000)
    assert figure is not None
    assert figure.panels[0].band.count("M") == figure.panels[0].line.count("M") == 3


def test_an_explosion_that_is_not_over_lasts_to_the_end(tmp_path: Path) -> None:
    run = judged_runs.crashed(tmp_path / "x")
    figure = curves.figure(run, curves.last_step([run]))
    assert figure is not None
    assert figure.shades[1].text == run.phases[1].text
    assert figure.shades[1].x + figure.shades[1].width > curves.RIGHT - 1


def test_a_run_with_nothing_has_no_curves(tmp_path: Path) -> None:
    run = judged_runs.empty(tmp_path / "x")
    assert curves.last_step([run]) == 0
    assert curves.figure(run, 0) is None
