"""The JSON files beside each run.toml are what is rendered from it, and all of them are looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kanjiprep.resources import shipped
from kanjiprep.training import configs, presets, schedule
from kanjiprep.training.configs import Places

FOLDER = shipped("simpletuner_configs")
EXPECTED = {FOLDER / name / file for name in presets.names() for file in configs.FILES}


def render(name: str) -> dict[str, bytes]:
    """A preset's files as for the published dataset, seen from the folder in which it was built."""
    preset = presets.load(name)
    steps = schedule.count(preset.spec, presets.NOMINAL)
    places = Places(Path("runs") / name, Path("runs"))
    return configs.render(preset.spec, steps, preset.prompts, places, preset.templates).files()


@pytest.mark.parametrize("name", presets.names())
def test_the_committed_files_are_those_of_the_spec(name: str, request: pytest.FixtureRequest) -> None:
    for file, data in render(name).items():
        path = FOLDER / name / file
        if request.config.getoption("--update-golden"):
            path.write_bytes(data)
        assert path.read_bytes() == data, f"{name}/{file} is not what run.toml says; make presets"


def test_every_json_file_there_is_one_of_them_and_parses() -> None:
    found = set(FOLDER.rglob("*.json"))
    assert found == EXPECTED
    for path in found:
        json.loads(path.read_text("utf-8"))


def test_thirty_epochs_are_thirty_epochs_in_the_users_files() -> None:
    for rate in ("1.05e-3", "9.5e-4"):
        config = json.loads((FOLDER / f"sd35-large-lora-lr{rate}" / "config.json").read_text("utf-8"))
        assert (config["max_train_steps"], config["num_train_epochs"]) == (32_070, 0)
        assert config["learning_rate"] == float(rate)
        assert config["lr_scheduler"] == "cosine"
