"""What is known of a training, in the words of a model card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kanjiprep.publishing import extras, facts, model_facts, scores
from kanjiprep.publishing.choice import Chosen
from kanjiprep.publishing.destination import Wish
from kanjiprep.publishing.facts import RunFacts
from kanjiprep.publishing.layouts import shortened
from kanjiprep.publishing.lora import Lora
from kanjiprep.publishing.model_facts import ModelFacts
from kanjiprep.publishing.scores import Scores
from kanjiprep.publishing.widgets import Gallery
from kanjiprep.training import models
from kanjiprep.training.running.attempts import WEIGHTS

_MOST_ALERTS: Final = 20


def model_facts_of(
    wish: Wish,
    run: RunFacts,
    chosen: Chosen,
    found: Scores | None,
    adapter: model_facts.Adapter,
    gallery: Gallery,
    beside: Sequence[str],
) -> ModelFacts:
    """All that the card of an adapter says.

    Args:
        wish: Where it goes.
        run: Its training.
        chosen: Its checkpoint.
        found: The scores of all checkpoints.
        adapter: The file that is sent.
        gallery: Its pictures.
        beside: Paths of what goes along.
    """
    painted = tuple(model_facts.Painted(one.path_in_repo, one.text, one.negative) for one in gallery.widgets)
    shown = painted[0] if painted else model_facts.Painted("", next(iter(run.pictures.captions), ""))
    is_last = chosen.step >= run.course.steps
    model = models.model_of(run.base.family, run.base.flavour)
    return ModelFacts(
        repo_id=wish.repo_id,
        title=wish.repo_id.rpartition("/")[2],
        base=model_facts.Base(
            run.base.repo, model.name, "sd3" if run.base.family == "sd3" else "sd1x", run.base.is_copy
        ),
        adapter=adapter,
        data=_data(run.pictures),
        training=_training(run, chosen),
        sampling=model_facts.Sampling(
            prompt=shown.prompt,
            negative=shown.negative,
            steps=run.validation.inference_steps,
            guidance=run.validation.guidance,
            size_px=run.validation.size_px,
            seed=run.validation.seed,
            skip_layers=run.validation.skip_layers,
        ),
        pictures=painted,
        workflows=tuple(path for path in beside if path.startswith(f"{extras.COMFYUI}/")),
        scores=_scores(found, chosen),
        is_last=is_last,
        reason=chosen.how if found or not is_last else "",
    )


def adapter_of(lora: Lora, planned: facts.Adapter, repairs: tuple[str, ...]) -> model_facts.Adapter:
    """The file of weights; where its modules differ, rank and alpha are those that were planned."""
    return model_facts.Adapter(
        file_name=WEIGHTS,
        rank=planned.rank if lora.rank is None else lora.rank,
        alpha=planned.alpha if lora.alpha is None else lora.alpha,
        targets=lora.targets,
        modules=lora.modules,
        parameters=lora.parameters,
        dtype=", ".join(lora.dtypes),
        bytes=lora.bytes,
        sha256=lora.sha256,
        repairs=repairs,
    )


def _data(pictures: facts.Pictures) -> model_facts.TrainingData:
    return model_facts.TrainingData(
        pictures=pictures.count,
        caption=shortened(next(iter(pictures.captions), "")),
        is_kanji=bool(pictures.digest),
        repo_id=pictures.hub_dataset,
        revision=pictures.hub_revision,
        digest=pictures.digest,
    )


def _training(run: RunFacts, chosen: Chosen) -> model_facts.Training:
    recipe, course = run.recipe, run.course
    warmup = f", after a climb over {recipe.warmup_steps:,} steps" if recipe.warmup_steps else ""
    clip = f"by {recipe.clip}, at {recipe.clip_at:g}" if recipe.clip != "off" else "none"
    return model_facts.Training(
        step=chosen.step,
        total_steps=recipe.total_steps,
        epochs=chosen.step / recipe.steps_per_epoch,
        batch=recipe.batch,
        accumulation=recipe.accumulation,
        gpus=max(1, len(run.machine.gpus)),
        learning_rate=recipe.learning_rate,
        schedule=f"{recipe.shape}{warmup}",
        optimizer=recipe.optimizer,
        clip=clip,
        resolution_px=recipe.resolution_px,
        precision=run.base.precision,
        seed=recipe.seed,
        trainer=f"SimpleTuner {run.machine.simpletuner}, kanjiprep {run.machine.kanjiprep}",
        gpu=next(iter(run.machine.gpus), ""),
        hours=course.hours,
        usd=course.usd,
        rollbacks=course.rollbacks,
        alerts=tuple(f"Step {one.step:,}: {one.text}" for one in course.alerts[:_MOST_ALERTS]),
    )


def _scores(found: Scores | None, chosen: Chosen) -> model_facts.Scores | None:
    if found is None:
        return None
    more = tuple(dict.fromkeys(name for row in found.rows for name in row.more))
    rows = tuple(
        (f"{row.step:,}", f"{row.score:.4g}", *(row.more.get(name, "") for name in more)) for row in found.rows
    )
    is_best = found.chosen == chosen.step
    verdict = f"Step {chosen.step:,} is published: {'the judge chose it' if is_best else chosen.how}."
    return model_facts.Scores(("step", "score", *more), rows, f"{verdict} The scores are in {scores.NAME}.")
