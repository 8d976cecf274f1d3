"""Every document that a command prints with ``--json``: what is in it, as the code that makes it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from kanjiprep.dataset.check import Checked
from kanjiprep.dataset.folder import Certificate
from kanjiprep.evaluation.cells import Cell
from kanjiprep.evaluation.choose import Ranked, Status
from kanjiprep.evaluation.judge.store import Figures
from kanjiprep.evaluation.judged import Fact, JudgedStep, PictureScore, WeightPoint
from kanjiprep.evaluation.proof.selfcheck import SelfCheck
from kanjiprep.publishing.comfyui.checks.findings import Finding as Wrong
from kanjiprep.publishing.comfyui.forms.reading import Form
from kanjiprep.publishing.comfyui.written.export import Exported as Workflows
from kanjiprep.publishing.delivery import Delivered
from kanjiprep.publishing.doctor.copies import Copied
from kanjiprep.publishing.doctor.examined import Examined
from kanjiprep.publishing.first_attempt.export import Exported
from kanjiprep.publishing.painting.devices import Placement
from kanjiprep.publishing.painting.series import Made
from kanjiprep.publishing.painting.wish import Wish
from kanjiprep.publishing.prompt_tokens import Count
from kanjiprep.publishing.publish import Published
from kanjiprep.publishing.push import Pushed
from kanjiprep.training.launch import Prepared
from kanjiprep.training.plan import Plan
from kanjiprep.training.remote.holdings import Holding
from kanjiprep.training.remote.sky import setup_plan as sky
from kanjiprep.training.run_spec import RunSpec
from kanjiprep.training.running.events import Exit
from kanjiprep.training.running.phases import Phase
from kanjiprep.training.running.view import View
from kanjiprep.training.setup_plan import SetupPlan
from kanjiprep.training.trainer import Trainer
from tests.json_schemas import DRAFT, Book, Schema, Words, closed, with_unit

STATUSES: Final = (
    *("not started", "starting", "running", "stopping", "unwatched", "lost", "copy"),
    *("completed", "stopped", "guard", "limit", "failed"),
)
"""Of a run; how ``standing.status_of`` comes to them is in docs/running.md."""

WORDS: Final = Words(
    meanings={
        "CaptionRecord.name": "Of the template.",
        "CaptionRecord.template": "The template itself, in Jinja.",
        "Checked.folder": "The dataset, absolute.",
        "Checked.problems": "What is wrong, errors first.",
        "Checked.statistics": "The dataset in numbers.",
        "Checked.sheet": "The contact sheet; null if none was drawn.",
        "Disagreement.drawn": "Strokes of the drawing.",
        "Disagreement.known": "Numbers of strokes that KANJIDIC2 gives.",
        "Disagreement.literal": "The kanji.",
        "SourceRecord.date": "Of the source, as it says; empty if it says none.",
        "SourceRecord.name": "Of the source.",
        "SourceRecord.sha256": "Of the source as it was read.",
        "SourceRecord.version": "Of the source, as it says; empty if it says none.",
        "Spread.least": "The smallest.",
        "Spread.median": "The median.",
        "Spread.most": "The largest.",
    },
    choices={
        "Machine.verdict": ("fits", "tight", "does not fit", "no bf16"),
        "View.status": STATUSES,
        "Exported.status": ("written", "replaced", "unchanged"),
    },
    nullable=frozenset(f"{name}" for name in ("WeightPoint.frobenius", "WeightPoint.spectral", "WeightPoint.jump")),
    without=frozenset(),
)


@dataclass(frozen=True, slots=True)
class Document:
    """One kind of document.

    Attributes:
        title: When it is printed.
        keys: A function from the book of definitions to the schemas by key.
        is_list: Whether it is a list of such objects.
    """

    title: str
    keys: Callable[[Book], Mapping[str, Schema]] = field(repr=False)
    is_list: bool = False


def _text(meaning: str, **more: Any) -> Schema:
    return {"description": meaning, "type": "string", **more}


def _whole(name: str, meaning: str) -> Schema:
    return {"description": with_unit(name, meaning), "type": "integer"}


def _number(name: str, meaning: str, *more: str) -> Schema:
    return {"description": with_unit(name, meaning), "type": ["number", *more] if more else "number"}


def _truth(meaning: str) -> Schema:
    return {"description": meaning, "type": "boolean"}


def _words(meaning: str) -> Schema:
    return {"description": meaning, "type": "array", "items": {"type": "string"}}


def _table(meaning: str, properties: Mapping[str, Schema]) -> Schema:
    return {"description": meaning, **closed(properties)}


def _list(meaning: str, items: Schema) -> Schema:
    return {"description": meaning, "type": "array", "items": items}


RUN: Final = _text("The run folder.")
RUN_HERE: Final = _text("The run folder here.")
PLACE: Final = MappingProxyType(
    {
        "on": _text("Where the run is, as ssh://USER@HOST."),
        "rental": {"description": "What is rented for it; null for a box of one's own.", "type": ["string", "null"]},
    }
)
ATTEMPT: Final = _whole("attempt", "Number of the attempt, from 1.")
DETACHED: Final = Document(
    "After Ctrl-C: the run goes on without this terminal",
    lambda _: {"run": RUN, "detached": {"description": "It is left alone.", "const": True}},
)
DETACHED_THERE: Final = Document(
    "After Ctrl-C: the run goes on on its box",
    lambda _: {"run": RUN_HERE, "detached": {"description": "It is left alone.", "const": True}, **PLACE},
)


def _exit(book: Book) -> Schema:
    both = {"anyOf": [book.of(Exit), {"type": "null"}]}
    return {"description": "How the run ended; null if nothing was running.", **both}


def _stopped(book: Book) -> dict[str, Schema]:
    return {"run": RUN, "was_running": _truth("Whether there was something to stop."), "exit": _exit(book)}


def _stopped_there(book: Book) -> dict[str, Schema]:
    kept = _whole("checkpoints", "How many checkpoints are here now.")
    return {**_stopped(book), "run": RUN_HERE, **PLACE, "checkpoints": kept}


STOPPED: Final = Document("A run on this machine", _stopped)
STOPPED_THERE: Final = Document("A run on a box", _stopped_there)
VIEW: Final = Document("A run on this machine", lambda book: book.properties(View))
VIEW_THERE: Final = Document("A run on a box", lambda book: {**book.properties(View), **PLACE})


def _build(book: Book) -> dict[str, Schema]:
    found = {name: _text(f"Where {title} was read.") for name, title in SOURCES.items()}
    return {
        "folder": _text("The dataset, absolute."),
        "status": {"description": "Whether it was built, or stood there already.", "enum": ["built", "verified"]},
        "resumed": _whole("resumed", "Pictures that an earlier build that was stopped had made."),
        "found": _table("The sources.", found),
        "certificate": {"description": "The birth certificate, as in build.json.", **book.of(Certificate)},
        "verified_against_cairosvg": _whole("", "Pictures compared with CairoSVG's; 0 without --verify."),
    }


SOURCES: Final = MappingProxyType({"kanjidic": "KANJIDIC2", "kanjivg": "KanjiVG"})


def _score(book: Book) -> dict[str, Schema]:
    cell = book.properties(Cell)
    picture = {**cell, "path": _text("The file, inside the folder if it is there."), **_without(book, PictureScore)}
    verdict = {
        "status": {"description": "What can be said of the run.", **book.of(Status)},
        "step": {"description": "Of the chosen checkpoint; null with any other status.", "type": ["integer", "null"]},
        "why": _text("A sentence, without a full stop."),
        "tied": _list("Steps of the checkpoints that may be the best.", {"type": "integer"}),
    }
    judged = {"description": "As kanjiprep monitor tells it; `pictures` for pictures without a run."}
    return {
        "tool": _text("kanjiprep and its version.", pattern="^kanjiprep "),
        "run": _text("Name of the folder, or of the strip."),
        "status": {**judged, "enum": [*STATUSES, "pictures"]},
        "verdict": _table("Which checkpoint.", verdict),
        "checkpoints": _list("Checkpoints and steps with pictures, ascending.", book.of(JudgedStep)),
        "ranked": _list("Every candidate with its place, ascending by step.", book.of(Ranked)),
        "pictures": _list("All that were judged, the base model's among them.", closed(picture)),
        "phases": _list("Explosions of the gradient, by the guard's rule.", book.of(Phase)),
        "weights": _list("Of the checkpoints; empty if they were not looked at.", book.of(WeightPoint)),
        "warnings": _words("What a user should know."),
        "facts": _list("Where the numbers come from.", book.of(Fact)),
    }


def _without(book: Book, cls: type) -> dict[str, Schema]:
    return {name: one for name, one in book.properties(cls).items() if name != "cell"}


def _trained_judge(book: Book) -> dict[str, Schema]:
    return {
        "path": _text("Where the judge is kept."),
        "dataset": _text("What names the dataset that it has learnt."),
        "seconds": _number("seconds", "That the training took."),
        "cpu_s": _number("cpu_s", "Of the processor."),
        "components": _whole("", "How many components it tells apart."),
        "characters": _whole("", "How many characters of the dataset KanjiVG draws."),
        "seed": _whole("", "Of the training."),
        "figures": {"description": "How good it is.", **book.of(Figures)},
    }


def _report(book: Book) -> dict[str, Schema]:
    compared = {
        "best": {"description": "The best run; null if they cannot be told apart.", "type": ["string", "null"]},
        "why": _text("A sentence, without a full stop."),
    }
    both = {"anyOf": [closed(compared), {"type": "null"}]}
    return {
        "page": _text("The HTML file."),
        "written": _words("All files that were written."),
        "comparison": {"description": "Of several runs; null for one.", **both},
        "runs": _list("Each run as kanjiprep score --json gives it.", closed(_score(book))),
    }


def _comfyui(book: Book) -> dict[str, Schema]:
    strip = {
        "name": _text("Of the folder in ComfyUI that the LoRAs go into."),
        "steps": _list("Of the checkpoints.", {"type": "integer"}),
        "bytes": _whole("bytes", "Of all LoRAs."),
        "own_bytes": _whole("own_bytes", "Of those that cannot share their bytes with the run."),
        "left_out": _words("Why checkpoints have no workflow, a sentence each."),
        "workflows": _words("The names that their pictures get."),
    }
    by_prompt = {"type": "array", "items": book.of(Count)}
    return {
        **book.properties(Workflows, "strip"),
        "status": {"description": "Whether anything had to be written.", "enum": ["written", "unchanged"]},
        "strip": {"description": "With --strip; else null.", "anyOf": [closed(strip), {"type": "null"}]},
        "tokens": {
            "description": "What each prompt costs the text encoders, by its name.",
            "type": "object",
            "additionalProperties": by_prompt,
        },
        "findings": _list("What the check of the written workflow found.", book.of(Wrong)),
    }


def _comfyui_check(book: Book) -> dict[str, Schema]:
    one = {
        "path": _text("The file."),
        "form": {"description": "What it is: for the server, the browser, or in a picture.", **book.of(Form)},
        "nodes": _whole("", "How many there are."),
        "findings": _list("Errors first.", book.of(Wrong)),
    }
    return {
        "files": _list("Each workflow.", closed(one)),
        "left_out": _words("JSON files that hold something else."),
        "errors": _whole("", "In all workflows together."),
        "pictures": _words("Those that the server painted, with --run."),
    }


def _generate_dry(book: Book) -> dict[str, Schema]:
    step = {"description": "Of the checkpoint; null for the base model or a file.", "type": ["integer", "null"]}
    picture = {
        "file": _text("Name of the file."),
        "step": step,
        "name": _text("Short name of the prompt."),
        "wish": {"description": "All that decides the picture.", **book.of(Wish)},
    }
    counts = {"type": "array", "items": book.of(Count)}
    return {
        "base": _text("The model below."),
        "family": _text("Of the model."),
        "out": _text("The folder that they would go into."),
        "pictures": _list("Each that would be painted, in order.", closed(picture)),
        "tokens": {
            "description": "What each prompt costs the text encoders, by its name.",
            "type": "object",
            "additionalProperties": counts,
        },
        "placement": {
            "description": "Where it would be computed; null if that is not known here.",
            "anyOf": [book.of(Placement), {"type": "null"}],
        },
        "cpu_s_a_picture": _number("_s", "Of a picture on a processor; null on a GPU, or if not known.", "null"),
        "download_bytes": {
            "description": "To fetch from the Hub; null if that is not known.",
            "type": ["integer", "null"],
        },
        "notes": _words("What else a user should know."),
        "warnings": _words("What speaks against it."),
    }


def _push(book: Book) -> dict[str, Schema]:
    pinned = _text("What --dataset takes to train on exactly this.")
    return {**book.properties(Delivered), **book.properties(Pushed, "hub"), "pinned": pinned}


def _preset(book: Book) -> dict[str, Schema]:
    prompts = {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "name": _text("Of the preset."),
        "spec": {"description": "All of run.toml, with what it leaves to the defaults.", **book.of(RunSpec)},
        "prompts": {"description": "Of the validation, by short name.", **prompts},
    }


def _with_steps(cls: type, book: Book) -> dict[str, Schema]:
    return {**book.properties(cls), "steps": _words("What would be done, a line each.")}


def _rehearsed(book: Book) -> dict[str, Schema]:
    return {
        **book.properties(View),
        "changes": _words("What the rehearsal has other than the run."),
        "unproven": _words("What it does not prove."),
    }


def _detached(place: Mapping[str, Schema], book: Book) -> dict[str, Schema]:
    own = {} if place else {"supervisor": _whole("", "Number of the process that looks after the run.")}
    return {"run": RUN_HERE if place else RUN, "attempt": ATTEMPT, **own, **place}


DOCUMENTS: Final[Mapping[str, tuple[Document, ...]]] = {
    "build": (Document("A dataset", _build),),
    "check": (
        Document(
            "A verdict", lambda book: {"fit": _truth("Whether it can be trained on."), **book.properties(Checked)}
        ),
    ),
    "push": (Document("A dataset on the Hub, or with --dry-run what would be", _push),),
    "plan": (
        Document("A plan", lambda book: book.properties(Plan)),
        Document(
            "With --export-diffusers",
            lambda book: {
                **book.properties(Plan),
                "exported": {"description": "What was written for diffusers' own script.", **book.of(Exported)},
            },
        ),
    ),
    "rehearse": (Document("A rehearsal at its end", _rehearsed), DETACHED),
    "launch-simpletuner": (
        Document("A run on this machine at its end", VIEW.keys),
        Document("A run on a box at its end", VIEW_THERE.keys),
        Document(
            "With --dry-run",
            lambda book: {
                **book.properties(Prepared),
                "line": _text("The command that would start it, for a shell."),
            },
        ),
        Document("With --detach", lambda book: _detached({}, book)),
        Document("With --detach, on a box", lambda book: _detached(PLACE, book)),
        DETACHED,
        DETACHED_THERE,
        Document("After Ctrl-C: stopped", STOPPED.keys),
        Document("After Ctrl-C: stopped on its box", STOPPED_THERE.keys),
    ),
    "monitor": (VIEW, VIEW_THERE),
    "stop": (STOPPED, STOPPED_THERE),
    "score": (
        Document("Pictures, judged", _score),
        Document("With --train-judge", _trained_judge),
        Document("With --selfcheck", lambda book: book.properties(SelfCheck)),
    ),
    "report": (Document("A page", _report),),
    "publish": (
        Document(
            "A LoRA on the Hub, or with --dry-run what would be",
            lambda book: {**book.properties(Delivered), **book.properties(Published, "hub")},
        ),
    ),
    "comfyui": (Document("A workflow that was written", _comfyui), Document("With --check", _comfyui_check)),
    "generate": (
        Document("Pictures that were painted", lambda book: book.properties(Made)),
        Document("With --dry-run", _generate_dry),
    ),
    "lora": (
        Document("A file that was looked at", lambda book: book.properties(Examined)),
        Document("With --fix, --resize or --merge: the copy", lambda book: book.properties(Copied)),
    ),
    "presets": (
        Document(
            "The presets",
            lambda _: {"name": _text("Of the preset."), "title": _text("Its one line.")},
            is_list=True,
        ),
        Document("With NAME: one of them", _preset),
    ),
    "setup-trainer": (
        Document("An environment", lambda book: book.properties(Trainer)),
        Document("With --dry-run", lambda book: _with_steps(SetupPlan, book)),
    ),
    "setup-remote": (
        Document(
            "An environment",
            lambda _: {"python": _text("That of the environment."), "home": _text("What SkyPilot takes for a home.")},
        ),
        Document("With --dry-run", lambda book: _with_steps(sky.SetupPlan, book)),
    ),
    "remote ls": (Document("What is rented", lambda book: book.properties(Holding), is_list=True),),
    "remote down": (
        Document(
            "What was given back",
            lambda _: {
                "name": _text("Under which it was rented."),
                "gone": {"description": "Lambda says that it is gone.", "const": True},
                "run": {"description": "The run folder; null if there is none.", "type": ["string", "null"]},
            },
        ),
    ),
}


def schema_of(command: str) -> Schema:
    """The schema of all that ``command`` prints with ``--json``."""
    book = Book(WORDS)
    variants = [_variant(one, book) for one in DOCUMENTS[command]]
    head: Schema = {"$schema": DRAFT, "title": f"kanjiprep {command} --json"}
    body = variants[0] if len(variants) == 1 else {"oneOf": variants}
    head["description"] = body.pop("title", "One of these.")
    return {**head, **body, **({"$defs": book.defs} if book.defs else {})}


def _variant(document: Document, book: Book) -> Schema:
    one = closed(document.keys(book))
    return {"title": f"{document.title}.", **({"type": "array", "items": one} if document.is_list else one)}


def file_of(command: str) -> str:
    """The name of its file in docs/schemas/."""
    return f"{command.replace(' ', '-')}.json"
