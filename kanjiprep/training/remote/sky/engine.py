"""Has SkyPilot rent machines and give them back. It never asks twice: what is not known, the caller must find out."""

from __future__ import annotations

from typing import Any, Final

from kanjiprep.training.remote.sky import answers, child
from kanjiprep.training.remote.sky import task as tasks
from kanjiprep.training.remote.sky.answers import Launched, Standing
from kanjiprep.training.remote.sky.child import Engine, NoAnswer
from kanjiprep.training.remote.sky.task import Task

LAUNCH_S: Final = 2_700.0
"""Lambda boots for up to 25 minutes, SkyPilot waits for SSH for ten, and then installs itself."""
_DOWN_S: Final = 300.0
_SHORT_S: Final = 180.0


def launch(engine: Engine, task: Task, limit_s: float = LAUNCH_S) -> Launched:
    """Rent what ``task`` wants. It is not tried again, and nothing is ended on failure: that is the caller's.

    Args:
        engine: Which SkyPilot.
        task: What to rent.
        limit_s: After so long SkyPilot is ended, and what became of the machines is unknown.

    Raises:
        EngineError: If it did not come to its end; ``may_be_left`` tells whether to look for machines.
        UsageError: If the task makes no sense.
        RemoteError: If SkyPilot cannot be started.
    """
    return answers.launched(_ask(engine, "launch", limit_s, task.name, **_wanted(task)))


def status(engine: Engine, cluster: str, limit_s: float = _SHORT_S) -> Standing | None:
    """What SkyPilot holds of ``cluster`` after it has asked Lambda; None if it knows none.

    Raises:
        EngineError: If there is no answer.
        UsageError: If there can be no cluster of that name.
        RemoteError: If SkyPilot cannot be started.
    """
    done = _ask(engine, "status", limit_s, cluster)
    return None if done is None else answers.standing(done)


def autostop(engine: Engine, cluster: str, idle_minutes: int, limit_s: float = _SHORT_S) -> None:
    """Have ``cluster`` give itself back so many minutes after its job has ended.

    Raises:
        EngineError: If that cannot be arranged.
        UsageError: If there can be no cluster of that name.
        RemoteError: If SkyPilot cannot be started.
    """
    _ask(engine, "autostop", limit_s, cluster, idle_minutes=idle_minutes)


def down(engine: Engine, cluster: str, limit_s: float = _DOWN_S) -> bool:
    """Give the machines of ``cluster`` back; False if SkyPilot knew none, so it can be said twice.

    SkyPilot ends what bears the cluster's name, and takes Lambda's word for it: ask Lambda whether it is gone.

    Raises:
        EngineError: If they may still be there.
        UsageError: If there can be no cluster of that name.
        RemoteError: If SkyPilot cannot be started.
    """
    return bool(_ask(engine, "down", limit_s, cluster))


def uploads(engine: Engine, limit_s: float = _SHORT_S) -> dict[str, str]:
    """Every file with credentials that SkyPilot would copy to a machine: the place there, and ours.

    Raises:
        EngineError: If there is no answer.
        RemoteError: If SkyPilot cannot be started.
    """
    return {str(there): str(here) for there, here in _ask(engine, "uploads", limit_s, "all").items()}


def build(engine: Engine, limit_s: float = _SHORT_S) -> str:
    """The digest of the wheel that SkyPilot sends to machines, which is made now if it is not there.

    Raises:
        EngineError: If it cannot be made.
        RemoteError: If SkyPilot cannot be started.
    """
    return str(_ask(engine, "build", limit_s, "setup"))


def _wanted(task: Task) -> dict[str, Any]:
    return {
        "task": tasks.render(task),
        "instance_type": task.instance_type,
        "num_nodes": task.num_nodes,
        "max_hourly_cost": task.max_hourly_cost,
    }


def _ask(engine: Engine, verb: str, limit_s: float, cluster: str, **asked: Any) -> Any:
    tasks.check_name(cluster)
    child.check_endpoint(engine.endpoint)
    log = child.log_of(engine, cluster)
    try:
        answer = child.ask(engine, verb, limit_s, log, cluster=cluster, **asked)
    except NoAnswer as error:
        raise answers.unknown(str(error), str(log)) from error
    if "failed" in answer:
        raise answers.refusal(answer["failed"], str(log))
    return answer["done"]
