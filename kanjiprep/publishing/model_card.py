"""The card of an adapter on the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kanjiprep.dataset.card import attribution
from kanjiprep.evaluation import score_table
from kanjiprep.evaluation.score_table import Scores
from kanjiprep.publishing import front_matter, licences
from kanjiprep.publishing.markdown import code, number, path, prose, render
from kanjiprep.publishing.merging import marked
from kanjiprep.publishing.model_facts import Adapter, ModelFacts, Training, TrainingData
from kanjiprep.publishing.widgets import Widget

_PIPELINES: Final = {"sd3": "StableDiffusion3Pipeline", "sd1x": "StableDiffusionPipeline"}
_TAGS: Final = {
    "sd3": ("sd3", "sd3-diffusers"),
    "sd1x": ("stable-diffusion", "stable-diffusion-diffusers"),
}
_MEGABYTE: Final = 1_000_000
_LEAST_HOURS: Final = 0.5


def model_card(facts: ModelFacts) -> str:
    """The card of an adapter on the Hub: front matter, and a body between our marks."""
    licence, shown = licences.of_base(facts.base.repo), next(iter(facts.pictures), None)
    body = render(
        "model_card.md.j2",
        facts=facts,
        title=facts.repo_id.rpartition("/")[2],
        base=facts.base,
        adapter=facts.adapter,
        data=facts.data,
        training=facts.training,
        sampling=facts.sampling,
        prompt=shown.text if shown else facts.data.caption,
        negative=shown.negative if shown else "",
        painted_at=shown.step if shown and shown.step != facts.training.step else None,
        pipeline=_PIPELINES[facts.base.family],
        of_adapter=tuple(_of_adapter(facts.adapter)),
        of_training=(*_of_data(facts.data), *_of_training(facts.training)),
        choice=_choice(facts),
        scores=tuple(_score_table(facts.scores)) if facts.scores else (),
        licence=licence,
        is_stability=licence is not None and licence.license_name == licences.STABILITY,
        attribution=attribution(),
    )
    return front_matter.join(_table(facts, licence), f"\n{marked(body)}")


def _table(facts: ModelFacts, licence: licences.Licence | None) -> dict[str, Any]:
    own = ("lora", "template:sd-lora", "diffusers", "simpletuner", *_TAGS[facts.base.family], "text-to-image")
    ours = {
        "license": licence.license if licence else None,
        "license_name": licence.license_name if licence else None,
        "license_link": licence.license_link if licence else None,
        "library_name": "diffusers",
        "pipeline_tag": "text-to-image",
        "base_model": facts.base.repo,
        "base_model_relation": "adapter" if facts.base.repo else None,
        "datasets": [facts.data.repo_id] if facts.data.repo_id else None,
        "tags": [*own, *(["kanji"] if facts.data.is_kanji else [])],
        "instance_prompt": facts.data.caption,
        "widget": [_widget(one) for one in facts.pictures],
    }
    return {key: value for key, value in ours.items() if value}


def _widget(shown: Widget) -> dict[str, Any]:
    negative = {"parameters": {"negative_prompt": shown.negative}} if shown.negative else {}
    return {"text": shown.text, **negative, "output": {"url": shown.path_in_repo}}


def _of_adapter(adapter: Adapter) -> Iterator[tuple[str, str]]:
    yield "file", f"{code(adapter.file_name)}, {adapter.bytes / _MEGABYTE:,.1f} MB"
    yield "SHA-256", code(adapter.sha256)
    yield "rank, alpha", f"{number(adapter.rank)}, {number(adapter.alpha)}"
    yield "adapted", f"{number(adapter.modules)} modules: {', '.join(map(code, adapter.targets))}"
    yield "numbers", f"{number(adapter.parameters)} in {prose(adapter.dtype)}"
    if adapter.repairs:
        yield "changed after training", prose("; ".join(adapter.repairs))


def _of_data(data: TrainingData) -> Iterator[tuple[str, str]]:
    link = f"[{prose(data.repo_id)}](https://huggingface.co/datasets/{path(data.repo_id)})" if data.repo_id else ""
    revision = f"revision {code(data.revision)}" if data.revision else ""
    yield "dataset", ", ".join(filter(None, (link, revision, f"{number(data.pictures)} pictures")))
    if data.digest:
        yield "its digest", code(data.digest)


def _of_training(training: Training) -> Iterator[tuple[str, str]]:
    yield "steps", f"{number(training.step)} of {number(training.total_steps)}"
    yield "epochs", f"{training.epochs:.4g}"
    yield "pictures a step", _pictures_a_step(training)
    yield "learning rate", f"{number(training.learning_rate)}, {prose(training.schedule)}"
    yield "optimizer", code(training.optimizer)
    yield "clipping of gradients", prose(training.clip)
    yield "resolution", f"{number(training.resolution_px)} px"
    if training.caption_dropout:
        yield "trained without caption", f"{number(100 * training.caption_dropout)}% of the pictures"
    yield "frozen weights in", prose(training.precision)
    yield "seed", str(training.seed)
    yield "trainer", prose(training.trainer)
    if training.gpu:
        yield "GPU", prose(training.gpu)
    cost = f", {training.usd:,.2f} dollars" if training.usd is not None else ""
    yield "the whole run took", f"{_time(training.hours)}{cost}"
    if training.ended:
        yield "end of the run", prose(training.ended)


def _pictures_a_step(training: Training) -> str:
    parts = f"batch {training.batch}, accumulation {training.accumulation}"
    gpus = f", {training.gpus} GPUs" if training.gpus > 1 else ""
    return f"{number(training.pictures_a_step)} ({parts}{gpus})"


def _time(hours: float) -> str:
    return f"{hours:,.1f} hours" if hours >= _LEAST_HOURS else f"{hours * 60:.1f} minutes"


def _choice(facts: ModelFacts) -> str:
    """Why this checkpoint: whoever publishes none of the judge's and not the last has named its step."""
    if facts.scores is None:
        which = "the last" if facts.is_last else "not the last, and was chosen by hand"
        return f"No checkpoint was scored; this one is {which}."
    step, best = facts.training.step, facts.scores.chosen
    if best == step:
        why = ": the judge chose it"
    else:
        which = "the last one" if facts.is_last else "chosen by hand"
        why = f", {which}; the judge chose {'none' if best is None else f'step {best:,}'}"
    return f"Step {step:,} is published{why}. The scores are in {score_table.NAME}."


def _score_table(found: Scores) -> Iterator[tuple[str, ...]]:
    """The head of the table, and its rows."""
    more = tuple(found.rows[0].more)
    yield ("step", "score", *more)
    for row in found.rows:
        yield (f"{row.step:,}", f"{row.score:.4g}", *(row.more[name] for name in more))
