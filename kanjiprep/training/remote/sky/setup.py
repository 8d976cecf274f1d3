"""Makes the environment and the home that SkyPilot has for itself."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import uv

from kanjiprep.errors import RemoteError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.training import own_environment
from kanjiprep.training.own_environment import Failure
from kanjiprep.training.remote.sky import child, engine, home, setup_plan
from kanjiprep.training.remote.sky.child import Engine
from kanjiprep.training.remote.sky.setup_plan import BUILDING, MARKER, PACKAGES, SetupPlan

_AGAIN: Final = "look at the network and the disk, then run kanjiprep setup-remote again"
_FAILURE: Final = Failure(RemoteError, _AGAIN)
_REMEDY: Final = "run kanjiprep setup-remote"


def plan(where: Path, environ: Mapping[str, str] = os.environ) -> SetupPlan:
    """What ``setup`` would do here; nothing is changed or downloaded.

    Raises:
        RemoteError: If it could not be done.
        UsageError: If there is no key.
    """
    try:
        return setup_plan.plan_setup(where, setup_plan.look(where, environ))
    except OSError as error:
        raise RemoteError(f"cannot be looked at: {os_reason(error)}", str(error.filename or where), _AGAIN) from error


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
    with own_environment.alone(where, _FAILURE):
        agreed = plan(where, environ)
        key = home.checked_key(environ) if environ.get(home.KEY_VARIABLE) else None
        if agreed.is_finished:
            _write_home(agreed, key)
            return _tried(agreed, progress)
        with own_environment.undone_on_failure(agreed.where, is_new=agreed.is_new, mode=0o700):
            return _make(agreed, key, progress, environ, _uv(find_uv))


def find(where: Path, endpoint: str = child.ENDPOINT) -> Engine:
    """SkyPilot as it was set up at ``where``; it is not asked whether it works.

    Raises:
        RemoteError: If it is not, or in another version.
    """
    try:
        is_ready = setup_plan.is_ready(where)
    except OSError as error:
        raise RemoteError(
            f"cannot be looked at: {os_reason(error)}", str(error.filename or where), _REMEDY
        ) from error
    if not is_ready:
        raise RemoteError("SkyPilot is not set up", str(where), _REMEDY)
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
    without_key = {name: value for name, value in environ.items() if name != home.KEY_VARIABLE}
    own_environment.run_uv(venv_line(uv_bin, agreed), without_key, "make the environment", progress, _FAILURE)
    own_environment.run_uv(install_line(uv_bin, agreed), without_key, "install SkyPilot", progress, _FAILURE)
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
