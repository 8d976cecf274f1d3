"""A run made small: what changes is said, the rest stays, and it would start."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training import configs, curve, gpus, pictures, plan, presets, rehearsal, run_spec, schedule
from kanjiprep.training.configs import Places
from kanjiprep.training.machines import Market
from kanjiprep.training.pictures import Dataset, Picture
from kanjiprep.training.rehearsal import Rehearsal
from kanjiprep.training.run_spec import RunSpec

WHOLE = pictures.nominal(6414, 1024)
PLACES = Places(Path("/runs/x"), Path("/cache"))
CHANGING = {
    "model.flavour", "model.path", "model.precision", "optimizer.name", "schedule.warmup_steps",
    "schedule.half_period_steps", "training.epochs", "training.steps", "training.batch", "training.accumulation",
    "training.resolution_px", "checkpoints.every_epochs", "checkpoints.every_steps", "validation.every_steps",
    "validation.size_px", "validation.inference_steps", "tracker.service", "machine.gpu", "machine.gpus",
    "machine.sharding", "guard.policy", "guard.max_usd",
}  # fmt: skip
EVERYTHING = (
    "model.path=me/mine",
    "model.precision=nf4",
    "optimizer.name=bnb-adamw8bit",
    "training.batch=24",
    "training.accumulation=3",
    "validation.every_steps=100",
    "tracker.service=wandb",
    "machine.gpus=2",
    "machine.sharding=zero2",
    "guard.policy=rollback",
    "guard.max_usd=20",
)


def rehearsed(name: str, *settings: str, dataset: Dataset = WHOLE) -> Rehearsal:
    return rehearsal.rehearsal_of(presets.load(name, settings), dataset)


def values(spec: RunSpec) -> dict[str, Any]:
    tables = dataclasses.asdict(spec)
    return {
        f"{table}.{key}": value
        for table, inner in tables.items()
        if isinstance(inner, dict)
        for key, value in inner.items()
    }


def differing(before: RunSpec, after: RunSpec) -> set[str]:
    new = values(after)
    assert (before.title, before.why) == (after.title, after.why)
    return {key for key, value in values(before).items() if value != new[key]}


def named(made: Rehearsal) -> set[str]:
    return {text.partition(":")[0] for text in made.changes} - {"pictures", "shapes"}


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_gives_a_rehearsal_that_would_start(name: str) -> None:
    made = rehearsed(name)
    spec = made.preset.spec
    assert run_spec.contradictions(spec) == ()
    planned = plan.plan(made.preset, made.dataset, PLACES, Market(gpus.load()))
    assert plan.refusing(planned.findings) == ()
    assert planned.steps.total == rehearsal.STEPS
    assert planned.steps.short_buckets == {}
    assert planned.pictures.checkpoints == planned.pictures.rounds == 2
    rendered = configs.render(spec, planned.steps, made.preset.prompts, PLACES, made.preset.templates)
    assert rendered.config["pretrained_model_name_or_path"] == f"/cache/tiny-{spec.model.family}"
    assert rendered.prompts == presets.load(name).prompts.by_name


@pytest.mark.parametrize("name", presets.names())
def test_every_change_is_named_and_nothing_else(name: str) -> None:
    made = rehearsed(name)
    assert differing(presets.load(name).spec, made.preset.spec) == named(made)
    assert named(made) <= CHANGING


def test_whatever_can_change_is_named() -> None:
    periodic = ("schedule.shape=periodic-cosine", "schedule.warmup_steps=0", "schedule.half_period_steps=5000")
    made = [rehearsed("sd35-large-lora", *EVERYTHING, *more) for more in ((), periodic)]
    for one, more in zip(made, ((), periodic), strict=True):
        assert differing(presets.load("sd35-large-lora", (*EVERYTHING, *more)).spec, one.preset.spec) == named(one)
    assert named(made[0]) | named(made[1]) == CHANGING


def test_all_that_a_cpu_can_do_stays() -> None:
    targets = 'lora.targets=["to_q", "add_q_proj"]'
    kept = ("lora.dropout=0.2", "lora.alpha=32", targets, "training.caption_dropout=0.3", "checkpoints.keep=7")
    before = presets.load("sd35-medium-lora", kept)
    after = rehearsed("sd35-medium-lora", *kept).preset
    assert (after.spec.lora, after.prompts, after.templates) == (before.spec.lora, before.prompts, before.templates)
    assert after.spec.validation.skip_layers == (7, 8, 9)
    assert (after.spec.training.batch, after.spec.training.accumulation) == (6, 2)
    assert differing(before.spec, after.spec) <= CHANGING - {"training.batch", "training.accumulation"}


def test_changes_say_from_what_to_what_and_why() -> None:
    changes = rehearsed("sd35-large-lora-lr1.05e-3", "model.path=me/mine").changes
    assert "training.steps: unset -> 5, a checkpoint, pictures, and steps after them" in changes
    assert "training.epochs: 30 -> unset, steps say how long" in changes
    assert "model.path: me/mine -> unset, a tiny random model of the same family takes its place" in changes
    assert "training.resolution_px: 1,024 -> 256, quick on a CPU" in changes
    assert any(text.startswith("pictures: 6,414 -> 24, the longest captions") for text in changes)


@pytest.mark.parametrize(
    ("batch", "accumulation", "small"),
    [(6, 2, (6, 2)), (16, 1, (16, 1)), (1, 64, (1, 2)), (12, 8, (8, 2)), (64, 1, (16, 1))],
)
def test_a_large_step_is_made_smaller_without_losing_its_accumulation(
    batch: int, accumulation: int, small: tuple[int, int]
) -> None:
    made = rehearsed("tiny-cpu", f"training.batch={batch}", f"training.accumulation={accumulation}")
    assert (made.preset.spec.training.batch, made.preset.spec.training.accumulation) == small


@pytest.mark.parametrize(
    ("name", "settings", "warmup", "half"),
    [
        ("sd35-large-lora", (), 1, None),
        ("sd35-large-lora", ("training.steps=1000", "schedule.warmup_steps=600"), 3, None),
        ("sd35-large-lora", ("schedule.warmup_steps=20000",), 4, None),
        ("sd35-large-lora", ("schedule.warmup_steps=0",), 0, None),
        ("sd35-large-lora-lr1.05e-3", (), 0, 1),
        ("sd35-large-lora-lr1.05e-3", ("schedule.half_period_steps=32070",), 0, 5),
    ],
)
def test_a_schedule_keeps_its_shape(name: str, settings: tuple[str, ...], warmup: int, half: int | None) -> None:
    made = rehearsed(name, *settings).preset.spec
    assert (made.schedule.warmup_steps, made.schedule.half_period_steps) == (warmup, half)
    before = curve.scheduler_of(presets.load(name, settings).spec, 32_070)
    after = curve.scheduler_of(made, rehearsal.STEPS)
    assert (before.name, before.peak, before.end) == (after.name, after.peak, after.end)
    assert max(curve.rates(after)) > min(curve.rates(after))


def test_what_is_not_proven_is_what_applies() -> None:
    large = "\n".join(rehearsed("sd35-large-full").unproven)
    for word in (
        "stable-diffusion-3.5-large, which needs its licence",
        "8 GPUs",
        "'full'",
        "memory",
        "CUDA",
        "6,390",
    ):
        assert word in large
    tiny = rehearsed("tiny-cpu", dataset=pictures.nominal(20, 256)).unproven
    assert tiny == ("quality: random weights learn nothing that can be looked at", "the guard (stop), which is off")
    first = "\n".join(rehearsed("sd15-full").unproven)
    assert "stable-diffusion-v1-5" in first
    assert "licence" not in first


def test_what_was_changed_away_is_not_proven() -> None:
    told = "\n".join(rehearsed("sd35-large-lora", *EVERYTHING).unproven)
    for word in (
        "that me/mine is there",
        "weights in nf4",
        "bnb-adamw8bit",
        "2 GPUs",
        "'zero2'",
        "account at wandb",
        "(rollback)",
    ):
        assert word in told
    assert "download of" not in told


def shaped(width_px: int, height_px: int, count: int) -> tuple[Picture, ...]:
    return tuple(
        Picture(f"{width_px}x{height_px}_{index}.png", "kanji", width_px, height_px) for index in range(count)
    )


def test_shapes_are_those_of_the_smaller_pictures() -> None:
    two = (*shaped(1024, 1024, 30), *shaped(1088, 1000, 30))
    made = rehearsed("tiny-cpu", "training.resolution_px=1024", dataset=Dataset(Path("d"), two))
    assert "shapes: 1.0, 1.13 -> 1.0, as pictures are scaled to steps of 64 px" in made.changes


def test_a_shape_that_only_the_rehearsal_cannot_fill_is_left_out_and_said() -> None:
    near = (*shaped(1240, 1000, 30), *shaped(1300, 1000, 3))
    assert [pictures.buckets(near, size_px) for size_px in (1024, 256)] == [{"1.29": 33}, {"1.0": 30, "1.25": 3}]
    made = rehearsed("sd35-large-lora", dataset=Dataset(Path("d"), near))
    assert "pictures of the shape 1.25: 3 of them cannot fill a step of the rehearsal" in made.unproven
    assert not set(made.dataset.pictures) & set(near[30:])


def test_shapes_of_which_the_rehearsal_can_fill_none_are_refused() -> None:
    near = (*shaped(1240, 1000, 6), *shaped(1300, 1000, 6))
    with pytest.raises(UsageError, match=r"has 6 pictures of the shape 1.0, and a step takes 12"):
        rehearsed("sd35-large-lora", dataset=Dataset(Path("d"), near))


@pytest.mark.parametrize("samples", [1, 11])
def test_a_dataset_that_cannot_fill_a_step_is_refused(samples: int) -> None:
    says = rf"dataset: has {samples} pictures of the shape 1.0, and a step takes 12; lower training.batch or"
    with pytest.raises(UsageError, match=says):
        rehearsed("sd35-large-lora", dataset=pictures.nominal(samples, 1024))


def test_a_shape_that_the_real_run_cannot_fill_is_refused() -> None:
    with pytest.raises(UsageError, match="has 7 pictures of the shape 2.09, and a step takes 12"):
        rehearsed("sd35-large-lora", dataset=Dataset(Path("d"), (*shaped(64, 64, 30), *shaped(1448, 724, 7))))


def own(folder: Path, **changes: object) -> str:
    """A preset with a template of its own that renders ``changes`` beside what the shipped one does."""
    (folder / "run.toml").write_bytes(presets.to_toml(presets.load("sd35-large-lora").spec))
    shipped = configs.load_templates().sources[configs.CONFIG].rstrip().removesuffix("}")
    lines = "".join(f", {json.dumps(key)}: {json.dumps(value)}" for key, value in changes.items())
    (folder / "config.json.j2").write_text(f"{shipped}{lines}}}", "utf-8")
    return str(folder)


def test_templates_of_its_own_are_rehearsed(tmp_path: Path) -> None:
    made = rehearsed(own(tmp_path, snr_gamma=5))
    steps = schedule.count(made.preset.spec, presets.NOMINAL)
    rendered = configs.render(made.preset.spec, steps, made.preset.prompts, PLACES, made.preset.templates)
    assert rendered.config["snr_gamma"] == 5


def test_a_template_that_fills_up_small_shapes_needs_no_full_step(tmp_path: Path) -> None:
    made = rehearsed(own(tmp_path, allow_dataset_oversubscription=True), dataset=pictures.nominal(5, 1024))
    assert len(made.dataset.pictures) == 5


def test_a_template_that_does_not_let_the_run_be_small_is_refused(tmp_path: Path) -> None:
    preset = own(tmp_path, model_flavour="large")
    says = "config.json.j2: writes model_flavour 'large' where a rehearsal needs None; write it as the shipped"
    with pytest.raises(UsageError, match=says):
        rehearsed(preset)


def test_the_sample_keeps_the_digest_of_the_whole() -> None:
    made = rehearsed("tiny-cpu", dataset=dataclasses.replace(WHOLE, digest="abc"))
    assert (made.dataset.digest, made.dataset.folder) == ("abc", WHOLE.folder)
