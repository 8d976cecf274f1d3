"""``app``: a page on this machine to paint with a run's checkpoints."""

from __future__ import annotations

import dataclasses
import functools
import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import click

from kanjiprep.cli import completed, options, talk

if TYPE_CHECKING:
    from kanjiprep.publishing.page.serve import Serving
    from kanjiprep.publishing.painting.devices import Ways
    from kanjiprep.publishing.painting.wish import Painter
    from kanjiprep.publishing.tuned import Tuned

_PORT = 7860


@click.command(
    short_help="Paint with a run's checkpoints in a page on this machine.",
    epilog="""\b
Examples:
  kanjiprep app runs/sd35-large-lora
  kanjiprep app sd35-large-lora --open --dataset dataset/
  kanjiprep app kanji.safetensors --base stabilityai/stable-diffusion-3.5-medium --port 8000""",
)
@click.argument("what", metavar="RUN|LORA", shell_complete=completed.trained)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@options.TRAINED_ON
@options.BASE
@click.option(
    "--port",
    type=click.IntRange(1024, 65_535),
    default=_PORT,
    show_default=True,
    metavar="PORT",
    help="Port of the page. If it is taken, the next free one.",
)
@click.option("--share", is_flag=True, help="Let anybody with a public link paint on this machine.")
@options.DEVICE
@options.DTYPE
@options.OFFLOAD
def app(
    what: str,
    base: str | None,
    device: Any,
    dtype: Any,
    offload: Any,
    dataset: str | None,
    port: int,
    opens: bool,
    share: bool,
) -> None:
    """Open a page on this machine to paint with the checkpoints of RUN, or with LORA.

    RUN is a run folder, or its name in runs/. LORA is a .safetensors file, a folder, or a repository of the Hub
    as REPO_ID[@REV].

    Prompt, style, checkpoint, seed and settings are chosen on the page. Every picture is judged as by kanjiprep
    score, if the dataset is found. It can be downloaded with all that it was made by. The model is loaded for the
    first picture, and one picture is painted at a time.

    Only this machine can open the page, unless --share is given. Ctrl-C ends it. Pictures that were not
    downloaded are gone then.
    """
    from kanjiprep.cli.places import refuse_empty
    from kanjiprep.cli.publishing import trained_of
    from kanjiprep.publishing.page import serve

    for option, given in (("--base", base), ("--dataset", dataset)):
        refuse_empty(option, given)
    serve.refuse_without_extra()
    what = trained_of(what, quiet=False)
    with serve.own_folder() as folder:
        serve.settle(os.environ, folder)
        serving = _serving(what, base, _ways(device, dtype, offload), dataset, port)
        serving = dataclasses.replace(serving, share=share, opened=_browser if opens else None)
        serve.serve(serving, folder, talk.say)


def _ways(device: Any, dtype: Any, offload: Any) -> Ways:
    from kanjiprep.publishing.painting.devices import Ways

    return Ways(device, dtype, offload)


def _serving(what: str, base: str | None, ways: Ways, dataset: str | None, port: int) -> Serving:
    import platformdirs

    from kanjiprep.cli.publishing import folder_of
    from kanjiprep.publishing.page import judged, ready, saving, serve
    from kanjiprep.publishing.page import offer as offers

    offer = offers.offer(what, base)
    folder = None if dataset is None else folder_of(dataset, quiet=False)
    if folder is not None:
        judged.training_of(offer.run, folder)  # what is wrong with it is told now, and not below every picture
    for line in ready.notes(offer, ways):
        talk.say(line)
    bands = platformdirs.user_cache_path("kanjiprep") / "bands"
    opening = functools.partial(_opening, offer.base, ways)
    loading = judged.loading(offer.run, folder, bands)
    return serve.Serving(offer, opening, loading, saving.saving(offer.base), port)


def _opening(base: str, ways: Ways, tuned: Tuned | None) -> AbstractContextManager[Painter]:
    from kanjiprep.publishing.painting import model

    return model.opened(tuned, base, ways, talk.say)


def _browser(address: str) -> None:
    import webbrowser

    if not webbrowser.open(address):
        talk.say("no browser can be opened from here; open the address yourself")
