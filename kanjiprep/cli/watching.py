"""``monitor`` and ``stop``: a run looked at, and ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import click

from kanjiprep.cli import completed, options, screens, talk
from kanjiprep.errors import Interrupted, TrainerError, UsageError

_RUN = click.argument("run", shell_complete=completed.run)


@click.command(
    short_help="Watch a run, or look at it once.",
    epilog="""\b
Examples:
  kanjiprep monitor runs/sd35-large-lora
  kanjiprep monitor sd35-large-lora --once
  kanjiprep monitor runs/sd35-large-lora --json""",
)
@_RUN
@click.option("--once", is_flag=True, help="Look once, without watching the run to its end.")
@click.option(
    "--tunnel",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Open this port of the run's box here too, for TensorBoard.",
)
@options.JSON
def monitor(run: str, once: bool, tunnel: int | None, as_json: bool) -> int:
    """Show how far RUN is, what it costs, and what is wrong with it.

    RUN is a run folder, or its name in runs/. It may be running, over or crashed. It is only read.

    A run on a box is looked at there, and what it has made is brought here as it goes. If the connection is lost,
    it is made again, for as long as that takes. The run does not need it. A rented box is given back once the run
    is over and all of it is here.

    Watched to its end, the exit code is that of kanjiprep launch-simpletuner. Looked at once, it is 0.
    """
    from kanjiprep.cli import renting, there
    from kanjiprep.training.remote import place
    from kanjiprep.training.running import files
    from kanjiprep.training.running.looking import Window

    found = place.find(run)
    if found is not None:
        attended = there.reached(*found, as_json)
        return renting.attend(attended, lambda: there.monitor(attended, once, tunnel, as_json))
    folder = files.find(run)
    if tunnel is not None:
        raise UsageError("is for a run on a box", "--tunnel", "this one is here")
    if once or as_json:
        screens.show(Window(folder).look(), as_json)
        return 0
    try:
        return watch(folder, as_json)
    except KeyboardInterrupt as error:
        raise Interrupted(
            "no longer watched; the run goes on", remedy=f"kanjiprep stop {talk.short(folder)} ends it"
        ) from error


@click.command(
    short_help="Stop a run, with a checkpoint first.",
    epilog="""\b
Examples:
  kanjiprep stop runs/sd35-large-lora
  kanjiprep stop sd35-large-lora --now""",
)
@_RUN
@click.option("--now", is_flag=True, help="Make no checkpoint first.")
@options.JSON
def stop(run: str, now: bool, as_json: bool) -> None:
    """Have RUN make a checkpoint, end it, and see that none of its processes is left.

    RUN is a run folder, or its name in runs/. The checkpoint is made after the present step.

    What a run on a box has made is brought here, and every file of it is compared. A rented box is given back
    then.
    """
    from kanjiprep.cli import renting, there
    from kanjiprep.training.remote import place
    from kanjiprep.training.running import files

    found = place.find(run)
    if found is not None:
        attended = there.reached(*found, as_json)
        renting.attend(attended, lambda: there.stop(attended, with_checkpoint=not now, as_json=as_json))
        return
    stop_run(files.find(run), with_checkpoint=not now, as_json=as_json)


def stop_run(run: Path, *, with_checkpoint: bool, as_json: bool) -> None:
    """Stop ``run`` and say how it went.

    Raises:
        Interrupted: If Ctrl-C ends the wait.
    """
    from kanjiprep.training.running import starting

    try:
        with talk.progress(quiet=as_json) as progress:
            exit_ = starting.stop(run, progress, with_checkpoint=with_checkpoint)
    except KeyboardInterrupt as error:
        remedy = f"look at it with kanjiprep monitor {talk.short(run)}"
        raise Interrupted("no longer waited for; the stop may go on", remedy=remedy) from error
    if as_json:
        talk.print_json({"run": run, "was_running": exit_ is not None, "exit": exit_})
    elif exit_ is None:
        talk.say(f"nothing was running in {run}")
    else:
        talk.say(f"{exit_.status} at step {exit_.step:,}: {exit_.reason}" if exit_.reason else exit_.status)
        if exit_.status != "completed":
            talk.say(f"Next: kanjiprep launch-simpletuner {talk.short(run)} --resume")


def watch(run: Path, as_json: bool, notes: Mapping[str, object] = MappingProxyType({})) -> int:
    """The exit code of ``run``, watched to its end; ``notes`` go into its JSON.

    0 is for a run that is done, and not for one whose end nobody will see.
    """
    from kanjiprep.training.running import monitor
    from kanjiprep.training.running.looking import Window

    with screens.screen(as_json) as shown:
        seen = monitor.watch(Window(run), shown)
    screens.show(seen, as_json, notes)
    return TrainerError.exit_code if seen.exit_code is None else seen.exit_code
