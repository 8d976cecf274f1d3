"""Where things are in a run folder that has begun, and the two small files that say how it goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from kanjiprep import spec as tables
from kanjiprep.errors import TrainerError, UsageError, os_reason
from kanjiprep.paths import resolved
from kanjiprep.spec import Bounds
from kanjiprep.training import run_folder
from kanjiprep.training.run_spec import MOST_STEPS, Count, Guard
from kanjiprep.training.running import moments
from kanjiprep.training.running.moments import Moment
from kanjiprep.training.running.processes import Identity

ORDER: Final = run_folder.ORDER
STATE: Final = "state.json"
EVENTS: Final = "events.jsonl"
LOG: Final = "trainer.log"
SUPERVISOR_LOG: Final = "supervisor.log"
ENVIRONMENT: Final = "environment.json"
STOP: Final = "stop.json"
SIGNAL: Final = "signal.json"
"""Counts what the trainer is asked to do beside its work. Source: SimpleTuner 4.10.1 train.py."""
METRICS: Final = "training_metrics.jsonl"
MANIFEST: Final = "training_metrics.json"


@dataclass(frozen=True, slots=True)
class Order:
    """How a run is started and watched; no secret is in it.

    Attributes:
        command: The words that start the trainer.
        environment: Variables to set beside one's own.
        total_steps: Of the whole run.
        steps_per_epoch: As the trainer counts.
        on_gpu: Whether there should be one.
        trainer: Version of SimpleTuner.
        guard: What the guard may do, and when.
        usd_per_hour: Price of the machine; None where it is not known or costs nothing.
        price_source: Whose price that is.
        prompts: Pictures in a round of validation.
        checkpoint_bytes: Of a checkpoint, as estimated.
        most_checkpoints: The trainer removes the oldest beyond so many.
        can_roll_back: Whether an attempt can begin with the weights of a checkpoint alone.
        way: How the next supervisor goes on if no trainer is there.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    total_steps: Count
    steps_per_epoch: Count
    on_gpu: bool
    trainer: str
    guard: Guard
    usd_per_hour: Annotated[float, Bounds(above=0, most=1e6)] | None = None
    price_source: str = ""
    prompts: Annotated[int, Bounds(least=0, most=MOST_STEPS)] = 1
    checkpoint_bytes: Annotated[int, Bounds(least=0, most=1e18)] = 0
    most_checkpoints: Count = MOST_STEPS
    can_roll_back: bool = True
    way: Literal["start", "resume", "rollback"] = "start"


@dataclass(frozen=True, slots=True)
class Pulse:
    """A supervisor's sign of life.

    Attributes:
        status: ``starting``, ``running``, ``stopping`` or ``over``.
        attempt: Its number; 0 before the first.
        supervisor: Its process.
        trainer: The trainer's process, if there is one.
        beat: When the sign was given.
    """

    status: str
    attempt: int
    supervisor: Identity
    trainer: Identity | None
    beat: Moment


def find(run: str | Path) -> Path:
    """The run folder that ``run`` names: a path, or a name in runs/.

    Raises:
        UsageError: If there is none, or nothing was launched in it.
    """
    places = [Path(run), Path("runs") / run]
    folder = None
    if not str(run).strip():
        raise UsageError("the name of a run is empty", remedy=_known_runs())
    with suppress(OSError):  # a name too long for a file, or a folder that may not be entered
        folders = [resolved(place) for place in places if place.is_dir()]
        folder = next((one for one in folders if (one / ORDER).is_file()), next(iter(folders), None))
    if folder is None:
        raise UsageError(f"no run {str(run)!r:.80}", remedy=_known_runs())
    if not (folder / ORDER).is_file():
        raise UsageError("nothing was launched here", str(folder), "give a folder in which a run was launched")
    return folder


def _known_runs() -> str:
    known = sorted(path.parent.name for path in Path("runs").glob(f"*/{ORDER}"))
    verb = "is" if len(known) == 1 else "are"
    return f"there {verb} {', '.join(known)}" if known else "launch one with kanjiprep launch-simpletuner PRESET"


def order_bytes(order: Order) -> bytes:
    """``order`` as the bytes of launch.json."""
    return (json.dumps(asdict(order), ensure_ascii=False, indent=2) + "\n").encode()


def read_order(run: Path) -> Order:
    """The order of ``run``.

    Raises:
        TrainerError: If it cannot be read or is not understood.
    """
    found = _table(run / ORDER)
    order, problems = tables.read(Order, found) if found is not None else (None, ("is not there, or no JSON",))
    if order is None or problems:
        what = f"is not understood: {'; '.join(problems)}"
        raise TrainerError(what, str(run / ORDER), "launch the run anew under another --name")
    return order


def read_pulse(run: Path) -> Pulse | None:
    """The last sign of life of a supervisor of ``run``; None if there was never one that can be read."""
    found = _table(run / STATE)
    pulse, problems = tables.read(Pulse, found) if found is not None else (None, ())
    return None if problems or pulse is None or not moments.is_time(pulse.beat.at) else pulse


def ask_to_stop(run: Path, *, with_checkpoint: bool) -> None:
    """Have the supervisor of ``run`` end it.

    Raises:
        TrainerError: If the wish cannot be written.
    """
    replace(run / STOP, json.dumps({"checkpoint": with_checkpoint}).encode())


def take_stop(run: Path) -> bool | None:
    """Whether a checkpoint is wanted first, if somebody wants ``run`` to end; the wish is taken away."""
    found = _table(run / STOP)
    if found is None:
        return None
    (run / STOP).unlink(missing_ok=True)
    return found.get("checkpoint") is not False


def home(run: Path, output: str) -> str:
    """The output folder that the config beside ``output`` names: elsewhere if ``run`` was moved or copied."""
    found = _table((run / output).with_name(run_folder.CONFIG) / "config.json")
    return str(found.get("output_dir", "")) if found else ""


def _table(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def write_pulse(run: Path, pulse: Pulse) -> None:
    """Keep ``pulse`` as state.json of ``run``.

    Raises:
        TrainerError: If it cannot be written.
    """
    replace(run / STATE, (json.dumps(asdict(pulse), indent=2) + "\n").encode())


def replace(path: Path, data: bytes) -> None:
    """Write ``data`` aside and put it in the place of ``path``.

    Raises:
        TrainerError: If it cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise TrainerError(f"cannot be written: {os_reason(error)}", str(path), "free some space") from error
