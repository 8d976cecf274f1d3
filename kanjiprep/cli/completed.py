"""What a shell can complete of the values of options and arguments."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from kanjiprep.errors import KanjiprepError

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""From the context, the parameter and what is typed of its value to what it may become."""
Known = Callable[[click.Context, str], Iterable[str]]


def _completer(known: Known, otherwise: str = "") -> Completer:
    """What completes to the names of ``known`` that begin as typed; where there are none, to ``file`` or ``dir``."""

    def complete(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        with suppress(KanjiprepError, OSError, ValueError):  # nobody wants to read an error where a word is typed
            # a name that must be quoted is left to the shell, which can quote the paths that it completes itself
            found = [one for one in known(context, typed) if one.startswith(typed) and shlex.quote(one) == one]
            if found:
                return [CompletionItem(one) for one in dict.fromkeys(found)]
        return [CompletionItem(typed, type=otherwise)] if otherwise else []

    return complete


def _shipped(folder: str, pattern: str) -> Iterator[str]:
    from kanjiprep.resources import shipped

    return (path.name.partition(".")[0] for path in sorted(shipped(folder).glob(pattern)))


def _presets(context: click.Context, typed: str) -> Iterator[str]:
    from kanjiprep.resources import shipped

    if context.params.get("resume"):
        yield from _runs(context, typed)
        return
    yield from sorted(path.parent.name for path in shipped("simpletuner_configs").glob("*/run.toml"))


def _runs(_context: click.Context, typed: str) -> Iterator[str]:
    """Runs as they are typed: by name, or as a path below runs/."""
    for run in sorted(Path("runs").iterdir()):
        if run.is_dir() and not run.name.startswith("."):
            yield f"runs/{run.name}" if "/" in typed else run.name


def _checkpoints(context: click.Context, _typed: str) -> Iterator[str]:
    """``best``, ``last`` and the steps of the run that the words before name."""
    yield from ("best", "last")
    told = (context.params.get(name) for name in ("run", "wanted", "files"))
    words = [word for one in told if one for word in ([one] if isinstance(one, str) else one)]
    # an option whose value is still to come ends click's reading, which leaves the words before it unnamed
    run = next((word for word in (*words, *context.args) if not word.startswith("-")), None)
    for folder in (Path(run), Path("runs") / run) if run else ():
        steps = (path.name.removeprefix("checkpoint-") for path in folder.glob("output/checkpoint-*"))
        yield from map(str, sorted(int(step) for step in steps if step.isdecimal()))


def _gpus(_context: click.Context, _typed: str) -> Iterator[str]:
    from kanjiprep.training import gpus

    return (gpu.name for gpu in gpus.load().gpu)


def _settings(_context: click.Context, typed: str) -> Iterator[str]:
    """Keys of run.toml, a table at first."""
    import dataclasses
    import typing

    from kanjiprep.training.run_spec import RunSpec

    for name, kind in typing.get_type_hints(RunSpec).items():
        if not dataclasses.is_dataclass(kind):
            yield f"{name}="
        elif typed.startswith(f"{name}."):
            yield from (f"{name}.{one.name}=" for one in dataclasses.fields(kind))
        else:
            yield f"{name}."


def _rentals(_context: click.Context, _typed: str) -> Iterator[str]:
    from kanjiprep.training.remote.cloud import ledger

    return (rental.name for rental in ledger.read(ledger.default_folder()).open_rentals)


def _none(_context: click.Context, _typed: str) -> Iterator[Any]:
    return iter(())


preset: Final = _completer(_presets, "dir")
run: Final = _completer(_runs, "dir")
trained: Final = _completer(_runs, "file")
checkpoint: Final = _completer(_checkpoints)
style: Final = _completer(lambda _context, _typed: _shipped("templates", "styles/*.toml"), "file")
library: Final = _completer(lambda _context, _typed: _shipped("templates", "prompts/*.toml"), "file")
caption: Final = _completer(lambda _context, _typed: _shipped("templates", "captions/*.j2"), "file")
gpu: Final = _completer(_gpus)
place: Final = _completer(lambda _context, _typed: ("local", "lambda", "ssh://"))
setting: Final = _completer(_settings)
rental: Final = _completer(_rentals)
folder: Final = _completer(_none, "dir")
file: Final = _completer(_none, "file")
