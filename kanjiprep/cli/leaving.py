"""What becomes of a run when whoever watches it goes: by Ctrl-C, by SIGTERM, or with the terminal."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

import click

from kanjiprep.cli import talk
from kanjiprep.errors import KanjiprepError

_ENDING: Final = ("SIGTERM", "SIGHUP")
"""Signals that mean what Ctrl-C means, but that nobody is there to be asked. Windows has not both."""


class Told(KeyboardInterrupt):
    """The process was told to end by another: heard wherever Ctrl-C is heard."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """A run that is watched, and what can be done with it.

    Attributes:
        run: Its folder here.
        where: What it is called where it goes on.
        stop: Stops it, and says how that went.
        notes: What its JSON says beside its folder.
    """

    run: Path
    where: str
    stop: Callable[[], object]
    notes: Mapping[str, object] = field(default_factory=dict)


@contextmanager
def heard() -> Iterator[None]:
    """Hear SIGTERM and SIGHUP as Ctrl-C is heard; one that is ignored, as by nohup, stays so.

    After the first a SIGHUP is not heard again, for shell and kernel may each send one when a terminal closes, and
    what is done on the way out is to be done to its end. A second SIGTERM is heard: somebody does not want to wait.
    """
    is_main = threading.current_thread() is threading.main_thread()  # no other thread can hear signals
    known = [getattr(signal, name) for name in _ENDING if is_main and hasattr(signal, name)]
    before = {one: signal.signal(one, _raise) for one in known if signal.getsignal(one) == signal.SIG_DFL}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _raise(number: int, _frame: FrameType | None) -> None:
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _let_go_of_a_dead_terminal()
    raise Told(signal.Signals(number).name)


def _let_go_of_a_dead_terminal() -> None:
    """Let what is still said go nowhere if the terminal is closed, for writing to it fails."""
    for descriptor in (sys.__stdout__, sys.__stderr__):
        with suppress(OSError, ValueError, AttributeError):
            number = descriptor.fileno()  # type: ignore[union-attr]
            if stat.S_ISCHR(os.fstat(number).st_mode) and not os.isatty(number):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)


def after(left: Leaving, why: BaseException, as_json: bool) -> bool:
    """Ask what ``why`` was to mean, if somebody is there, and do it; whether the run was stopped.

    Where nobody can be asked the run goes on.
    """
    if _is_to_stop(why):
        left.stop()
        return True
    with suppress(OSError, KanjiprepError):  # the terminal may be gone, or the output closed
        if as_json:
            talk.print_json({"run": left.run, "detached": True, **left.notes})
        else:
            say_how_to_attach(left)
    return False


def _is_to_stop(why: BaseException) -> bool:
    if isinstance(why, Told) or not sys.stdin.isatty():
        return False
    try:
        choice = click.Choice(["detach", "stop"])
        answer = click.prompt("Leave it alone, or stop it?", type=choice, default="detach", err=True)
    except (click.Abort, KeyboardInterrupt):
        talk.say("")
        return False
    return bool(answer == "stop")


def say_how_to_attach(left: Leaving) -> None:
    """Say that the run goes on, and the commands that watch and end it."""
    short = talk.short(left.run)
    talk.say(f"It goes on: {left.where}")
    talk.say(f"Watch it with kanjiprep monitor {short}, end it with kanjiprep stop {short}")
