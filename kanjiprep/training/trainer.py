"""Finds SimpleTuner in the environment of its own, and says how it is started there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import platformdirs

from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.paths import expanded, resolved

_SUPPORTED: Final = "4.8 and newer 4.x are, tested with 4.10.1"
VARIABLE: Final = "KANJIPREP_SIMPLETUNER"
_HOME_VARIABLE: Final = "KANJIPREP_TRAINER_HOME"
REMEDY: Final = "run kanjiprep setup-trainer"
MARKER: Final = ".kanjiprep-complete"
"""In a managed environment: written last, so without it the environment is unfinished."""
INSIDE: Final = Path(__file__).resolve().parent / "inside"
"""Scripts that run under the trainer's Python."""
ASK_TIMEOUT_S: Final = 60.0

_ASK: Final = """
import importlib.metadata, importlib.util, json
spec = importlib.util.find_spec("simpletuner")
found = spec is not None and spec.submodule_search_locations
version = importlib.metadata.version("simpletuner") if found else ""
print(json.dumps({"version": version, "package": spec.submodule_search_locations[0] if found else ""}))
"""
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
MISLEADING: Final = frozenset({
    "CONFIG_TYPE", "ENV", "PYTHONHOME", "SIMPLETUNER_CONFIG_BACKEND", "SIMPLETUNER_ENV", "SIMPLETUNER_ENVIRONMENT",
    "SIMPLETUNER_SKIP_TORCH", "SIMPLETUNER_WEBHOOK_CONFIG",
})  # fmt: skip
"""Variables of the user's shell that would make the trainer read another config than ours."""

How = Literal["option", "environment variable", "managed", "PATH"]


@dataclass(frozen=True, slots=True)
class Trainer:
    """A SimpleTuner that can be started.

    Attributes:
        python: The Python of its environment.
        version: Of SimpleTuner.
        package: Its folder, which holds train.py.
        how: Which of the four places it was found in.
    """

    python: Path
    version: str
    package: Path
    how: How


def managed_folder(environ: Mapping[str, str]) -> Path:
    """Where ``kanjiprep setup-trainer`` makes the environment, honouring ``KANJIPREP_TRAINER_HOME``."""
    home = environ.get(_HOME_VARIABLE)
    return resolved(Path(home)) if home else Path(platformdirs.user_data_dir("kanjiprep")) / "simpletuner"


def find(option: str | None, environ: Mapping[str, str], managed: Path) -> Trainer:
    """The trainer, from the first of the four places that has one.

    What the user names is never passed over: if it does not work, that is the error.

    Args:
        option: The folder of an environment, a Python or a ``simpletuner`` script; None if not given.
        environ: For ``KANJIPREP_SIMPLETUNER`` and ``PATH``.
        managed: The folder that ``setup-trainer`` makes.

    Raises:
        TrainerError: If there is none, or it cannot be asked, or its version is not supported.
    """
    if option:
        return ask(python_of(expanded(Path(option))), "option")
    if environ.get(VARIABLE):
        return ask(python_of(expanded(Path(environ[VARIABLE]))), "environment variable")
    if (managed / MARKER).exists():
        return ask(python_of(managed), "managed")
    script = shutil.which("simpletuner", path=environ.get("PATH", os.defpath))
    if script:
        return ask(python_of(Path(script)), "PATH")
    raise TrainerError("SimpleTuner was not found", "", f"{REMEDY}, or set {VARIABLE}")


def python_of(place: Path) -> Path:
    """The Python that belongs to ``place``: an environment's folder, a ``simpletuner`` script, or itself.

    Raises:
        TrainerError: If nothing is there, or no Python can be told from it.
    """
    if place.is_dir():
        return _existing(place / "bin" / "python")
    if place.name.startswith("simpletuner"):
        return _existing(_interpreter(_existing(place).resolve()))
    return _existing(place)


def _existing(path: Path) -> Path:
    try:
        is_there = path.is_file()
    except OSError as error:
        raise TrainerError(f"cannot be looked at: {os_reason(error)}", str(path), "check its permissions") from error
    if not is_there:
        raise TrainerError("is not there", str(path), f"give an environment with SimpleTuner, or {REMEDY}")
    return path.absolute()


def _interpreter(script: Path) -> Path:
    """The Python that ``script`` starts with.

    Its first line names it; where that would be too long, or movable, a line of shell stands there instead.
    """
    with script.open("rb") as stream:
        first, second = (stream.readline(4096).decode("utf-8", "replace").strip() for _ in range(2))
    words = first.removeprefix("#!").split()
    if first.startswith("#!") and words and "python" in Path(words[-1]).name:
        return Path(words[-1] if Path(words[-1]).is_absolute() else shutil.which(words[-1]) or words[-1])
    quoted = re.match(r"'''exec' (?:\"([^\"$`]+)\"|([^\s\"$`]+)) ", second)
    return Path(quoted[1] or quoted[2]) if quoted else script.with_name("python")


