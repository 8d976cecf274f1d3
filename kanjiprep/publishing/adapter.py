"""An adapter laid out as it is to stand on the Hub: weights, card, pictures, and what the run has besides."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kanjiprep.errors import HubError, os_reason
from kanjiprep.evaluation import score_table
from kanjiprep.evaluation.score_table import Scores
from kanjiprep.evaluation.weights import lora
from kanjiprep.evaluation.weights.lora import Lora
from kanjiprep.publishing import (
    choice,
    extras,
    front_matter,
    licences,
    merging,
    model_card,
    run_facts,
    staging,
    widgets,
    workflows,
)
from kanjiprep.publishing.choice import Chosen
from kanjiprep.publishing.destination import CARD, Destination
from kanjiprep.publishing.doctor import fixed
from kanjiprep.publishing.model_facts import Adapter, ModelFacts
from kanjiprep.publishing.run_facts import RunFacts
from kanjiprep.publishing.widgets import Gallery
from kanjiprep.training.running import run_source
from kanjiprep.training.running.attempts import WEIGHTS
from kanjiprep.training.running.run_state import RunState

NOTICE: Final = "NOTICE"
_EARLIER: Final = re.compile(r"report/(?:report\.html|(?:strip|grid)\.(?:png|json)|scores\.csv)|comfyui/[^/]+\.json")


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint of a run, chosen.

    Attributes:
        run: Its folder.
        state: How far it is.
        scores: Of its checkpoints; None if there are none.
        chosen: The checkpoint.
        facts: Of its training.
    """

    run: Path
    state: RunState
    scores: Scores | None
    chosen: Chosen
    facts: RunFacts


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be sent.

    Attributes:
        lora: The adapter, as it is sent.
        repairs: What was changed in the copy.
        is_stale: Whether a path of the repository is of an earlier publication, and to go unless it is sent again.
        notes: What a user should know.
    """

    lora: Lora
    repairs: tuple[str, ...]
    is_stale: Callable[[str], bool]
    notes: tuple[str, ...]


def choose(run: Path, wanted: str | None) -> Source:
    """The checkpoint that is ``wanted`` of ``run``, with all that is known of it.

    Raises:
        TrainerError: If there is none, or the run cannot be read.
        UsageError: If it is a full fine-tune, or ``wanted`` is no step, ``best`` or ``last``.
    """
    state, found = run_source.state(run), score_table.read(run)
    chosen = choice.choose(run, state, wanted, found)
    return Source(run, state, found, chosen, run_facts.read(run, state, chosen))


def lay_out(source: Source, there: Destination, out: Path) -> Prepared:
    """The adapter laid out in the folder ``out``, which is made.

    Raises:
        TrainerError: If the adapter is not fit to be published, or a file of the run cannot be read.
        HubError: If the card there cannot be merged, or ``out`` cannot be written.
    """
    out.mkdir(parents=True)
    repairs = fixed.fix(source.chosen.weights, out / WEIGHTS, source.facts.planned_alpha)
    inspected = lora.inspect(out / WEIGHTS)
    gallery = widgets.write(source.run, source.state, source.chosen, out)
    beside = extras.extras(source.run)
    flows = workflows.workflows(source.run, beside, source.chosen)
    for path, name in beside:
        if not name.startswith(f"{extras.COMFYUI}/"):
            staging.link(path, out / name)
    file = _adapter(inspected, source.facts, repairs)
    facts = _facts(there.wish.repo_id, source, file, gallery, tuple(flows.files))
    theirs = there.card or ""
    merged = merging.merge(model_card.model_card(facts), theirs, HubError, f"README.md of {there.wish.repo_id}")
    licence = licences.of_base(facts.base.repo)
    notice = licences.notice_file(licence, facts.base.name) if licence else ""
    texts = {CARD: merged.text, **({NOTICE: notice} if notice else {})}
    _write(out, {**flows.files, **{name: text.encode() for name, text in texts.items()}})
    return Prepared(inspected, repairs, earlier(theirs), (*gallery.notes, *merged.notes, *flows.notes))


def _adapter(found: Lora, run: RunFacts, repairs: tuple[str, ...]) -> Adapter:
    """The file of weights; where its modules differ, rank and alpha are those that were planned."""
    return Adapter(
        file_name=WEIGHTS,
        rank=run.planned_rank if found.rank is None else found.rank,
        alpha=run.planned_alpha if found.alpha is None else found.alpha,
        targets=found.targets,
        modules=found.modules,
        parameters=found.parameters,
        dtype=", ".join(found.dtypes),
        bytes=found.bytes,
        sha256=found.sha256,
        repairs=repairs,
    )


def _facts(repo_id: str, source: Source, file: Adapter, gallery: Gallery, flows: tuple[str, ...]) -> ModelFacts:
    run = source.facts
    return ModelFacts(
        repo_id=repo_id,
        base=run.base,
        adapter=file,
        data=run.data,
        training=run.training,
        sampling=run.sampling,
        pictures=gallery.widgets,
        workflows=flows,
        scores=source.scores,
        is_last=source.chosen.step == source.state.checkpoints[-1].step,
    )


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        try:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(data)
        except OSError as error:
            raise HubError(f"cannot be written: {os_reason(error)}", str(out / name), "free some space") from error


def earlier(card: str) -> Callable[[str], bool]:
    """Whether a path is what the publication whose ``card`` stands there put beside it.

    Pictures are told by the card's own gallery: others in the same folder are not ours to remove.
    """
    table, _ = front_matter.split(card, CARD, HubError)
    entries: Any = table.get("widget")
    shown = [one.get("output") for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    urls = (str(one.get("url")) for one in shown if isinstance(one, dict))
    pictures = frozenset(url for url in urls if merging.OUR_PICTURE.fullmatch(url))
    is_ours = merging.BEGIN in card
    return lambda path: is_ours and (path in pictures or path == NOTICE or _EARLIER.fullmatch(path) is not None)
