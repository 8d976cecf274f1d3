from __future__ import annotations

import dataclasses
import json
from typing import Any, Final

import pytest
import yaml

from kanjiprep.errors import UsageError
from kanjiprep.training.remote.sky import task as tasks
from kanjiprep.training.remote.sky.task import Task

ONE: Final = Task("kanji-lora", "gpu_1x_a100_sxm4", 2.5, 1_800_000_000)
TWO: Final = dataclasses.replace(ONE, num_nodes=2)


def rendered(task: Task) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(tasks.render(task))
    return read


def test_a_task_pins_the_machine_and_ends_by_itself() -> None:
    assert rendered(ONE)["resources"] == {
        "infra": "lambda",
        "instance_type": "gpu_1x_a100_sxm4",
        "max_hourly_cost": 2.5,
        "autostop": {"idle_minutes": 5, "down": True, "wait_for": "jobs"},
    }


def test_a_task_asks_for_nothing_that_costs_or_tells_more() -> None:
    assert list(rendered(TWO)) == ["name", "num_nodes", "resources", "run"]
    assert set(rendered(TWO)["resources"]) == {"infra", "instance_type", "max_hourly_cost", "autostop"}


def test_yaml_and_json_read_a_task_alike() -> None:
    assert yaml.safe_load(tasks.render(TWO)) == rendered(TWO)


def test_skypilot_is_told_the_price_of_one_machine_of_several() -> None:
    assert rendered(TWO)["resources"]["max_hourly_cost"] == 1.25


def test_the_switch_knows_its_deadline_and_its_patience() -> None:
    script = rendered(dataclasses.replace(ONE, silent_minutes=7))["run"]
    assert "-lt 1800000000 ]" in script
    assert "-mmin -7 " in script
    assert "accelerate" not in script


def test_only_several_machines_write_words_for_accelerate() -> None:
    script = rendered(TWO)["run"]
    assert " ".join(tasks.accelerate_words()) in script
    assert '[ "$SKYPILOT_NODE_RANK" = 0 ] || exit 0' in script


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "Kanji"}, "'Kanji' is no name of a cluster"),
        ({"name": "a" * 41}, "is no name of a cluster"),
        ({"name": "-a"}, "is no name of a cluster"),
        ({"name": "a\n"}, "is no name of a cluster"),
        ({"name": ""}, "'' is no name of a cluster"),
        ({"instance_type": "gpu 1x"}, "'gpu 1x' is no instance type"),
        ({"instance_type": '"}}'}, "is no instance type"),
        ({"max_hourly_cost": 0.0}, "an hourly cost of at most 0.0 dollars rents nothing"),
        ({"max_hourly_cost": float("nan")}, "at most nan dollars"),
        ({"max_hourly_cost": float("inf")}, "at most inf dollars"),
        ({"num_nodes": 0}, "0 machines are not within 1 and 16"),
        ({"num_nodes": 17}, "17 machines"),
        ({"idle_minutes": 0}, "0 idle minutes are not within 1 and 1,440"),
        ({"silent_minutes": -1}, "-1 silent minutes"),
        ({"deadline": 0}, "0 is no time of a deadline"),
    ],
)
def test_what_makes_no_sense_is_told(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        tasks.render(dataclasses.replace(ONE, **changes))
    assert says in str(caught.value)
