"""``push`` and ``publish``: onto the Hub, and what ``--dataset`` takes from it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kanjiprep.cli import completed, options, talk
from kanjiprep.cli.places import PLACE

if TYPE_CHECKING:
    from kanjiprep.publishing.delivery import Delivered
    from kanjiprep.publishing.destination import Wish
    from kanjiprep.publishing.publish import Published
    from kanjiprep.publishing.push import Pushed

_SHOWN = 12


def hub_options(command: Any) -> Any:
    """The options that say where to, and with how much patience."""
    for option in (
        click.option("--no-xet", is_flag=True, help="Send over plain HTTP, for a Hub that does not know hf_xet."),
        click.option(
            "--deadline-s",
            type=click.IntRange(1, 86_400),
            default=1800,
            show_default=True,
            metavar="S",
            help="Give up after S seconds of sending and waiting.",
        ),
        click.option("--revision", default="main", show_default=True, metavar="BRANCH", help="Send to this branch."),
        click.option("--tag", metavar="TAG", help="Put this tag on the commit once all of it is there."),
        click.option("--private", is_flag=True, help="If the repository is new, make it private."),
        options.dry_run("send nothing"),
    ):
        command = option(command)
    return command


@click.command(
    short_help="Push a dataset to the Hub.",
    epilog="""\b
Examples:
  kanjiprep push dataset/ me/kanji
  kanjiprep push dataset/ me/kanji --private --tag v1.0
  kanjiprep push dataset/ me/kanji --dry-run --json""",
)
@click.argument("dataset", type=PLACE)
@click.argument("repo_id")
@hub_options
@click.option(
    "--layout",
    type=click.Choice(["parquet", "files"]),
    default="parquet",
    show_default=True,
    help="Tables with the pictures inside, or every picture as a file.",
)
@click.option(
    "--force", is_flag=True, help="Push a dataset that is unfit to train on, or over one that somebody else made."
)
@options.JSON
def push(
    dataset: Path,
    repo_id: str,
    layout: Any,
    force: bool,
    private: bool,
    revision: str,
    tag: str | None,
    dry_run: bool,
    deadline_s: int,
    no_xet: bool,
    as_json: bool,
) -> None:
    """Push DATASET to the Hub's dataset repository REPO_ID, written NAMESPACE/NAME.

    The dataset is checked, then packed into Parquet files with a dataset card. All of it is sent in one commit,
    and what arrived is compared, byte for byte. A card that is there keeps what others wrote into it. The same
    push again changes nothing. With --layout files the pictures are sent in several commits, and their captions
    in the last.

    The receipt, push.json in DATASET, names the commit for kanjiprep launch-simpletuner --dataset REPO_ID@REV.
    The token is that of HF_TOKEN, or of hf auth login.

    Exit code 5 means that the dataset is not on the Hub as it is here. The message says how things stand there.
    """
    from kanjiprep.dataset import workers as pool
    from kanjiprep.publishing import push as pushing
    from kanjiprep.publishing.hub import patience
    from kanjiprep.publishing.hub.courier import Courier

    wish = _wish(repo_id, "dataset", revision, tag, private)
    request = pushing.PushRequest(
        dataset, wish, layout, force, dry_run, pool.available(), _cache("push"), dict(os.environ)
    )
    with talk.progress(quiet=as_json) as progress, Courier(os.environ, use_xet=not no_xet) as courier:
        pushed = pushing.push(request, courier, patience.within(deadline_s, _say(as_json), progress))
    if as_json:
        talk.print_json({**_document(pushed), "pinned": pushed.pinned})
    else:
        _tell(pushed)


@click.command(
    short_help="Publish the LoRA of a run on the Hub.",
    epilog="""\b
