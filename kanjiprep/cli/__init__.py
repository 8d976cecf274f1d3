"""The door: every command is open, one call, print."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from kanjiprep import __version__
from kanjiprep.cli import guessing, leaving, talk
from kanjiprep.cli.app import app
from kanjiprep.cli.comfyui import comfyui
from kanjiprep.cli.completion import completion
from kanjiprep.cli.dataset import build, check
from kanjiprep.cli.doctor import lora
from kanjiprep.cli.generating import generate
from kanjiprep.cli.guessing import Guessing
from kanjiprep.cli.judging import report, score
from kanjiprep.cli.publishing import publish, push
from kanjiprep.cli.rentals import remind, remote, setup_remote
from kanjiprep.cli.running import launch_simpletuner, rehearse
from kanjiprep.cli.training import plan, presets, setup_trainer
from kanjiprep.cli.watching import monitor, stop
from kanjiprep.errors import Interrupted, KanjiprepError, RemoteError, one_line, os_reason
from kanjiprep.privacy import without_passwords
from kanjiprep.spec import SpecError


class _Door(Guessing):
    """The first thing that a user types at."""

    def invoke(self, ctx: click.Context) -> Any:
        if not {"--help", "--version"} & set(sys.argv) and _has_rented():  # or nothing of renting is even imported
            remind(talk.say)
        try:
            with leaving.heard():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            told = f"told to end by {error}" if isinstance(error, leaving.Told) else "interrupted"
            raise Interrupted(told, remedy="run the same command again") from error


def _has_rented() -> bool:
    from platformdirs import user_data_path

    try:
        return (user_data_path("kanjiprep") / "rentals.jsonl").exists()
    except OSError:  # a home that this user may not even look into; nobody can have rented from there
        return False


def _kebab(name: str) -> str:
    return name.replace("_", "-")


CONTEXT: dict[str, Any] = {
    "help_option_names": ["--help"],
    "token_normalize_func": _kebab,
    "max_content_width": 96,
}


@click.group(cls=_Door, context_settings=CONTEXT, no_args_is_help=True, epilog="Start with: kanjiprep build")
@click.version_option(__version__, message="%(prog)s %(version)s")
def door() -> None:
    """From two XML files to a published, judged kanji LoRA.

    KANJIDIC2 and KanjiVG become pictures with captions; those become a dataset that a trainer reads.
    Talk goes to stderr and data to stdout; every command has --help with an example.
    """


for _command in (
    build,
    check,
    push,
    plan,
    rehearse,
    launch_simpletuner,
    monitor,
    stop,
    score,
    report,
    publish,
    comfyui,
    generate,
    app,
    lora,
    presets,
    setup_trainer,
    setup_remote,
    remote,
    completion,
):
    door.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """The exit code after running the command line; every failure becomes one line on stderr."""
    try:
        return _code(arguments)
    finally:
        talk.let_go()


def _code(arguments: Sequence[str]) -> int:
    _show_anything()
    try:
        code = door.main(list(arguments), prog_name="kanjiprep", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except KanjiprepError as error:
        return _fail(_message(error), error.exit_code)
    except click.ClickException as error:
        return _refuse(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(f"{error.filename or 'the output'}: {os_reason(error)}", 1)
    except Exception as error:  # the last resort: the user gets a line, and the traceback on request
        if os.environ.get("KANJIPREP_DEBUG"):
            raise
        reason = one_line(f"{type(error).__name__}: {error}")
        return _fail(f"unexpected: {reason}; set KANJIPREP_DEBUG=1 for the traceback and report it", 1)


def _show_anything() -> None:
    """Let a literal or name that the terminal cannot show be escaped, in JSON's own way, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _message(error: KanjiprepError) -> str:
    """``error`` on one line, or a line for each problem where there are several; red if it may cost money."""
    if isinstance(error, SpecError) and len(error.problems) > 1:
        return "\n  ".join((one_line(f"{error.where}: {len(error.problems)} problems"), *error.problems))
    return click.style(str(error), fg="red", bold=True) if _is_loud(error) else str(error)


def _is_loud(error: KanjiprepError) -> bool:
    if not isinstance(error, RemoteError):
        return False
    from kanjiprep.training.remote.returning import StillBilling

    return isinstance(error, StillBilling)


def _refuse(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # a page, not a line
        error.show()
        return error.exit_code
    return _fail(_click_message(error), 2)


def _click_message(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f"; see {context.command_path} --help" if context is not None else ""
    return one_line(error.format_message().rstrip(".")) + guessing.choice(error) + hint


def _fail(message: str, code: int) -> int:
    shown = without_passwords(message)
    with suppress(OSError):  # the terminal may be gone; the exit code remains
        click.echo(f"{click.style('error', fg='red', bold=True)}: {shown}", err=True, color=talk.color())
    return code
