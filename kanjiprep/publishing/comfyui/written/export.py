"""``comfyui``: a workflow with its LoRA beside it and a text that says where each file goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kanjiprep.errors import UsageError
from kanjiprep.evaluation.weights import safetensors_file
from kanjiprep.paths import resolved
from kanjiprep.progress import Progress
from kanjiprep.publishing import extras, tuned
from kanjiprep.publishing.comfyui import graph, nodes
from kanjiprep.publishing.comfyui.forms import ui_form
from kanjiprep.publishing.comfyui.graph import Workflow
from kanjiprep.publishing.comfyui.written import copies, folder, recipe, sd1, sd3, strip, words
from kanjiprep.publishing.comfyui.written.copies import Copy
from kanjiprep.publishing.comfyui.written.folder import Entry, Wanted
from kanjiprep.publishing.comfyui.written.order import Order, Setting
from kanjiprep.publishing.comfyui.written.recipe import Recipe
from kanjiprep.publishing.comfyui.written.strip import Strip
from kanjiprep.publishing.comfyui.written.wording import Asked
from kanjiprep.publishing.tuned import Tuned

UI: Final = "workflow.json"
API: Final = "workflow_api.json"
READ_ME: Final = "READ ME.txt"


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be written where to.

    Attributes:
        wanted: A run, or the file of a LoRA.
        checkpoint: Of a run: a step, ``best`` or ``last``; None for the best if one is known, else the last.
        order: What the workflow is to say.
        with_strip: Whether workflows for all checkpoints are wanted too.
        out: Where to; None for comfyui/ in the run folder, or comfyui-NAME here.
        force: Whether files that are not ours may be replaced.
    """

    wanted: str
    checkpoint: str | None
    order: Order
    with_strip: bool = False
    out: Path | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it.

    Attributes:
        folder: Where it all is.
        status: ``written``, or ``unchanged`` if all of it stood there already.
        written: Names of the files that had to be written.
        lora: Name of the LoRA's file.
        lora_bytes: Its size.
        is_shared: Whether it takes no space of its own.
        step: Of the checkpoint; None where there is no run.
        how: Why this checkpoint.
        base: The model that it belongs to.
        family: Of the model.
        prompts: What the pictures are to show.
        negative: What they are to avoid.
        settings: All that the workflow says, in words, with sources.
        changes: What was mended in the LoRA.
        warnings: What speaks against the checkpoint.
        notes: What else a user should know.
        strip: The workflows of all checkpoints, if they were wanted.
    """

    folder: Path
    status: str
    written: tuple[str, ...]
    lora: str
    lora_bytes: int
    is_shared: bool
    step: int | None
    how: str
    base: str
    family: str
    prompts: tuple[Asked, ...]
    negative: str
    settings: tuple[Setting, ...]
    changes: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    strip: Strip | None


def export(request: Request, progress: Progress) -> Exported:
    """A workflow that loads at the first try, written or found as it should be.

    Raises:
        UsageError: If there is nothing to make it for, or files that are not ours are in the way.
        TrainerError: If the LoRA is unfit, or the run cannot be read.
    """
    found = tuned.find(request.wanted, request.checkpoint)
    made = recipe.recipe(found, request.order)
    every = _every(request, found)
    out = resolved(_folder(request, found))
    with folder.opened(out) as aside:
        before = folder.entries(out)
        copy = copies.prepare(found, out / made.lora, aside / made.lora, before.get(made.lora))
        sound = None if copy.changes else found.path
        striped = strip.strip(every, made, workflow, out, aside, progress, sound) if every else None
        texts = _texts(made, copy, found, striped)
        wanted = _wanted(made, copy, texts, striped, lambda name, entry: _can_go(found, out / name, entry))
        written = folder.lay_out(out, aside, wanted, request.force)
    return Exported(
        folder=out,
        status="written" if written else "unchanged",
        written=written,
        lora=made.lora,
        lora_bytes=copy.bytes,
        is_shared=(out / made.lora).samefile(found.path),
        step=found.step,
        how=found.how,
        base=found.base,
        family=found.family,
        prompts=made.prompts,
        negative=made.negative,
        settings=made.settings,
        changes=copy.changes,
        warnings=found.warnings,
        notes=made.notes,
        strip=striped,
    )


def workflow(made: Recipe) -> Workflow:
    """The nodes for a recipe, by its family."""
    return sd3.workflow(made) if made.family == "sd3" else sd1.workflow(made)


def _every(request: Request, found: Tuned) -> tuple[Tuned, ...]:
    if not request.with_strip:
        return ()
    if found.run is None:
        raise UsageError("is for all checkpoints of a run", "--strip", "give the run, or leave it out")
    return tuned.every(request.wanted)


def _folder(request: Request, found: Tuned) -> Path:
    if request.out is not None:
        return request.out
    return Path(f"{extras.COMFYUI}-{found.name}") if found.run is None else found.run / extras.COMFYUI


def _texts(made: Recipe, copy: Copy, found: Tuned, striped: Strip | None) -> dict[str, bytes]:
    drawn = workflow(made)
    texts = {
        UI: _as_bytes(ui_form.to_ui(drawn, nodes.TABLE)),
        API: _as_bytes(graph.to_api(drawn)),
        READ_ME: words.read_me(made, copy, found, striped is not None).encode(),
    }
    if striped is not None:
        texts |= {
            f"{strip.FOLDER}/{name}.json": _as_bytes(graph.to_api(one)) for name, one in striped.workflows.items()
        }
        texts[f"{strip.FOLDER}/{READ_ME}"] = words.strip_read_me(made, striped).encode()
    return texts


def _wanted(
    made: Recipe,
    copy: Copy,
    texts: Mapping[str, bytes],
    striped: Strip | None,
    can_go: Callable[[str, Entry], bool],
) -> Wanted:
    """All files; those of another time are to go, but for a strip as long as there is no new one."""

    def is_stale(name: str, entry: Entry) -> bool:
        if striped is None and name.startswith((f"{strip.FOLDER}/", f"{strip.LORAS}/")):
            return False
        return Path(name).suffix != safetensors_file.SUFFIX or can_go(name, entry)

    all_copies = {made.lora: copy, **(striped.copies if striped else {})}
    return Wanted(
        texts=texts,
        files={name: one.file for name, one in all_copies.items() if one.file is not None},
        kept=[name for name, one in all_copies.items() if one.file is None],
        entries={name: Entry("", one.source, one.changes) for name, one in all_copies.items()},
        is_stale=is_stale,
    )


def _can_go(found: Tuned, path: Path, entry: Entry) -> bool:
    """Whether nothing is lost with a LoRA: its bytes, or what it was made from, are elsewhere too."""
    if not path.is_file() or path.stat().st_nlink > 1:
        return True
    every = tuned.every(str(found.run)) if found.run is not None else (found,)
    return entry.source in [folder.fingerprint(one.path) for one in every]


def _as_bytes(document: dict[str, Any]) -> bytes:
    """A workflow as its file holds it."""
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()
