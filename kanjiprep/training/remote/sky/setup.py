"""Makes the environment and the home that SkyPilot has for itself."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uv

from kanjiprep.errors import RemoteError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.training.remote.sky import child, engine, home, setup_plan
from kanjiprep.training.remote.sky.child import Engine
from kanjiprep.training.remote.sky.setup_plan import BUILDING, MARKER, PACKAGES, SetupPlan

AGAIN: Final = "look at the network and the disk, then run kanjiprep setup-remote again"
REMEDY: Final = "run kanjiprep setup-remote"


def plan(where: Path, environ: Mapping[str, str] = os.environ) -> SetupPlan:
    """What ``setup`` would do here; nothing is changed or downloaded.

    Raises:
        RemoteError: If it could not be done.
        UsageError: If there is no key.
    """
    try:
        return setup_plan.plan_setup(where, setup_plan.look(where, environ))
    except OSError as error:
        raise RemoteError(f"cannot be looked at: {os_reason(error)}", str(error.filename or where), AGAIN) from error


def setup(
    where: Path,
    progress: Progress,
    environ: Mapping[str, str] = os.environ,
    find_uv: Callable[[], str] = uv.find_uv_bin,
) -> Engine:
    """SkyPilot in an environment of its own, which is made if it is not there, with the key of ``environ``.

    A failure removes what this call made, an interrupt keeps it for the next call.

    Args:
        where: The folder of it all.
        progress: Hears of each step.
        environ: For the tools that are started, and the key.
        find_uv: Tells where uv is.

    Raises:
        RemoteError: If the machine is not fit, another setup is at work, or a step fails.
        UsageError: If there is no key.
    """
    with _alone(where):
        agreed = plan(where, environ)
        key = home.checked_key(environ) if environ.get(home.KEY_VARIABLE) else None
        if agreed.is_finished:
            _write_home(agreed, key)
            return _tried(agreed, progress)
        with _undone_on_failure(agreed):
            return _make(agreed, key, progress, environ, _uv(find_uv))


def find(where: Path, endpoint: str = child.ENDPOINT) -> Engine:
    """SkyPilot as it was set up at ``where``; it is not asked whether it works.

    Raises:
        RemoteError: If it is not, or in another version.
    """
    try:
        is_ready = setup_plan.is_ready(where)
    except OSError as error:
        raise RemoteError(f"cannot be looked at: {os_reason(error)}", str(error.filename or where), REMEDY) from error
    if not is_ready:
        raise RemoteError("SkyPilot is not set up", str(where), REMEDY)
    return _engine(where, endpoint)


def venv_line(uv_bin: str, agreed: SetupPlan) -> list[str]:
    """How uv makes the environment, with our own Python or one that it downloads."""
    source = [] if Path(agreed.python).is_absolute() else ["--managed-python"]
    options = ["--no-project", "--allow-existing", *source, "--python", agreed.python]
    return [uv_bin, "venv", *options, str(agreed.env)]


def install_line(uv_bin: str, agreed: SetupPlan) -> list[str]:
    """How uv installs SkyPilot there."""
    return [uv_bin, "pip", "install", "--python", str(agreed.env / "bin" / "python"), *PACKAGES]


def _engine(where: Path, endpoint: str = child.ENDPOINT) -> Engine:
    return Engine(where / "env" / "bin" / "python", where / "home", where / "cache", endpoint)


def _uv(find_uv: Callable[[], str]) -> str:
    try:
        return find_uv()
    except FileNotFoundError as error:
        raise RemoteError("uv was not found", "", "install kanjiprep with its dependencies") from error


def _make(agreed: SetupPlan, key: str | None, progress: Progress, environ: Mapping[str, str], uv_bin: str) -> Engine:
    building = agreed.where / BUILDING
    building.touch()
    (agreed.where / MARKER).unlink(missing_ok=True)
    _run_uv(venv_line(uv_bin, agreed), environ, "make the environment", progress)
    _run_uv(install_line(uv_bin, agreed), environ, "install SkyPilot", progress)
    _write_home(agreed, key)
    made = _tried(agreed, progress)
    building.write_text(setup_plan.written(), "utf-8")
    building.rename(agreed.where / MARKER)
    return made


def _write_home(agreed: SetupPlan, key: str | None) -> None:
    if key is not None:
        home.write(agreed.home, key, secrets.token_hex(4))


def _tried(agreed: SetupPlan, progress: Progress) -> Engine:
    """The engine, after it has built what it sends to machines and told what else it would send."""
    progress("try it", 0, 1)
    made = _engine(agreed.where)
    engine.build(made)
    others = sorted(set(engine.uploads(made)) - {f"~/{home.KEY_FILE}"})
    if others:
        remedy = f"take it out of {agreed.home}"
        raise RemoteError(f"SkyPilot would copy {', '.join(others)} to machines", str(agreed.home), remedy)
    progress("try it", 1, 1)
    return made


def _run_uv(line: list[str], environ: Mapping[str, str], stage: str, progress: Progress) -> None:
    """Run uv, whose last lines tell why it failed; the key is none of its business."""
    progress(stage, 0, 1)
    without_key = {name: value for name, value in environ.items() if name != home.KEY_VARIABLE}
    said: deque[str] = deque(maxlen=5)
    with subprocess.Popen(  # noqa: S603
        line, env={"UV_HTTP_TIMEOUT": "300", **without_key}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
    ) as process:  # fmt: skip
        try:
            said.extend(text.strip() for text in process.stderr or ())
            process.wait()
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode:
        raise RemoteError(f"could not {stage}: {' '.join(filter(None, said))}", line[0], AGAIN)
    progress(stage, 1, 1)


@contextmanager
def _alone(where: Path) -> Iterator[None]:
    """Hold the folder's lock, and speak of its trouble in one line."""
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with where.with_name(f".{where.name}.lock").open("w") as lock:
            _take(lock.fileno(), where)
            yield
    except OSError as error:
        raise RemoteError(f"cannot be set up: {os_reason(error)}", str(error.filename or where), AGAIN) from error


def _take(lock: int, where: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RemoteError("another setup is at work here", str(where), "wait for it or stop it") from error


@contextmanager
def _undone_on_failure(agreed: SetupPlan) -> Iterator[None]:
    agreed.where.mkdir(mode=0o700, exist_ok=True)
    try:
        yield
    except Exception:
        if agreed.is_new:
            shutil.rmtree(agreed.where, ignore_errors=True)
        raise
