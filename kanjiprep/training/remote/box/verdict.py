"""Whether a box fits what is wished for: what forbids it, and what one should know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from kanjiprep.errors import TrainerError
from kanjiprep.training import setup_plan
from kanjiprep.training.remote.box.preflight import Survey
from kanjiprep.training.setup_plan import Extra, Host, SetupRequest

MOST_OFF_S: Final = 120.0
OURS_GIB: Final = 1.5
"""Of our own environment and of uv's Python. Source: du after a setup on Linux x86-64, rounded up."""
_NEEDED: Final = ("flock", "rsync", "setsid", "sha256sum", "tail")
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Wish:
    """What a box is to do.

    Attributes:
        accelerator: For the trainer; ``cuda`` where the run wants GPUs.
        gpus: How many.
        gpu_bytes: Memory that each must have; None if it is not known.
        disk_bytes: What the run itself will fill, models and dataset included.
        allow_arm: Whether an ARM machine is tried.
        repo_id: Model that is fetched there; empty for none.
        has_token: Whether the user has a token for the Hub.
        wheel: Digest of the wheel that is to be set up.
    """

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    gpus: int = 0
    gpu_bytes: float | None = None
    disk_bytes: float = 0.0
    allow_arm: bool = False
    repo_id: str = ""
    has_token: bool = False
    wheel: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found; with a problem nothing should be begun."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def judge(survey: Survey, wish: Wish) -> Verdict:
    """What of ``survey`` forbids ``wish``, and what is to be known."""
    problems = (*_system(survey, wish), *_trainer(survey, wish), *_gpus(survey, wish), *_disk(survey, wish))
    said_problems, said_warnings = _hub(survey, wish)
    return Verdict((*problems, *_python(survey), *said_problems), (*_warnings(survey), *said_warnings))


def _system(survey: Survey, wish: Wish) -> Iterator[str]:
    if survey.system != "Linux":
        yield f"its system is {survey.system}, and the trainer needs Linux"
        return
    if survey.machine in ("aarch64", "arm64") and not wish.allow_arm:
        yield f"its processor is {survey.machine}, for which the trainer was not tried; allow it, or take x86-64"
    elif survey.machine not in ("x86_64", "aarch64", "arm64"):
        yield f"its processor is {survey.machine}, for which there are no wheels"
    missing = [tool for tool in _NEEDED if tool not in survey.tools]
    if missing:
        yield f"{', '.join(missing)} cannot be found there; install util-linux, coreutils and rsync"
    if not survey.writable:
        yield "our folder there cannot be written"


def _trainer(survey: Survey, wish: Wish) -> Iterator[str]:
    """What setup-trainer itself would refuse; its disk is counted with the rest."""
    if survey.own_trainer:
        return
    standing, extra = _standing(survey)
    driver = survey.gpus[0].driver if survey.gpus else None
    host = Host(driver if driver and driver[0].isdigit() else None, float("inf"), None, standing, extra)
    try:
        setup_plan.plan_setup(SetupRequest(Path("trainer"), wish.accelerator), host)
    except TrainerError as error:
        yield f"{error.what}; {error.remedy}"


def _standing(survey: Survey) -> tuple[Literal["nothing", "finished"], Extra | None]:
    try:
        told = json.loads(survey.trainer)
    except (ValueError, RecursionError):
        return "nothing", None
    extras: tuple[Extra, ...] = ("cpu", "cuda13")
    extra = next((one for one in extras if told == setup_plan.certificate(one)), None)
    return ("finished", extra) if extra else ("nothing", None)


def _gpus(survey: Survey, wish: Wish) -> Iterator[str]:
    if len(survey.gpus) < wish.gpus:
        yield f"{wish.gpus} GPUs are wished for, and the driver shows {len(survey.gpus)}"
    for gpu in survey.gpus[: wish.gpus]:
        if wish.gpu_bytes is not None and gpu.memory_bytes is not None and gpu.memory_bytes < wish.gpu_bytes:
            has, needs = gpu.memory_bytes / _GIB, wish.gpu_bytes / _GIB
            yield f"{gpu.name} has {has:.1f} GiB of memory, and the run needs {needs:.1f} GiB"
            return


def _disk(survey: Survey, wish: Wish) -> Iterator[str]:
    needed_gib = wish.disk_bytes / _GIB + to_install_gib(survey, wish)
    if survey.free_bytes is not None and survey.free_bytes / _GIB < needed_gib:
        yield f"{needed_gib:.1f} GiB are needed on its disk, and {survey.free_bytes / _GIB:.1f} GiB are free"


def to_install_gib(survey: Survey, wish: Wish) -> float:
    """What will be installed, of ours and the trainer's, that is not there yet."""
    ours = 0.0 if wish.wheel and survey.wheel == wish.wheel else OURS_GIB
    if survey.own_trainer or _standing(survey)[0] == "finished":
        return ours
    extra: Extra = "cpu" if wish.accelerator == "cpu" or not survey.gpus else "cuda13"
    return ours + setup_plan.INSTALLED_GIB[extra] + setup_plan.SPARE_GIB


def _python(survey: Survey) -> Iterator[str]:
    """With uv there is always a Python; without uv one is needed to bring it, or curl."""
    if not survey.uv and not survey.pythons and "curl" not in survey.tools:
        yield "neither uv, python3 nor curl is there, so that uv cannot be brought"


def _warnings(survey: Survey) -> Iterator[str]:
    if survey.clock_off_s is None:
        yield "its clock could not be read"
    elif abs(survey.clock_off_s) > MOST_OFF_S:
        where = "ahead of" if survey.clock_off_s > 0 else "behind"
        yield f"its clock is {abs(survey.clock_off_s):,.0f} s {where} ours, so its times will not fit"
    if survey.free_bytes is None:
        yield "its free disk could not be read"


def _hub(survey: Survey, wish: Wish) -> tuple[tuple[str, ...], tuple[str, ...]]:
    page = f"https://huggingface.co/{wish.repo_id}"
    if survey.hub == "closed":
        who = "this token's account" if wish.has_token else "anybody without a token"
        remedy = f"accept its licence at {page} with the account of the token"
        return (f"the Hub refuses {wish.repo_id} to {who}; {remedy}, and set HF_TOKEN",), ()
    if survey.hub == "no such model":
        return (f"the Hub does not show {wish.repo_id}; look at its name, and set HF_TOKEN",), ()
    if survey.hub == "unreachable":
        return (f"the Hub cannot be reached from there, and {wish.repo_id} is fetched from it",), ()
    return (), (("the Hub is busy, so whether the licence is accepted is not known",) if survey.hub == "busy" else ())
