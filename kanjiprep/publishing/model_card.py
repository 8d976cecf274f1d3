"""The card of an adapter on the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kanjiprep.dataset.card import attribution
from kanjiprep.publishing import front_matter, licences
from kanjiprep.publishing.markdown import code, number, path, prose, render
from kanjiprep.publishing.merging import marked
from kanjiprep.publishing.model_facts import Adapter, ModelFacts, Painted, Training, TrainingData

_PIPELINES: Final = {"sd3": "StableDiffusion3Pipeline", "sd1x": "StableDiffusionPipeline"}
_TAGS: Final = {
    "sd3": ("sd3", "sd3-diffusers"),
    "sd1x": ("stable-diffusion", "stable-diffusion-diffusers"),
}
_MEGABYTE: Final = 1_000_000
_LEAST_HOURS: Final = 0.5


def model_card(facts: ModelFacts) -> str:
    """The card of an adapter on the Hub: front matter, and a body between our marks."""
    licence = licences.of_base(facts.base.repo)
    body = render(
        "model_card.md.j2",
        facts=facts,
        base=facts.base,
        adapter=facts.adapter,
        data=facts.data,
        training=facts.training,
        sampling=facts.sampling,
        pipeline=_PIPELINES[facts.base.family],
        of_adapter=tuple(_of_adapter(facts.adapter)),
        of_training=(*_of_data(facts.data), *_of_training(facts.training)),
        choice=_choice(facts),
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


def _widget(painted: Painted) -> dict[str, Any]:
    negative = {"parameters": {"negative_prompt": painted.negative}} if painted.negative else {}
    return {"text": painted.prompt, **negative, "output": {"url": painted.path}}


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
    yield "frozen weights in", prose(training.precision)
    yield "seed", str(training.seed)
    yield "trainer", prose(training.trainer)
    if training.gpu:
        yield "GPU", f"{training.gpus} x {prose(training.gpu)}" if training.gpus > 1 else prose(training.gpu)
    spent = (
        _time(training.hours) if training.hours is not None else "",
        f"{training.usd:,.2f} dollars" if training.usd is not None else "",
    )
    if any(spent):
        yield "took", ", ".join(filter(None, spent))


def _time(hours: float) -> str:
    return f"{hours:,.1f} hours" if hours >= _LEAST_HOURS else f"{hours * 60:.1f} minutes"


def _pictures_a_step(training: Training) -> str:
    whole = training.batch * training.accumulation * training.gpus
    parts = f"batch {training.batch}, accumulation {training.accumulation}"
    return f"{whole} ({parts}{f', {training.gpus} GPUs' if training.gpus > 1 else ''})"


def _choice(facts: ModelFacts) -> str:
    if facts.scores:
        return facts.scores.verdict
    last = "the last" if facts.is_last else "not the last"
    why = "" if facts.is_last else ", and why it was taken is not on record"
    reason = f". Why it was taken: {facts.reason.rstrip('.')}." if facts.reason else f"{why}."
    return f"No checkpoint was scored; this one is {last}{reason}"
