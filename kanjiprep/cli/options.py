"""Options that several commands have, described alike everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from kanjiprep.cli import completed

Option = Callable[[Any], Any]

JSON: Final[Option] = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
TRAINED_ON: Final[Option] = click.option(
    "--dataset",
    metavar="PATH|REPO_ID[@REV]",
    shell_complete=completed.folder,
    help="The dataset of the run, a folder or on the Hub.  [default: the one that the run links to]",
)
DEVICE: Final[Option] = click.option(
    "--device", type=click.Choice(["cuda", "mps", "cpu"]), help="What computes.  [default: a GPU, if there is one]"
)
DTYPE: Final[Option] = click.option(
    "--dtype",
    type=click.Choice(["bfloat16", "float16", "float32"]),
    help="Type of the model's numbers.  [default: by the device]",
)
OFFLOAD: Final[Option] = click.option(
    "--offload",
    type=click.Choice(["none", "model", "sequential"]),
    help="What waits in the computer's memory until the GPU needs it.  [default: by the GPU's free memory]",
)
BASE: Final[Option] = click.option(
    "--base",
    metavar="REPO_ID|FOLDER",
    shell_complete=completed.folder,
    help="The base model.  [default: the one that it was trained on]",
)
OF_RUN: Final = "Which checkpoint of RUN.  [default: the best if the run is scored, else the last]"
"""What ``--checkpoint`` says."""
STYLE: Final[Option] = click.option(
    "--style",
    metavar="NAME|FILE",
    shell_complete=completed.style,
    help="Words around each prompt: calligraphy, caption, ink, plain, or a file.  [default: the run's, else plain]",
)
NEGATIVE: Final[Option] = click.option(
    "--negative", metavar="TEXT", help="What the pictures are not to show.  [default: that of the style or the run]"
)


def workers(what: str) -> Option:
    """``--workers``: how many threads do ``what``."""
    help_ = f"Threads that {what}.  [default: one for each processor]"
    return click.option("--workers", type=click.IntRange(1, 256), metavar="N", help=help_)


def dry_run(what: str) -> Option:
    """``--dry-run``: say what would happen and leave ``what`` undone."""
    return click.option("--dry-run", is_flag=True, help=f"Say what would be done, and {what}.")


def size_px(least: int, help_: str) -> Option:
    """``--size-px``: width and height of a picture."""
    return click.option("--size-px", type=click.IntRange(least, 8192), metavar="PX", help=help_)
