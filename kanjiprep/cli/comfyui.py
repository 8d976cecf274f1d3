"""``comfyui``: a workflow that loads at the first try, checked, and run by a server."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from kanjiprep.cli import checking, completed, options, talk
from kanjiprep.cli.places import PLACE
from kanjiprep.errors import UsageError, os_reason
from kanjiprep.metadata import refuse_in_dataset

if TYPE_CHECKING:
    from kanjiprep.publishing.comfyui.checks.findings import Finding
    from kanjiprep.publishing.comfyui.written.export import Exported, Request
    from kanjiprep.publishing.prompt_tokens import Loss

_EXAMPLES: Final = {"guidance": "4.5", "strength": "0.8"}


@click.command(
    short_help="Write a ComfyUI workflow for a LoRA; check one; run it.",
    epilog="""\b
Examples:
  kanjiprep comfyui sd35-large-lora
  kanjiprep comfyui sd35-large-lora --prompt dragon --prompt "the internet" --style ink
  kanjiprep comfyui sd35-large-lora --like-validation --strip
  kanjiprep comfyui kanji.safetensors --variant fp8
  kanjiprep comfyui --check workflow.json
  kanjiprep comfyui --check runs/sd35-large-lora/comfyui/strip --server http://127.0.0.1:8188 --run""",
)
@click.argument("wanted", metavar="[RUN|LORA]", required=False, shell_complete=completed.trained)
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="TEXT",
    help="What to show; repeatable.  [default: the run's first validation prompt]",
)
@click.option("--like-validation", is_flag=True, help="Sample and word it as the run's validation does.")
@options.STYLE
@options.NEGATIVE
@click.option("--checkpoint", metavar="N|best|last", shell_complete=completed.checkpoint, help=options.OF_RUN)
@click.option("--strip", "with_strip", is_flag=True, help="Add workflows for all checkpoints of RUN.")
@click.option("--out", type=PLACE, metavar="FOLDER", help="Where to write.  [default: RUN/comfyui]")
@click.option("--force", is_flag=True, help="Replace files there that were changed since kanjiprep wrote them.")
@click.option(
    "--variant",
    type=click.Choice(["fp16", "fp8"]),
    default="fp16",
    show_default=True,
    help="Which file of the text encoder T5; fp8 takes half of the memory.",
)
@click.option("--checkpoint-file", metavar="FILE", help="The base model's file, by its name in ComfyUI.")
@click.option("--skip-layers", is_flag=True, help="Skip layers, as Stability AI recommends for SD3.5 Medium.")
@click.option("--strength", type=click.FloatRange(-10, 10), metavar="X", help="Strength of the LoRA.  [default: 1]")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Seed of the noise.  [default: the validation's]")
@click.option(
    "--size-px", type=click.IntRange(64, 4096), metavar="PX", help="Width and height.  [default: the validation's]"
)
@click.option(
    "--steps",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Steps of the sampler.  [default: the model's own; SD3.5 Large: 40]",
)
@click.option(
    "--guidance",
    type=click.FloatRange(0, 100),
    metavar="G",
    help="ComfyUI's cfg.  [default: the model's own; SD3.5 Large: 4.5]",
)
@click.option("--check", type=PLACE, metavar="FILE|FOLDER", help="Write nothing, and check these workflows.")
@click.option("--server", metavar="URL", help="With --check: check against this ComfyUI's nodes and files.")
@click.option("--run", "with_run", is_flag=True, help="With --server: run the workflows and fetch the pictures.")
@options.JSON
def comfyui(wanted: str | None, check: Path | None, out: Path | None, as_json: bool, **given: Any) -> None:
    """Write a workflow for the LoRA of RUN, or for LORA, and all that it takes to load it.

    RUN is a run folder, or its name in runs/. LORA is a .safetensors file, a folder, or a repository of the Hub
    as REPO_ID[@REV].

    workflow.json is for ComfyUI's window, workflow_api.json for its server. The LoRA stands beside them under the
    name that they use. Where ComfyUI would read it otherwise than diffusers, the copy is mended. READ ME.txt says
    where each file goes.

    With --check, workflows of any origin are looked through for nodes and inputs that do not exist or do not fit,
    and for text encoders taken from a checkpoint that has none.

    Exit code 3 means that --check found an error.
    """
    if out is not None:
        refuse_in_dataset("--out", out)
    if check is not None:
        checking.refuse_idle("for writing a workflow, not for --check", _writing(wanted, given))
        checking.check(check, given["server"], given["with_run"], out, as_json)
        return
    checking.refuse_idle("for --check FILE", {"--server": given["server"], "--run": given["with_run"] or None})
    if wanted is None:
        raise UsageError("nothing to make a workflow for", "RUN", "give a run or a LoRA file, or --check; see --help")
    _refuse_unnameable(wanted)
    from kanjiprep.cli.publishing import trained_of
    from kanjiprep.publishing.comfyui.checks.checking import check_file
    from kanjiprep.publishing.comfyui.written import export

    request = _request(trained_of(wanted, as_json), out, given)
    with talk.progress(quiet=as_json) as progress:
        exported = export.export(request, progress)
    findings = check_file(exported.folder / export.UI).findings
    if as_json:
        talk.print_json({**_document(exported), "findings": findings})
    else:
        _tell(exported, findings)


def _refuse_unnameable(wanted: str) -> None:
    try:
        (Path("runs") / wanted).exists()
    except OSError as error:
        raise UsageError(f"is no run and no file: {os_reason(error)}", wanted, "give a run or a LoRA file") from error


def _writing(wanted: str | None, given: Mapping[str, Any]) -> dict[str, object]:
    """What has no meaning for a check, by the name that a user typed."""
    names = ("checkpoint", "style", "negative", "checkpoint_file", "size_px", "seed", "steps", "guidance", "strength")
    flags = {"--strip": "with_strip", "--force": "force"} | {
        f"--{name.replace('_', '-')}": name for name in ("like_validation", "skip_layers")
    }
    return {
        "RUN": wanted,
        "--prompt": given["prompts"] or None,
        **{f"--{name.replace('_', '-')}": given[name] for name in names},
        **{option: given[name] or None for option, name in flags.items()},
    }


def _request(wanted: str, out: Path | None, given: Mapping[str, Any]) -> Request:
    from kanjiprep.publishing.comfyui.written.export import Request
    from kanjiprep.publishing.comfyui.written.order import Order

    for name in _EXAMPLES:
        if given[name] is not None and not math.isfinite(given[name]):
            raise UsageError("is no number", f"--{name}", f"give one such as {_EXAMPLES[name]}")
    order = Order(
        prompts=given["prompts"],
        strength=1.0 if given["strength"] is None else given["strength"],
        **{
            name: given[name]
            for name in (
                *("style", "negative", "variant", "checkpoint_file", "like_validation", "skip_layers"),
                *("size_px", "seed", "steps", "guidance"),
            )
        },
    )
    return Request(wanted, given["checkpoint"], order, given["with_strip"], out, given["force"])


def _document(exported: Exported) -> dict[str, Any]:
    import dataclasses

    parts = {one.name: getattr(exported, one.name) for one in dataclasses.fields(exported)}
    strip = exported.strip
    told = ("name", "steps", "bytes", "own_bytes", "left_out")
    parts["strip"] = strip and {**{name: getattr(strip, name) for name in told}, "workflows": list(strip.workflows)}
    return {**parts, "tokens": _tokens(exported)}


def _tokens(exported: Exported) -> dict[str, list[Any]]:
    """What each prompt costs the text encoders."""
    from kanjiprep.publishing import prompt_tokens

    counts = prompt_tokens.counter(exported.base, os.environ, exported.family)
    return {one.name: list(counts(one.text)) for one in exported.prompts}


def _tell(exported: Exported, findings: Sequence[Finding]) -> None:
    from kanjiprep.publishing.comfyui.written import words

    for warning in exported.warnings:
        talk.say(f"warning: {warning}")
    for found in findings:
        talk.say(checking.line(found))
    for note in (*exported.changes, *exported.notes, *(exported.strip.left_out if exported.strip else ())):
        talk.say(f"note: {note}")
    step = "" if exported.step is None else f" of step {exported.step:,}"
    copied = "a mended copy" if exported.changes else "a copy"
    place = "sharing its bytes with what was trained" if exported.is_shared else copied
    talk.say(f"LoRA{step} ({exported.how}): {exported.lora}, {words.size(exported.lora_bytes)}, {place}")
    for one in exported.settings:
        talk.say(f"{one.name}: {one.value}  ({one.source})")
    _tell_tokens(exported)
    if exported.strip is not None:
        strip = exported.strip
        own = "shared with the run" if strip.own_bytes == 0 else f"{words.size(strip.own_bytes)} of it copies"
        steps = f"{len(strip.steps)} checkpoint{'' if len(strip.steps) == 1 else 's'}"
        talk.say(f"strip: {len(strip.workflows):,} workflows of {steps}, {words.size(strip.bytes)} of LoRAs, {own}")
    talk.say(f"{exported.status}: {talk.short(exported.folder)}")
    if exported.written:
        talk.say(f"Next: read {talk.short(exported.folder / 'READ ME.txt')}, then drag workflow.json into ComfyUI")


def _tell_tokens(exported: Exported) -> None:
    from kanjiprep.publishing import prompt_tokens

    counts = prompt_tokens.counter(exported.base, os.environ, exported.family)
    for one in exported.prompts:
        told = [f"{count.encoder} {'' if count.is_exact else 'at most '}{count.tokens}" for count in counts(one.text)]
        talk.say(f"tokens of {one.name}: {', '.join(told)}")
        lost = [loss for loss in prompt_tokens.lost(one.subject, one.text, counts) if loss.encoder.startswith("CLIP")]
        if lost:
            talk.say(f"warning: the subject of {one.name} {_beyond(lost[0])}")


def _beyond(loss: Loss) -> str:
    end = "ends at" if loss.is_exact else "may end as late as"
    remedy = "put it first, or shorten the style" if loss.can_move else "say it in fewer words"
    what = f"{end} token {loss.end} of CLIP, whose window has {loss.limit}"
    return f"{what}: ComfyUI reads the rest in another window, diffusers and the trainer do not; {remedy}"
