"""Every target in a process of its own, one after the other, each with the same share of the time."""

from __future__ import annotations

import importlib.util
import io
import json
import mmap
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.fuzz import search
from tests.fuzz.judge import Crash, Reader
from tests.fuzz.search import Found
from tests.fuzz.target import Target

LONGEST_S: Final = 10.0
"""An input that takes longer is a hang."""
MOST_BYTES: Final = 1 << 30
"""Memory beyond what the process had before; more is a crash."""
_HARD_LIMIT: Final = 6 << 30
_NOTE_EVERY_S: Final = 0.5
_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one target.

    Attributes:
        target: Its name.
        inputs: Tried.
        seconds: It took.
        coverage: Branches of Python that libFuzzer has seen taken; None by dice.
        slowest_s: What the longest input took.
        crashes: What was found.
    """

    target: str
    inputs: int
    seconds: float
    coverage: int | None
    slowest_s: float
    crashes: tuple[Crash, ...]

    @property
    def rate(self) -> float:
        """Inputs a second."""
        return self.inputs / self.seconds if self.seconds else 0.0


def run(target: Target, seconds: float, corpus: Path, atheris: Any | None) -> Told:
    """``target`` fuzzed for ``seconds`` in a child of this process, so that nothing it does can end the session.

    Args:
        target: What is fuzzed.
        seconds: How long.
        corpus: Folder of inputs of earlier sessions, to which new ones are added.
        atheris: The module; None for our own dice.
    """
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kanjiprep-fuzz-") as place, mmap.mmap(-1, 1 << 20) as shared:
        began = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the child does without
            child = os.fork()
        if not child:
            _Child(target, seconds, corpus, Path(place), shared).work(atheris)
        status = _waited(child)
        took_s = time.monotonic() - began
        return _told(target, Path(place), _last_input(shared), status, took_s)


def _waited(child: int) -> int:
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise


class _Child:
    """The process of one target."""

    def __init__(self, target: Target, seconds: float, corpus: Path, place: Path, shared: mmap.mmap) -> None:
        self.target, self.corpus, self.place, self.shared = target, corpus, place, shared
        self.end_at = time.monotonic() + seconds
        self.noted_at = 0.0
        self.found = Found()
        self.least_bytes = 0

    def work(self, atheris: Any | None) -> None:
        """Search until the time is over, and end this process."""
        code = 70
        try:
            self._prepare()
            self._search(atheris)
            code = 0
        finally:
            self._end(code)

    def _prepare(self) -> None:
        log = os.open(self.place / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_AS, (_HARD_LIMIT, _HARD_LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def _search(self, atheris: Any | None) -> None:
        (self.place / "seeds").mkdir()
        (self.place / "work").mkdir()
        read = self._guarded(self.target.make(self.place / "work"))
        seeds = list(self.target.seeds())
        self.least_bytes = _peak_bytes()
        if atheris is None:
            earlier = [path.read_bytes() for path in sorted(self.corpus.iterdir())]
            draw = random.Random(time.time_ns())  # noqa: S311
            _, kept = search.by_dice(self.target, read, [*seeds, *earlier], self._goes_on, draw, self.found)
            for data in kept:
                _save(self.corpus, data)
            return
        for data in seeds:
            _save(self.place / "seeds", data)
        folders = (self.corpus, self.place / "seeds")
        search.by_libfuzzer(
            atheris, self.target, read, folders, seeds, self._goes_on, lambda: self._end(0), self.found
        )

    def _guarded(self, read: Reader) -> Reader:
        """``read``, with its input where the parent finds it, and an end to its patience."""

        def take(data: bytes) -> None:
            self.shared[: _LENGTH + len(data)] = len(data).to_bytes(_LENGTH, "little") + data
            signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
            try:
                read(data)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if _peak_bytes() - self.least_bytes > MOST_BYTES:
                self.least_bytes = _peak_bytes()
                raise MemoryError(f"more than {MOST_BYTES >> 20} MiB")

        return take

    def _goes_on(self, found: Found) -> bool:
        now = time.monotonic()
        if now - self.noted_at > _NOTE_EVERY_S or found.inputs == 1:
            self.noted_at = now
            self._note()
        return now < self.end_at

    def _note(self) -> None:
        crashes = [[one.what, one.place, one.data.hex(), one.trace] for one in self.found.crashes.values()]
        table = {"inputs": self.found.inputs, "slowest_s": self.found.slowest_s, "crashes": crashes}
        aside = self.place / "told.new"
        aside.write_text(json.dumps(table), "utf-8")
        aside.replace(self.place / "told.json")

    def _end(self, code: int) -> None:
        if code:
            traceback.print_exc()
        self._note()
        sys.stderr.flush()
        os._exit(code)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _save(folder: Path, data: bytes) -> Path:
    path = folder / Crash("", "", data, "").digest
    path.write_bytes(data)
    return path


def _last_input(shared: mmap.mmap) -> bytes:
    length = int.from_bytes(shared[:_LENGTH], "little")
    return shared[_LENGTH : _LENGTH + length]


def _told(target: Target, place: Path, last: bytes, status: int, took_s: float) -> Told:
    log = (place / "log").read_text("utf-8", "replace") if (place / "log").exists() else ""
    table: dict[str, Any] = {"inputs": 0, "slowest_s": 0.0, "crashes": []}
    with suppress(OSError):
        table = json.loads((place / "told.json").read_bytes())
    crashes = [Crash(what, where, bytes.fromhex(data), trace) for what, where, data, trace in table["crashes"]]
    if status:
        is_hang = status == -signal.SIGALRM
        what = f"takes longer than {LONGEST_S:g} s" if is_hang else f"the process ended with {status}"
        crashes.append(Crash(what, "hang" if is_hang else "process", last, log[-4000:]))
    seen = re.findall(r"\bcov: (\d+)", log)
    coverage = int(seen[-1]) if seen else None
    return Told(target.name, table["inputs"], took_s, coverage, table["slowest_s"], tuple(crashes))


def load_atheris() -> Any | None:
    """The module, if it is installed."""
    return importlib.import_module("atheris") if importlib.util.find_spec("atheris") else None


def instrumented(atheris: Any | None, load: Callable[[], tuple[Target, ...]]) -> tuple[Target, ...]:
    """The targets, with the package imported such that atheris sees which branches are taken."""
    if atheris is None:
        return load()
    quietly = redirect_stderr(io.StringIO())  # it names every module
    with quietly, atheris.instrument_imports(include=["kanjiprep"], enable_loader_override=False):
        return load()
