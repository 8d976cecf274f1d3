"""Makes the environment that SimpleTuner needs for itself: another Python, and some 240 packages."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uv

from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.training import setup_plan
from kanjiprep.training import trainer as trainers
from kanjiprep.training.setup_plan import BUILDING, LOCK, SIMPLETUNER, SetupPlan, SetupRequest
from kanjiprep.training.trainer import Trainer

TRY_TIMEOUT_S: Final = 900.0
AGAIN: Final = "look at the network and the disk, then run kanjiprep setup-trainer again"

_TRY: Final = "import simpletuner.helpers.training.trainer"
"""What train.py loads first: all models with it, so that a misfit among the packages shows here."""
_TELLING: Final = re.compile(r"\s*(Downloaded|Built) ")


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
    with _alone(request.where):
        agreed = plan(request, environ, find_uv)
        if not agreed.is_finished:
            with _undone_on_failure(agreed):
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
    _run_uv(venv_line(uv_bin, agreed), environ, "make the environment", progress)
    _run_uv(install_line(uv_bin, agreed), environ, "install SimpleTuner", progress)
    progress("try it", 0, 1)
    _try(_python(agreed.where), environ)
    progress("try it", 1, 1)
    building.write_text(setup_plan.written(agreed.extra), "utf-8")
    building.rename(agreed.where / trainers.MARKER)


def _try(python: Path, environ: Mapping[str, str]) -> None:
    offline = {**environ, "HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"}
    with tempfile.TemporaryDirectory(prefix="kanjiprep-try-") as folder:  # the trainer empties ./debug.log
        trainers.run([str(python), "-c", _TRY], offline, TRY_TIMEOUT_S, cwd=Path(folder))


def _run_uv(line: list[str], environ: Mapping[str, str], stage: str, progress: Progress) -> None:
    """Run uv, which tells on stderr what it has fetched and built; its last lines tell why it failed."""
    progress(stage, 0, None)
    patient = {"UV_HTTP_TIMEOUT": "300", **environ}
    said: deque[str] = deque(maxlen=5)
    fetched = 0
    with subprocess.Popen(  # noqa: S603
        line, env=patient, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        try:
            for text in process.stderr or ():
                said.append(text.strip())
                fetched += _TELLING.match(text) is not None
                progress(stage, fetched, None)
            process.wait()
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode:
        raise TrainerError(f"could not {stage}: {' '.join(filter(None, said))}", line[0], AGAIN)
    progress(stage, fetched, fetched)


@contextmanager
def _alone(where: Path) -> Iterator[None]:
    """Hold the folder's lock, and speak of its trouble in one line."""
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with where.with_name(f".{where.name}.lock").open("w") as lock:
            _take(lock.fileno(), where)
            yield
    except OSError as error:
        raise TrainerError(f"cannot be set up: {os_reason(error)}", str(error.filename or where), AGAIN) from error


def _take(lock: int, where: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TrainerError("another setup is at work here", str(where), "wait for it or stop it") from error


@contextmanager
def _undone_on_failure(agreed: SetupPlan) -> Iterator[None]:
    agreed.where.mkdir(exist_ok=True)
    try:
        yield
    except Exception:
        if agreed.is_new:
            shutil.rmtree(agreed.where, ignore_errors=True)
        raise
