"""What SkyPilot is asked for: one machine or several, a price, and a job that lasts as long as they are wanted."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import yaml

from kanjiprep.errors import UsageError
from kanjiprep.resources import environment, shipped

_TEMPLATE: Final = "skypilot_task.yaml.j2"
LONGEST_NAME: Final = 40
"""Lambda's names have 64 characters; SkyPilot adds a hyphen, its mark of the user and -worker."""
_MOST_NODES: Final = 16
_LOOK_EVERY_S: Final = 20
_NAME: Final = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_TYPE: Final = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be rented.

    Attributes:
        name: Of the cluster, in small letters, digits and hyphens.
        instance_type: Lambda's name of the machine, so that no other is taken in its place.
        max_hourly_cost: In dollars, of all machines together; with less asked for nothing is rented.
        deadline: When the machines are given back whatever happens, in seconds since 1970.
        num_nodes: How many machines.
        idle_minutes: From the end of the job to the end of the machine.
        silent_minutes: So long without a sign of life, and the job ends.
    """

    name: str
    instance_type: str
    max_hourly_cost: float
    deadline: int
    num_nodes: int = 1
    idle_minutes: int = 5
    silent_minutes: int = 30


def render(task: Task) -> str:
    """The task as SkyPilot reads it: YAML of the JSON kind, so that no value can be read as anything else.

    On the machine, ``~/.kanjiprep/alive`` is the sign of life: a file that is touched, or a link to one, such as the
    heartbeat of a run.

    Raises:
        UsageError: If a value makes no sense.
    """
    for problem in _problems(task):
        raise UsageError(problem, "", "correct it")
    source = (shipped("templates") / _TEMPLATE).read_text("utf-8")
    text = environment().from_string(source).render(**_values(task))
    read: dict[str, Any] = yaml.safe_load(text)
    return json.dumps(read, indent=1) + "\n"


def accelerate_words() -> tuple[str, ...]:
    """How accelerate hears of several machines, in words of a shell that runs as a job of SkyPilot's.

    The job writes them, filled in, into ``~/.kanjiprep/accelerate`` of each machine, one a line.
    """
    return (
        "--num_machines", '"$SKYPILOT_NUM_NODES"',
        "--machine_rank", '"$SKYPILOT_NODE_RANK"',
        "--main_process_ip", '"$(echo "$SKYPILOT_NODE_IPS" | head -n 1)"',
        "--main_process_port", "29500",
        "--num_processes", '"$((SKYPILOT_NUM_NODES * SKYPILOT_NUM_GPUS_PER_NODE))"',
    )  # fmt: skip


def check_name(cluster: str) -> None:
    """Nothing, if a cluster can have that name.

    Raises:
        UsageError: If not.
    """
    for problem in _problems_of_name(cluster):
        raise UsageError(problem, "", "correct it")


def _problems_of_name(name: str) -> Iterator[str]:
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        yield f"{name!r} is no name of a cluster: small letters, digits and hyphens, at most {LONGEST_NAME}"


def _values(task: Task) -> dict[str, Any]:
    return {
        **asdict(task),
        "max_hourly_cost": task.max_hourly_cost / task.num_nodes,  # SkyPilot counts one machine
        "accelerate": accelerate_words() if task.num_nodes > 1 else (),
        "look_every_s": _LOOK_EVERY_S,
    }


def _problems(task: Task) -> Iterator[str]:
    yield from _problems_of_name(task.name)
    if not _TYPE.fullmatch(task.instance_type):
        yield f"{task.instance_type!r} is no instance type of Lambda's"
    if not (math.isfinite(task.max_hourly_cost) and task.max_hourly_cost > 0):
        yield f"an hourly cost of at most {task.max_hourly_cost} dollars rents nothing"
    for what, count, most in (
        ("machines", task.num_nodes, _MOST_NODES),
        ("idle minutes", task.idle_minutes, 24 * 60),
        ("silent minutes", task.silent_minutes, 24 * 60),
    ):
        if not 1 <= count <= most:
            yield f"{count} {what} are not within 1 and {most:,}"
    if task.deadline <= 0:
        yield f"{task.deadline} is no time of a deadline"
