"""What it takes to make the trainer's environment on this machine, judged before anything is downloaded."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from kanjiprep.errors import TrainerError
from kanjiprep.training import trainer as trainers

SIMPLETUNER: Final = "4.10.1"
LOCK: Final = Path(__file__).resolve().parent / "trainer_lock.txt"
_LEAST_DRIVER: Final = 580
"""The wheels of torch 2.13.0 are built for CUDA 13.0. Source: NVIDIA, CUDA Toolkit release notes, driver versions."""
_PYTHONS: Final = ("3.12", "3.13")
"""SimpleTuner 4.10.1 wants 3.12 to 3.14; the first is the one that was tested."""
SPARE_GIB: Final = 2.0
BUILDING: Final = ".kanjiprep-building"
"""Stands in an environment of ours that is not finished."""

Extra = Literal["cpu", "cuda13"]
_DOWNLOAD_GIB: Final[Mapping[Extra, float]] = {"cpu": 3.1, "cuda13": 3.2}
"""Sum of the sizes of the locked wheels, as the package index states them."""
INSTALLED_GIB: Final[Mapping[Extra, float]] = {"cpu": 6.4, "cuda13": 6.7}
"""Measured with du after setup on Linux x86-64, Python 3.12."""


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """What the user asks for.

    Attributes:
        where: Folder of the environment.
        accelerator: ``auto`` means CUDA if a driver answers.
    """

    where: Path
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True, slots=True)
class Host:
    """What decides on this host.

    Attributes:
        driver: Version of the NVIDIA driver, or None if none answers.
        free_gib: Free on the disk of the folder.
        python: A fitting one that is installed, or None: then uv downloads one.
        standing: What stands at the folder: ``foreign`` is anything that we did not make.
        extra: Of the finished environment there.
    """

    driver: str | None
    free_gib: float
    python: Path | None
    standing: Literal["nothing", "unfinished", "finished", "foreign"] = "nothing"
    extra: Extra | None = None


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """What setup will do.

    Attributes:
        where: Folder of the environment.
        extra: SimpleTuner's extra that is installed.
        python: The Python to make it with, or the version that uv downloads.
        download_gib: Fetched, if nothing is in uv's cache.
        installed_gib: Taken on the disk.
        is_finished: There is nothing to do.
        is_new: Nothing stands there yet.
    """

    where: Path
    extra: Extra
    python: str
    download_gib: float
    installed_gib: float
    is_finished: bool
    is_new: bool

    @property
    def steps(self) -> tuple[str, ...]:
        """Each step in words."""
        if self.is_finished:
            return (f"nothing: SimpleTuner {SIMPLETUNER} [{self.extra}] is ready in {self.where}",)
        known = Path(self.python).is_absolute()
        return (
            f"make {self.where} with {self.python if known else f'a downloaded Python {self.python}'}",
            f"download about {self.download_gib:.1f} GiB, install SimpleTuner {SIMPLETUNER} [{self.extra}], "
            f"about {self.installed_gib:.1f} GiB on the disk",
            "try whether it can be loaded",
        )


def plan_setup(request: SetupRequest, host: Host) -> SetupPlan:
    """What setup will do on ``host``.

    Raises:
        TrainerError: If the folder is not ours, the driver is too old or missing, or the disk too small.
    """
    where = str(request.where)
    if host.standing == "foreign":
        raise TrainerError("is in the way and not ours", where, "move it away or give another folder")
    extra = _extra(request, host)
    is_finished = host.standing == "finished" and host.extra in (extra, "cuda13")
    needed_gib = INSTALLED_GIB[extra] + SPARE_GIB
    if host.standing == "nothing" and host.free_gib < needed_gib:
        what = f"{needed_gib:.1f} GiB are needed and {host.free_gib:.1f} GiB are free"
        raise TrainerError(what, where, "free some space or give another folder")
    python = str(host.python or _PYTHONS[0])
    sizes = _DOWNLOAD_GIB[extra], INSTALLED_GIB[extra]
    return SetupPlan(request.where, extra, python, *sizes, is_finished, host.standing == "nothing")


def _extra(request: SetupRequest, host: Host) -> Extra:
    if request.accelerator == "cpu" or (request.accelerator == "auto" and host.driver is None):
        return "cpu"
    if host.driver is None:
        raise TrainerError("no NVIDIA driver answers here", "nvidia-smi", "set it up, or ask for the CPU")
    if int(host.driver.partition(".")[0]) < _LEAST_DRIVER:
        what = f"the NVIDIA driver is {host.driver}, and CUDA 13.0 needs {_LEAST_DRIVER} or newer"
        raise TrainerError(what, "nvidia-smi", "update the driver, or ask for the CPU")
    return "cuda13"


def look(request: SetupRequest, environ: Mapping[str, str], uv: str) -> Host:
    """What decides on this machine; nothing is changed or downloaded."""
    standing, extra = _standing(request.where)
    parent = next(folder for folder in (request.where, *request.where.absolute().parents) if folder.exists())
    free_gib = shutil.disk_usage(parent).free / 2**30
    return Host(_driver(environ), free_gib, _python(environ, uv), standing, extra)


def certificate(extra: Extra) -> dict[str, str]:
    """What a finished environment says of itself."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    return {"simpletuner": SIMPLETUNER, "extra": extra, "lock": digest}


def _standing(where: Path) -> tuple[Literal["nothing", "unfinished", "finished", "foreign"], Extra | None]:
    if not where.exists() or (where.is_dir() and not any(where.iterdir())):
        return "nothing", None
    marker = where / trainers.MARKER
    extras: tuple[Extra, ...] = ("cpu", "cuda13")
    for extra in extras:
        if marker.is_file() and marker.read_text("utf-8") == written(extra) and (where / "bin" / "python").is_file():
            return "finished", extra
    return ("unfinished" if marker.is_file() or (where / BUILDING).is_file() else "foreign"), None


def written(extra: Extra) -> str:
    """The certificate as it stands in its file."""
    return json.dumps(certificate(extra), indent=1) + "\n"


def _driver(environ: Mapping[str, str]) -> str | None:
    tool = shutil.which("nvidia-smi", path=environ.get("PATH", ""))
    said = _answer([tool, "--query-gpu=driver_version", "--format=csv,noheader"], environ) if tool else ""
    return said if re.match(r"\d+\.", said) else None


def _python(environ: Mapping[str, str], uv: str) -> Path | None:
    """The first fitting Python that runs; pyenv's are looked up by folder, as its stand-ins on PATH stop uv."""
    versions = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/")) / ".pyenv") / "versions"
    for version in _PYTHONS:
        asked = _answer([uv, "python", "find", "--no-project", "--no-python-downloads", version], environ)
        for path in (*([Path(asked)] if asked else []), *sorted(versions.glob(f"{version}.*/bin/python{version}"))):
            if _answer([str(path), "-c", "print('it runs')"], environ):
                return path
    return None


def _answer(command: list[str], environ: Mapping[str, str]) -> str:
    """The first line that ``command`` writes, or nothing if it fails."""
    try:
        lines = trainers.run(command, environ, trainers.ASK_TIMEOUT_S).splitlines()
    except TrainerError:
        return ""
    return lines[0].strip() if lines else ""
