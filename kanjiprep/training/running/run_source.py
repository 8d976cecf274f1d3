"""A run folder as it is judged and published: its spec, its record, and files that are really inside it."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from kanjiprep import spec as tables
from kanjiprep.errors import TrainerError, os_reason
from kanjiprep.training import configs, presets, run_folder
from kanjiprep.training.prompts import SHORT_NAME
from kanjiprep.training.run_spec import RunSpec
from kanjiprep.training.running import ending, events, files, holding
from kanjiprep.training.running.events import Entry, Event, Exit
from kanjiprep.training.running.observe import Observer
from kanjiprep.training.running.run_state import Fold, RunState
from kanjiprep.training.running.tail import Tail

T = TypeVar("T")

_REMEDY: Final = "copy the run folder anew from where it was made, or restore the file"


def spec(run: Path) -> RunSpec:
    """What ``run`` was asked for, by its run.toml.

    Models and styles that it names may be on another machine: the run may be a copy.

    Raises:
        TrainerError: If it cannot be read or is not understood.
    """
    path = run / presets.SPEC
    try:
        table = tomllib.loads(_read(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise TrainerError(f"is not TOML: {error}", str(path), _REMEDY) from error
    return _understood(RunSpec, table, path)


def _understood(kind: type[T], found: Mapping[str, Any], path: Path) -> T:
    """The dataclass ``kind`` from the table ``found`` of the file ``path``."""
    value, problems = tables.read(kind, found)
    if value is None or problems:
        raise TrainerError(f"is not understood: {'; '.join(problems)}", str(path), _REMEDY)
    return value


@dataclass(frozen=True, slots=True)
class Environment:
    """What of environment.json others than its writer need.

    Attributes:
        kanjiprep: Our version.
        simpletuner: The trainer's version.
        trainer: Its Python.
        gpus: By the driver.
        dataset: Folder of the pictures, on the machine that trained.
        digest: Of the dataset; empty if it is not known.
        pictures: How many.
        is_built: Whether the dataset has a birth certificate of ours.
        hub_dataset: Repository of the Hub where it stands; empty if it is not known.
        hub_revision: The commit there.
    """

    kanjiprep: str
    simpletuner: str
    trainer: str
    gpus: tuple[str, ...]
    dataset: str
    digest: str
    pictures: int
    is_built: bool = False
    hub_dataset: str = ""
    hub_revision: str = ""


def environment(run: Path) -> Environment:
    """What ``run`` was made with.

    Raises:
        TrainerError: If environment.json cannot be read or is not understood.
    """
    path = run / files.ENVIRONMENT
    found = table(path)
    ours = {name: found[name] for name in Environment.__slots__ if name in found}
    return _understood(Environment, ours, path)


def prompts(run: Path) -> dict[str, str] | None:
    """Prompts in their style by short name, as the trainer read them; None if their file is not there.

    Raises:
        TrainerError: If it cannot be read, or is no such table.
    """
    path = run / run_folder.CONFIG / configs.PROMPTS
    if not os.path.lexists(path):
        return None
    found = table(path)
    if not all(isinstance(text, str) and SHORT_NAME.fullmatch(name) for name, text in found.items()):
        raise TrainerError("has a prompt that is no text by a short name", str(path), "restore it as it was written")
    return found


def first_caption(run: Path) -> str:
    """The caption of the first picture; empty if there is none.

    Raises:
        TrainerError: If it cannot be read.
    """
    path = run / run_folder.CONFIG / configs.CAPTIONS
    try:
        with path.open("rb") as stream:
            line = stream.readline()
    except OSError as error:
        raise TrainerError(f"cannot be read: {os_reason(error)}", str(path), _REMEDY) from error
    text = _parsed(line, str(path)).get("text") if line else ""
    if not isinstance(text, str):
        raise TrainerError("begins with a line without a caption", str(path), _REMEDY)
    return text


def table(path: Path) -> dict[str, Any]:
    """The JSON table in the file ``path``.

    Raises:
        TrainerError: If it cannot be read, or is none.
    """
    return _parsed(_read(path), str(path))


def _parsed(data: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise TrainerError("is no JSON", where, _REMEDY) from error
    if not isinstance(found, dict):
        raise TrainerError("is no JSON table", where, _REMEDY)
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TrainerError(f"cannot be read: {os_reason(error)}", str(path), _REMEDY) from error


def state(run: Path) -> RunState:
    """Where ``run`` stands, with what its trainer has left behind since nobody watched it.

    Raises:
        TrainerError: If its record cannot be read, or tells of no attempt.
    """
    fold, path = Fold(), run / files.EVENTS
    try:
        fold.add(map(events.entry, Tail(path).lines()))
        fold.add(_unwatched(run, fold.state()))
    except OSError as error:
        place = str(error.filename or path)
        raise TrainerError(f"cannot be read: {os_reason(error)}", place, "check its permissions") from error
    found = fold.state()
    if found.attempt is None:
        what = "tells of no attempt" if path.exists() else "is not there"
        raise TrainerError(what, str(path), "let the run begin, or copy its whole folder")
    return found


def _unwatched(run: Path, known: RunState) -> Iterator[Entry]:
    """What no supervisor has put on record, as ``monitor`` sees it; told of when the run was last heard of."""
    if known.attempt is None or known.exit is not None or known.seen is None or holding.is_held(run):
        return
    last = known.step
    for event in Observer(run, known.attempt, known).look():
        last = event.step if isinstance(event, events.Step) else last
        yield Entry(known.seen, event)
    if ending.is_complete(run, known.attempt):
        yield Entry(known.seen, Exit("completed", None, "", last))


def recorded(run: Path) -> tuple[Event, ...]:
    """All events of ``run`` in their order; lines that cannot be understood are left out.

    Raises:
        TrainerError: If they cannot be read.
    """
    path = run / files.EVENTS
    try:
        entries = [events.entry(line) for line in Tail(path).lines()]
    except OSError as error:
        raise TrainerError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error
    return tuple(one.event for one in entries if one is not None)


def within(run: Path, path: str) -> Path:
    """The whole path of what ``run`` holds at ``path``, links followed.

    Raises:
        TrainerError: If it is not there, or is not inside the run folder.
    """
    try:
        root, real = run.resolve(strict=True), (run / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL in it; RuntimeError: a loop of links
        raise TrainerError(_why(error), repr(path)[1:-1], "look whether the run folder is whole") from error
    if not real.is_relative_to(root):
        raise TrainerError("leads out of the run folder", path, "put the file itself there")
    return real


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "is not there"
    return f"cannot be read: {os_reason(error)}" if isinstance(error, OSError) else "is no path that can be followed"
