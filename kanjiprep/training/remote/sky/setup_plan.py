"""What it takes to make SkyPilot's environment on this machine, judged before anything is downloaded."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.training.remote.sky import home as homes

_SKYPILOT: Final = "0.14.1"
_WANTED: Final = f"skypilot[lambda]=={_SKYPILOT}"
PACKAGES: Final = (_WANTED, "setuptools", "wheel")
"""The last two build the wheel of itself that SkyPilot sends to machines."""
_DOWNLOAD_MB: Final = 105
"""Measured: 97 wheels for Linux x86-64, Python 3.11."""
_INSTALLED_MB: Final = 380
"""Measured with du after setup."""
_SPARE_MB: Final = 500
MARKER: Final = ".kanjiprep-complete"
"""Written last, so without it the environment is unfinished."""
BUILDING: Final = ".kanjiprep-building"
_TOOLS: Final[Mapping[str, str]] = {"ssh": "openssh-client", "rsync": "rsync"}
"""What SkyPilot starts, and the package of Debian and Ubuntu that has it."""
_NEWEST_TESTED: Final = (3, 13)
_DOWNLOADED_PYTHON: Final = "3.12"

Found = Literal["nothing", "unfinished", "finished", "foreign"]


@dataclass(frozen=True, slots=True)
class Host:
    """What decides on this machine.

    Attributes:
        free_mb: Free on the disk of the folder.
        missing: Programs that SkyPilot starts and that are not here.
        has_key: Whether a key can be had: it is in the environment, or in SkyPilot's home from before.
        standing: What stands at the folder: ``foreign`` is anything that we did not make.
    """

    free_mb: float
    missing: tuple[str, ...]
    has_key: bool
    standing: Found = "nothing"


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """What setup will do.

    Attributes:
        where: The folder of it all: ``env``, ``home`` and ``cache``.
        python: The Python to make the environment with, or the version that uv downloads.
        is_finished: The environment stands; only the key is written anew, if there is one.
        is_new: Nothing stands there yet.
    """

    where: Path
    python: str
    is_finished: bool
    is_new: bool

    @property
    def env(self) -> Path:
        """The environment of SkyPilot."""
        return self.where / "env"

    @property
    def home(self) -> Path:
        """What SkyPilot takes for the home of its user."""
        return self.where / "home"

    @property
    def steps(self) -> tuple[str, ...]:
        """Each step in words."""
        keep = f"write the key of {homes.KEY_VARIABLE}, if it is set, for nobody else to read, into {self.home}"
        if self.is_finished:
            return (f"nothing to install: SkyPilot {_SKYPILOT} is ready in {self.env}", keep)
        known = Path(self.python).is_absolute()
        return (
            f"make {self.env} with {self.python if known else f'a downloaded Python {self.python}'}",
            f"download about {_DOWNLOAD_MB} MB, install SkyPilot {_SKYPILOT}, about {_INSTALLED_MB} MB on the disk",
            keep,
            "try whether it can be loaded, and that it would copy no other cloud's keys",
        )


def plan_setup(where: Path, host: Host) -> SetupPlan:
    """What setup will do on ``host``.

    Raises:
        RemoteError: If the folder is not ours, a program is missing or the disk is too small.
        UsageError: If there is no key.
    """
    if host.standing == "foreign":
        raise RemoteError("is in the way and not ours", str(where), "move it away or give another folder")
    if host.missing:
        packages = " ".join(_TOOLS[name] for name in host.missing)
        what = f"{' and '.join(host.missing)} {'is' if len(host.missing) == 1 else 'are'} not installed"
        raise RemoteError(what, "", f"install, for example with sudo apt-get install {packages}")
    if host.standing == "nothing" and host.free_mb < _INSTALLED_MB + _SPARE_MB:
        what = f"{_INSTALLED_MB + _SPARE_MB} MB are needed and {host.free_mb:,.0f} MB are free"
        raise RemoteError(what, str(where), "free some space or give another folder")
    if not host.has_key:
        raise UsageError(
            f"{homes.KEY_VARIABLE} is not set", "", "make a key at https://cloud.lambda.ai/api-keys and set it"
        )
    return SetupPlan(where, python_for(sys.version_info[:2]), host.standing == "finished", host.standing == "nothing")


def python_for(version: tuple[int, int]) -> str:
    """Our own Python if SkyPilot runs on its ``version``, else one that uv downloads."""
    return sys.executable if version <= _NEWEST_TESTED else _DOWNLOADED_PYTHON


def look(where: Path, environ: Mapping[str, str]) -> Host:
    """What decides on this machine; nothing is changed or downloaded."""
    parent = next(folder for folder in (where, *where.absolute().parents) if folder.exists())
    path = environ.get("PATH", "")
    return Host(
        free_mb=shutil.disk_usage(parent).free / 1e6,
        missing=tuple(name for name in _TOOLS if shutil.which(name, path=path) is None),
        has_key=bool(environ.get(homes.KEY_VARIABLE)) or (where / "home" / homes.KEY_FILE).is_file(),
        standing=_standing(where),
    )


def written() -> str:
    """What a finished environment says of itself."""
    return json.dumps({"packages": PACKAGES}, indent=1) + "\n"


def is_ready(where: Path) -> bool:
    """Whether a finished environment of this version and its home stand at ``where``."""
    return _standing(where) == "finished" and (where / "home" / homes.KEY_FILE).is_file()


def _standing(where: Path) -> Found:
    if not where.exists() or (where.is_dir() and not any(where.iterdir())):
        return "nothing"
    marker = where / MARKER
    is_whole = (where / "env" / "bin" / "python").is_file()
    if is_whole and marker.is_file() and marker.read_bytes() == written().encode():
        return "finished"
    return "unfinished" if marker.is_file() or (where / BUILDING).is_file() else "foreign"