Examples:
  kanjiprep publish runs/sd35-large-lora me/kanji-lora
  kanjiprep publish sd35-large-lora me/kanji-lora --checkpoint 14400 --private
  kanjiprep publish sd35-large-lora me/kanji-lora --dry-run""",
)
@click.argument("run", shell_complete=completed.run)
@click.argument("repo_id")
@click.option("--checkpoint", metavar="N|best|last", shell_complete=completed.checkpoint, help=options.OF_RUN)
@hub_options
@click.option("--force", is_flag=True, help="Publish over a LoRA that somebody else made.")
@options.JSON
def publish(
    run: str,
    repo_id: str,
    checkpoint: str | None,
    force: bool,
    private: bool,
    revision: str,
    tag: str | None,
    dry_run: bool,
    deadline_s: int,
    no_xet: bool,
    as_json: bool,
) -> None:
    """Publish the LoRA of RUN in the Hub's model repository REPO_ID, written NAMESPACE/NAME.

    RUN is a run folder, or its name in runs/. It is only read.

    The LoRA is inspected first. One that is broken or does nothing is refused. What diffusers and ComfyUI would
    read in two ways is mended in the copy, and said.

    With it go a model card, the validation pictures of that checkpoint, and the report and the workflows of the
    run if it has any. All of it is sent in one commit, and what arrived is compared, byte for byte. The token is
    that of HF_TOKEN, or of hf auth login.

    Exit code 5 means that the LoRA is not on the Hub as it is here, 6 that the run has nothing fit to be
    published.
    """
    from kanjiprep.publishing import publish as publishing
    from kanjiprep.publishing.hub import patience
    from kanjiprep.publishing.hub.courier import Courier
    from kanjiprep.training.running import files

    wish = _wish(repo_id, "model", revision, tag, private)
    request = publishing.PublishRequest(
        files.find(run), checkpoint, wish, force, dry_run, _cache("push"), dict(os.environ)
    )
    with talk.progress(quiet=as_json) as progress, Courier(os.environ, use_xet=not no_xet) as courier:
        published = publishing.publish(request, courier, patience.within(deadline_s, _say(as_json), progress))
    if as_json:
        talk.print_json(_document(published))
    else:
        _tell_published(published)


def _tell_published(published: Published) -> None:
    for warning in published.warnings:
        talk.say(f"warning: {warning}")
    for note in (*published.repairs, *published.notes):
        talk.say(f"note: {note}")
    rank = "several ranks" if published.rank is None else f"rank {published.rank}"
    talk.say(f"adapter: step {published.step:,} ({published.how}), {rank}, {published.key_style} keys")
    _tell_where(published.hub, "model")
    if published.hub.status != "dry run":
        talk.say(f"Look at it: {published.hub.url}")
        pinned = f", revision={published.hub.tag!r}" if published.hub.tag else ""
        talk.say(f"Load it: pipeline.load_lora_weights({published.hub.repo_id!r}{pinned})")


def _wish(repo_id: str, repo_type: Any, revision: str, tag: str | None, private: bool) -> Wish:
    from kanjiprep.publishing import names
    from kanjiprep.publishing.destination import Wish

    if tag is not None:
        names.refuse_tag(tag, revision)  # an empty one is none, and was meant to be one
    return Wish(repo_id, repo_type, revision, tag or "", private)


def _document(done: Pushed | Published) -> dict[str, Any]:
    """One flat table: what stands on the Hub, and what it is."""
    table = dataclasses.asdict(done)
    return {**table.pop("hub"), **table}


def _say(quiet: bool) -> Any:
    return (lambda line: None) if quiet else talk.say  # noqa: ARG005


def _cache(name: str) -> Path:
    import platformdirs

    return platformdirs.user_cache_path("kanjiprep") / name


def _tell(pushed: Pushed) -> None:
    for note in pushed.notes:
        talk.say(f"note: {note}")
    _tell_where(pushed.hub, "dataset")
    if pushed.receipt is not None:
        talk.say(f"receipt: {pushed.receipt}")
    if pushed.hub.status != "dry run":
        talk.say(f"Look at it: {pushed.hub.url}")
        talk.say(f"Next: kanjiprep plan sd35-large-lora --dataset {pushed.pinned}")


def _tell_where(done: Delivered, kind: str) -> None:
    """What was sent, or would be, and where to."""
    seen = "private" if done.private else "public"
    made = "" if not done.created else ", to be made" if done.status == "dry run" else ", made for it"
    branch = "" if done.revision == "main" else f", branch {done.revision}"
    talk.say(f"{done.repo_id}: a {seen} {kind}{made}{branch}, as {done.who}")
    files = f"{_counted(len(done.sent), 'file')}, {sum(done.sent.values()) / 1e6:,.1f} MB"
    if done.status == "dry run":
        _tell_dry(done, files, kind)
    elif done.status == "unchanged":
        talk.say(f"unchanged: all files stand there already, as {done.commit[:12]}")
    else:
        talk.say(f"sent: {files}, as {done.commit[:12]}, every file compared")
        if done.removed:
            talk.say(f"removed: {_counted(len(done.removed), 'file')} that stood there before")
    if done.tag and done.status != "dry run":
        talk.say(f"tag: {done.tag} stands at {done.commit[:12]}")


def _tell_dry(done: Delivered, files: str, kind: str) -> None:
    for path, size in list(done.sent.items())[:_SHOWN]:
        talk.out(f"{size:>12,}  {path}")
    if len(done.sent) > _SHOWN:
        talk.out(f"{'':12}  and {_counted(len(done.sent) - _SHOWN, 'more file')}")
    for path in done.removed[:_SHOWN]:
        talk.out(f"{'goes':>12}  {path}")
    if len(done.removed) > _SHOWN:
        talk.out(f"{'goes':>12}  and {_counted(len(done.removed) - _SHOWN, 'more file')}")
    if not done.sent and not done.removed:
        talk.say("would send nothing: all files stand there already")
        return
    last = ", the captions in the last" if kind == "dataset" else ""
    how = "in one commit" if done.in_one_commit else f"in several commits{last}"
    least = "" if done.in_one_commit else "at least "
    talk.say(f"would send {files}, {how}, with {least}{_counted(done.requests, 'request')}")


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def folder_of(dataset: str, quiet: bool) -> Path:
    """The folder of a dataset given as a path or as ``REPO_ID[@REV]``, fetched from the Hub if need be."""
    from kanjiprep.publishing import hub_dataset, hub_fetch

    wanted = hub_fetch.parse(dataset)
    if wanted is None:
        return Path(dataset)
    import platformdirs

    from kanjiprep.publishing.hub import patience
    from kanjiprep.publishing.hub.courier import Courier

    store = platformdirs.user_data_path("kanjiprep") / "datasets"
    with talk.progress(quiet=quiet) as progress, Courier(os.environ) as courier:
        waiting = patience.within(patience.DEADLINE_S, _say(quiet), progress)
        folder = hub_dataset.fetch(courier, waiting, wanted, store)
    if not quiet:
        talk.say(f"dataset: {folder}")
    return folder


def trained_of(wanted: str, quiet: bool) -> str:
    """``wanted`` as a path or the name of a run; an adapter given as ``REPO_ID[@REV]`` is fetched if need be."""
    from kanjiprep.publishing import hub_fetch, hub_lora

    on_hub = None if (Path("runs") / wanted).exists() else hub_fetch.parse(wanted, "model")
    if on_hub is None:
        return wanted
    import platformdirs

    from kanjiprep.publishing.hub import patience
    from kanjiprep.publishing.hub.courier import Courier

    store = platformdirs.user_data_path("kanjiprep") / "adapters"
    with talk.progress(quiet=quiet) as progress, Courier(os.environ) as courier:
        waiting = patience.within(patience.DEADLINE_S, _say(quiet), progress)
        folder = hub_lora.fetch(courier, waiting, on_hub, store)
    if not quiet:
        talk.say(f"adapter: {folder}")
    return str(folder)