def ask(python: Path, how: How) -> Trainer:
    """The trainer in the environment of ``python``, which is asked for its version without loading it.

    Raises:
        TrainerError: If that Python cannot be run, has no SimpleTuner, or one that is not supported.
    """
    environ = {**os.environ, "PYTHONSAFEPATH": "1"}
    answer = run([str(python), "-c", _ASK], environ, ASK_TIMEOUT_S)
    try:
        told = json.loads(answer.splitlines()[-1])
        version, package = str(told["version"]), Path(told["package"])
    except (ValueError, LookupError, TypeError) as error:
        raise TrainerError("does not answer like a Python", str(python), f"give another, or {REMEDY}") from error
    if not version:
        raise TrainerError("has no SimpleTuner", str(python), f"give another environment, or {REMEDY}")
    if not is_supported(version):
        raise TrainerError(f"SimpleTuner {version} is not supported: {_SUPPORTED}", str(python), REMEDY)
    return Trainer(python, version, package, how)


def is_supported(version: str) -> bool:
    """Whether ``version`` is 4.8 or newer and older than 5."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is not None and (4, 8) <= (int(numbers[1]), int(numbers[2])) < (5, 0)


def run(
    command: Sequence[str], environ: Mapping[str, str], timeout_s: float, *, stdin: str = "", cwd: Path | None = None
) -> str:
    """What ``command`` wrote to stdout.

    Raises:
        TrainerError: If it cannot be started, takes too long or fails; with its last line.
    """
    place = shlex.join(command[:2]) if len(command) > 1 and command[1].endswith(".py") else command[0]
    try:
        done = subprocess.run(  # noqa: S603
            command, input=stdin, capture_output=True, timeout=timeout_s, check=False, env=dict(environ), cwd=cwd,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise TrainerError(
            f"gave no answer within {timeout_s:g} s", place, "look whether the machine is busy"
        ) from error
    except OSError as error:
        raise TrainerError(f"cannot be started: {os_reason(error)}", place, REMEDY) from error
    if done.returncode:
        said = last_line(done.stderr) or last_line(done.stdout) or "without a word"
        raise TrainerError(f"failed with code {done.returncode}: {said}", place, REMEDY)
    return done.stdout


def last_line(text: str) -> str:
    """The last line of ``text`` that says something, without colours."""
    lines = [line.strip() for line in _ANSI.sub("", text).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def command(trainer: Trainer, gpus: int = 1) -> list[str]:
    """How training starts: train.py itself, so that signals and exit codes are its own.

    Args:
        trainer: Which one.
        gpus: For more than one, accelerate starts a process for each.
    """
    script = str(trainer.package / "train.py")
    if gpus <= 1:
        return [str(trainer.python), script]
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
    options = ["--num_processes", str(gpus), "--mixed_precision", "bf16", "--dynamo_backend", "no"]
    return [str(trainer.python), *launcher, *options, script]


def environment(config: Path, environ: Mapping[str, str], *, on_gpu: bool, wandb: bool = False) -> dict[str, str]:
    """The environment variables of a run.

    Args:
        config: config.json, or its folder; absolute.
        environ: Ours, which is passed on but for what would mislead the trainer.
        on_gpu: Without a GPU the trainer is told to use the CPU.
        wandb: Whether the user asked to report there; otherwise it stays off, account or not.
    """
    ours = {
        **{name: value for name, value in environ.items() if name not in MISLEADING},
        "CONFIG_BACKEND": "json",
        "CONFIG_PATH": str(config),
        "SIMPLETUNER_DISABLE_COLORS": "1",
        "PYTHONUNBUFFERED": "1",
        "TQDM_POSITION": "-1",  # else huggingface_hub draws no bar of a download into a file
        "TOKENIZERS_PARALLELISM": environ.get("TOKENIZERS_PARALLELISM", "false"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(INSIDE / "shim"), environ.get("PYTHONPATH", "")])),
    }
    if not wandb:
        ours["WANDB_MODE"] = "disabled"
    if not on_gpu:
        ours |= {"ACCELERATE_USE_CPU": "true", "ACCELERATE_MIXED_PRECISION": "bf16"}
    return ours


def inside(trainer: Trainer, script: str, *arguments: str, timeout_s: float, cwd: Path, stdin: str = "") -> str:
    """What one of our scripts wrote to stdout under the trainer's Python, offline and away from our modules.

    Raises:
        TrainerError: As ``run`` does.
    """
    environ = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "WANDB_MODE": "disabled", "PYTHONSAFEPATH": "1"}
    line = [str(trainer.python), str(INSIDE / script), *arguments]
    return run(line, environ, timeout_s, stdin=stdin, cwd=cwd)
