from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kanjiprep.evaluation.report import sides
from tests import judged_runs


def test_what_runs_came_to_stands_beside_each_other(tmp_path: Path) -> None:
    good = judged_runs.healthy(tmp_path / "good")
    bad = judged_runs.empty(tmp_path / "bad")
    bad = replace(bad, dataset=replace(bad.dataset, digest=""))
    found = dict(sides.figures([good, bad]))
    assert found["verdict"] == ("step 10,000", "none")
    assert found["may be as good"][0].startswith("10,400, 12,000, "), "not the chosen one itself"
    assert found["checkpoints"] == ("60, 7 dropped", "0, 0 dropped")
    assert found["explosions"] == ("2", "0")
    assert found["spent after the chosen one"] == ("about 18 h 17 min, $23.58 (58%)", "–")
    assert found["dataset"] == ("6,414 pictures, 5f5f5f5f5f5f", "6,414 pictures")


def test_what_was_spent_in_vain_is_reckoned_by_steps_where_seconds_are_not_known(tmp_path: Path) -> None:
    run = judged_runs.healthy(tmp_path / "x")
    run = replace(run, cost=replace(run.cost, hours=24.0, usd=None, step_s=None))
    assert sides.spent(run).after == "about 14 h 00 min (58%)"


def test_settings_are_parted_into_those_that_differ_and_the_rest(tmp_path: Path) -> None:
    one = judged_runs.one_checkpoint(tmp_path / "x")
    other = replace(one, settings={"lora.rank": "64", "training.batch": "6"})
    differ, same = sides.settings([one, other])
    assert ("lora.rank", ("768", "64")) in differ
    assert ("model.family", ("sd3", "–")) in differ
    assert same == (("training.batch", ("6", "6")),)
