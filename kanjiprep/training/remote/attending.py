"""A run on a box, attended from here: looked at, pulled as it goes, watched to its end, stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from kanjiprep import spec as tables
from kanjiprep.errors import RemoteError
from kanjiprep.progress import Progress
from kanjiprep.training.remote import pull as pulling
from kanjiprep.training.remote.box import far as tool
from kanjiprep.training.remote.box import secrets
from kanjiprep.training.remote.box.over_ssh import OverSsh
from kanjiprep.training.remote.place import Place
from kanjiprep.training.remote.pull import Pulled
from kanjiprep.training.remote.ssh.refusal import Unreachable
from kanjiprep.training.running.standing import CODES, COPY, UNWATCHED, WAITING
from kanjiprep.training.running.view import View

_EVERY_S: Final = 10.0
_PULL_EVERY_S: Final = 60.0
_LOOK_TIMEOUT_S: Final = 120.0
_MOST_FAILURES: Final = 5
_OVER: Final = frozenset({*CODES, UNWATCHED, WAITING, COPY})

Screen = Callable[[View], None]


@dataclass(frozen=True, slots=True)
class Attended:
    """A run on a box and its copy here.

    Attributes:
        far: The box.
        place: Where the run is there.
        run: Folder of the copy.
        say: Hears of what was pulled.
    """

    far: OverSsh
    place: Place
    run: Path
    say: Callable[[str], None]

    def look(self) -> View:
        """The run as the tool on the box sees it, under the name of its copy.

        Raises:
            KanjiprepError: What the tool there says.
            RemoteError: If the box cannot be reached, or its tool is another.
        """
        words = ["monitor", f"runs/{self.place.name}", "--once", "--json"]
        said = self.far.again(partial(tool.call, self.far, words, _LOOK_TIMEOUT_S, root=self.place.root))
        seen, problems = tables.read(View, said)
        if seen is None or problems:
            what = f"its kanjiprep tells of a run otherwise than this one: {'; '.join(problems[:3])}"
            raise RemoteError(what, self.far.name, "use the version with which it was launched")
        advice = seen.advice.replace(seen.run, str(self.run))
        return replace(seen, run=str(self.run), advice=advice)

    def pull(self, progress: Progress) -> Pulled:
        """What the run has made by now, brought here.

        Raises:
            RemoteError: As ``pull.pull``.
        """
        return self._told(pulling.pull(self.far, self.place, self.run, progress))

    def finish(self, progress: Progress) -> Pulled:
        """All of a run that is over, brought here and compared; then the tokens there are removed.

        Raises:
            RemoteError: As ``pull.finish``.
        """
        pulled = self._told(pulling.finish(self.far, self.place, self.run, progress))
        self.far.again(partial(secrets.remove, self.far, self.place.secrets, self.place.root))
        return pulled

    def stop(self, progress: Progress, *, with_checkpoint: bool) -> Mapping[str, Any]:
        """How the run ended, as the tool there tells it; it makes a checkpoint first, if that is wished.

        Raises:
            KanjiprepError: What the tool there says.
            RemoteError: If the box cannot be reached.
        """
        words = ["stop", f"runs/{self.place.name}", "--json", *([] if with_checkpoint else ["--now"])]
        step = self.place.step("stop" if with_checkpoint else "stop-now")  # who is in a hurry waits for no other stop
        hear = partial(_hear, progress)
        return dict(tool.carried_out(self.far, step, words, hear, root=self.place.root))

    def resume(
        self, limits: Mapping[str, object], tokens: Mapping[str, str], progress: Progress
    ) -> Mapping[str, Any]:
        """What the tool there says of the attempt with which the run goes on.

        Args:
            limits: Options of ``launch-simpletuner`` by name, as ``--max-hours``.
            tokens: By name of the variable; those of the launch were removed when the run was over.
            progress: Hears what it says on the way.

        Raises:
            KanjiprepError: What the tool there says.
            RemoteError: If the box cannot be reached.
        """
        options = [word for name, value in limits.items() for word in (name, str(value))]
        words = ["launch-simpletuner", f"runs/{self.place.name}", "--resume", "--detach", "--json", *options]
        step, hear = self.place.step("resume"), partial(_hear, progress)
        self.far.again(partial(secrets.write, self.far, tokens, self.place.secrets, self.place.root))
        said = tool.carried_out(self.far, step, words, hear, secrets=self.place.secrets, root=self.place.root)
        return dict(said)

    def _told(self, pulled: Pulled) -> Pulled:
        for name in pulled.checkpoints:
            self.say(f"pulled: {name}, every file with the bytes that it has on the box")
        return pulled


def watch(
    attended: Attended,
    screen: Screen,
    progress: Progress,
    every_s: float = _EVERY_S,
    pull_every_s: float = _PULL_EVERY_S,
    clock: Callable[[], float] = time.monotonic,
) -> View:
    """The last view of a run that is over, whose copy is whole then, or of one that nobody watches there.

    Args:
        attended: The run.
        screen: Shows each view.
        progress: Hears of what is pulled.
        every_s: How often it is looked at.
        pull_every_s: How often what it has made is pulled; a new checkpoint is pulled at once.
        clock: In seconds.

    Raises:
        RemoteError: If the box cannot be reached, for as long as its connection is patient.
    """
    pulled_at, checkpoint = float("-inf"), ""
    while True:
        seen = _patient_look(attended, every_s)
        screen(seen)
        if seen.status in _OVER:
            bring = attended.pull if seen.exit_code is None else attended.finish  # a trainer alone still writes
            bring(progress)
            return seen
        newest = seen.made.checkpoint.path if seen.made.checkpoint else ""
        if newest != checkpoint or clock() - pulled_at >= pull_every_s:
            attended.pull(progress)
            pulled_at, checkpoint = clock(), newest
        time.sleep(every_s)


def _patient_look(attended: Attended, every_s: float) -> View:
    """The run, looked at some more times if the box says something else: one that is busy says nothing of the run."""
    for _ in range(_MOST_FAILURES):
        try:
            return attended.look()
        except Unreachable:
            raise
        except RemoteError as problem:
            attended.say(f"could not be looked at, once more in {every_s:.0f} s: {problem}")
            time.sleep(every_s)
    return attended.look()


def _hear(progress: Progress, line: str) -> None:
    if not line.startswith("error: "):  # which is told as what it is
        progress(line.strip()[:60] or "wait for the box", 0, None)
