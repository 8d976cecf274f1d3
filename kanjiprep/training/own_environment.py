"""An environment of its own for an engine: made by uv, alone, and undone if that fails."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kanjiprep.errors import KanjiprepError, os_reason
from kanjiprep.progress import Progress
from kanjiprep.training import locks

_TELLING: Final = re.compile(r"\s*(Downloaded|Built) ")


@dataclass(frozen=True, slots=True)
class Failure:
    """How it is told that something went wrong.

    Attributes:
        kind: Of the error.
        again: What to do about it.
    """

    kind: type[KanjiprepError]
    again: str


def run_uv(line: list[str], environ: Mapping[str, str], stage: str, progress: Progress, failure: Failure) -> None:
    """Run uv, which tells on stderr what it has fetched and built; its last lines tell why it failed.

    Raises:
        KanjiprepError: Of the kind of ``failure``, if it fails.
    """
    progress(stage, 0, None)
    patient = {"UV_HTTP_TIMEOUT": "300", **environ}
    said: deque[str] = deque(maxlen=5)
    fetched = 0
    with subprocess.Popen(  # noqa: S603
        line, env=patient, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
    ) as process:  # fmt: skip
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
        raise failure.kind(f"could not {stage}: {' '.join(filter(None, said))}", line[0], failure.again)
    progress(stage, fetched, fetched)


@contextmanager
def alone(where: Path, failure: Failure) -> Iterator[None]:
    """Hold the lock of the folder ``where``, and speak of its trouble in one line.

    Raises:
        KanjiprepError: Of the kind of ``failure``, if another setup holds it, or the disk does not do as it is told.
    """
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            _take(stack, where, failure)
            yield
    except OSError as error:
        what = f"cannot be set up: {os_reason(error)}"
        raise failure.kind(what, str(error.filename or where), failure.again) from error


@contextmanager
def undone_on_failure(where: Path, *, is_new: bool, mode: int = 0o777) -> Iterator[None]:
    """The folder ``where``, which goes with a failure if it is new; an interrupt keeps it for the next setup."""
    where.mkdir(mode=mode, exist_ok=True)
    try:
        yield
    except Exception:
        if is_new:
            shutil.rmtree(where, ignore_errors=True)
        raise


def _take(stack: ExitStack, where: Path, failure: Failure) -> None:
    try:
        stack.enter_context(locks.held(where.with_name(f".{where.name}.lock"), waits=False, mode=0o666))
    except BlockingIOError as error:
        raise failure.kind("another setup is at work here", str(where), "wait for it or stop it") from error
