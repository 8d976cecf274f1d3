"""Makes the environment that SimpleTuner needs for itself: another Python, and some 240 packages."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import uv

from kanjiprep.errors import TrainerError
from kanjiprep.progress import Progress
from kanjiprep.training import own_environment, setup_plan
from kanjiprep.training import trainer as trainers
from kanjiprep.training.own_environment import Failure
from kanjiprep.training.setup_plan import BUILDING, LOCK, SIMPLETUNER, SetupPlan, SetupRequest
from kanjiprep.training.trainer import Trainer

_TRY_TIMEOUT_S: Final = 900.0
_AGAIN: Final = "look at the network and the disk, then run kanjiprep setup-trainer again"
_FAILURE: Final = Failure(TrainerError, _AGAIN)

_TRY: Final = "import simpletuner.helpers.training.trainer"
"""What train.py loads first: all models with it, so that a misfit among the packages shows here."""


def plan(
    request: SetupRequest, environ: Mapping[str, str] = os.environ, find_uv: Callable[[], str] = uv.find_uv_bin
) -> SetupPlan:
    """What ``setup`` would do here; nothing is changed or downloaded.

    Raises:
        TrainerError: If it could not be done.
    """
    return setup_plan.plan_setup(request, setup_plan.look(request, environ, _uv(find_uv)))


def setup(
    request: SetupRequest,
    progress: Progress,
    environ: Mapping[str, str] = os.environ,
    find_uv: Callable[[], str] = uv.find_uv_bin,
) -> Trainer:
    """The trainer in an environment of its own, which is made if it is not there.

    It is made in place, because an environment knows its own path; a file that is written last tells a
    finished one. A failure removes what this call made, an interrupt keeps it for the next call.

    Args:
        request: Where, and for what.
        progress: Hears of each step.
        environ: For the tools that are started.
        find_uv: Tells where uv is.

    Raises:
        TrainerError: If the machine is not fit, another setup is at work, or a step fails.
    """
    with own_environment.alone(request.where, _FAILURE):
        agreed = plan(request, environ, find_uv)
        if not agreed.is_finished:
            with own_environment.undone_on_failure(agreed.where, is_new=agreed.is_new):
                _make(agreed, progress, environ, _uv(find_uv))
        return trainers.ask(_python(request.where), "managed")


def _uv(find_uv: Callable[[], str]) -> str:
    try:
        return find_uv()
    except FileNotFoundError as error:
        raise TrainerError("uv was not found", "", "install kanjiprep with its dependencies") from error


def venv_line(uv_bin: str, agreed: SetupPlan) -> list[str]:
    """How uv makes the environment, with an installed Python or one that it downloads."""
    source = [] if Path(agreed.python).is_absolute() else ["--managed-python"]
    options = ["--no-project", "--allow-existing", *source, "--python", agreed.python]
    return [uv_bin, "venv", *options, str(agreed.where)]


def install_line(uv_bin: str, agreed: SetupPlan) -> list[str]:
    """How uv installs SimpleTuner there, in the versions of our lock."""
    wanted = f"simpletuner[{agreed.extra}]=={SIMPLETUNER}"
    return [uv_bin, "pip", "install", "--python", str(_python(agreed.where)), "--constraints", str(LOCK), wanted]


def _python(where: Path) -> Path:
    return where / "bin" / "python"


def _make(agreed: SetupPlan, progress: Progress, environ: Mapping[str, str], uv_bin: str) -> None:
    building = agreed.where / BUILDING
    building.touch()
    (agreed.where / trainers.MARKER).unlink(missing_ok=True)
    own_environment.run_uv(venv_line(uv_bin, agreed), environ, "make the environment", progress, _FAILURE)
    own_environment.run_uv(install_line(uv_bin, agreed), environ, "install SimpleTuner", progress, _FAILURE)
    progress("try it", 0, 1)
    _try(_python(agreed.where), environ)
    progress("try it", 1, 1)
    building.write_text(setup_plan.written(agreed.extra), "utf-8")
    building.rename(agreed.where / trainers.MARKER)


def _try(python: Path, environ: Mapping[str, str]) -> None:
    offline = {**environ, "HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"}
    with tempfile.TemporaryDirectory(prefix="kanjiprep-try-") as folder:  # the trainer empties ./debug.log
        trainers.run([str(python), "-c", _TRY], offline, _TRY_TIMEOUT_S, cwd=Path(folder))
