from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.publishing import run_facts
from kanjiprep.publishing.choice import Chosen
from kanjiprep.publishing.facts import (
    Adapter,
    Base,
    Course,
    Machine,
    Pictures,
    Recipe,
    RunFacts,
    Validated,
    Warned,
)
from kanjiprep.training import presets
from kanjiprep.training.running.events import Alert, Event, Exit
from kanjiprep.training.running.record import Record
from tests.run_folders import ENVIRONMENT, calm, explosion, keep, prepared, trained, write_environment
from tests.test_attempts import record
from tests.test_events import attempt, step

LENGTH = ("training.steps=100", "checkpoints.every_steps=4")


def facts(run: Path, output: str = "output") -> RunFacts:
    chosen = Chosen(8, run.resolve() / output / "checkpoint-8", "")
    return run_facts.read(run, Record(run).state, chosen)


def preset(name: str = "tiny-cpu", *settings: str) -> presets.Preset:
    return presets.load(name, (*LENGTH, *settings))


def rewritten(run: Path, old: str, new: str) -> Path:
    path = run / presets.SPEC
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    return run


def texts(value: object) -> Iterator[str]:
    """Every text in ``value``."""
    match value:
        case str():
            yield value
        case Mapping():
            yield from texts([*value, *value.values()])
        case list() | tuple():
            for one in value:
                yield from texts(one)
        case _:
            return


def test_a_run_tells_all_that_a_card_needs(tmp_path: Path) -> None:
    found = facts(trained(tmp_path))
    assert found == RunFacts(
        name="mine",
        title="A tiny random SD3 on a CPU, for rehearsals and tests",
        base=Base("sd3", "tiny", "", False, "bf16"),
        adapter=Adapter(4, 4.0, ("to_q", "to_k", "to_v", "to_out.0")),
        pictures=Pictures("ab" * 32, 12, "", "", ('"kanji" 0', '"kanji" 1', '"kanji" 2')),
        recipe=Recipe(
            total_steps=100,
            steps_per_epoch=2,
            batch=6,
            accumulation=1,
            pictures_a_step=6,
            planned_rate=1e-4,
            learning_rate=1e-4,
            shape="polynomial",
            warmup_steps=2,
            optimizer="adamw_bf16",
            clip="norm",
            clip_at=0.1,
            resolution_px=256,
            caption_dropout=0.0,
            seed=42,
        ),
        machine=Machine((), "0.1.0", "4.10.1", {"torch": "2.13.0", "diffusers": "0.42.1"}),
        course=Course(8, 11 / 3600, None, (), 0, "completed", ""),
        validation=Validated(2, 3.0, 256, 42, ()),
    )
    assert found.recipe.epochs == 50


def test_a_large_model_is_told_with_its_repository_and_its_gpus(tmp_path: Path) -> None:
    settings = ("machine.gpus=2", "lora.alpha=64", "training.accumulation=3")
    found = facts(trained(tmp_path, preset=presets.load("sd35-large-lora", settings), on_gpu=True, usd_per_hour=3.6))
    assert found.base == Base("sd3", "large", "stabilityai/stable-diffusion-3.5-large", False, "bf16")
    assert (found.adapter.rank, found.adapter.alpha) == (128, 64.0)
    assert (found.recipe.batch, found.recipe.accumulation, found.recipe.pictures_a_step) == (6, 3, 36)
    assert found.machine.gpus == ("NVIDIA A100", "NVIDIA A100")
    assert found.course.usd == pytest.approx(11 / 1000)


@pytest.mark.parametrize(
    ("path", "repo"),
    [
        ("me/my-sd3.5", "me/my-sd3.5"),
        ("models/here", ""),
        ("/home/alice/models/sd3", ""),
        ("/models", ""),
        ("~/sd3", ""),
        ("./me/sd3", ""),
        ("../me/sd3", ""),
        ("me/sd3/transformer", ""),
        ("sd3", ""),
        ("C:\\\\models\\\\sd3", ""),
        ("me\\u0000/sd3", ""),
        ("x" * 300, ""),
    ],
)
def test_a_base_model_is_told_if_it_is_on_the_hub_and_never_as_a_path(tmp_path: Path, path: str, repo: str) -> None:
    run = rewritten(trained(tmp_path), 'path = ""', f'path = "{path}"')
    (run / "models" / "here").mkdir(parents=True)
    assert facts(run).base.repo == repo


def test_a_dataset_of_the_hub_is_told_with_its_revision(tmp_path: Path) -> None:
    run = trained(tmp_path)
    write_environment(run, hub_dataset="me/kanji", hub_revision="0123456789" * 4)
    assert (facts(run).pictures.hub_dataset, facts(run).pictures.hub_revision) == ("me/kanji", "0123456789" * 4)
    write_environment(run, hub_dataset="/home/alice/kanji", hub_revision="/home/alice")
    assert (facts(run).pictures.hub_dataset, facts(run).pictures.hub_revision) == ("", "")


@pytest.mark.parametrize(
    ("settings", "shape", "warmup"),
    [
        (("schedule.shape=cosine", "schedule.warmup_steps=0"), "cosine", 0),
        (("schedule.shape=cosine", "schedule.warmup_steps=9"), "polynomial", 9),
        (("schedule.shape=linear", "schedule.warmup_steps=9"), "linear", 9),
    ],
)
def test_a_schedule_is_told_as_the_trainer_ran_it(
    tmp_path: Path, settings: tuple[str, ...], shape: str, warmup: int
) -> None:
    found = facts(trained(tmp_path, preset=preset("tiny-cpu", *settings))).recipe
    assert (found.shape, found.warmup_steps) == (shape, warmup)


def test_what_went_wrong_is_told(tmp_path: Path) -> None:
    run = prepared(tmp_path, usd_per_hour=7200.0)
    first: list[Event] = [attempt(), *map(step, range(1, 9)), keep(run, 4), explosion(6, 8), calm(8, 6)]
    record(
        run,
        *first,
        Exit("rolled back", -15, "", 8),
        attempt(number=2, why="rollback", base_step=4, from_step=4, output="attempt-2/output", learning_rate=5e-5),
        Alert("picture", "warning", 6, "1 of 2 pictures have gone bad: pikachu (black)", 6),
        Exit("guard", -15, "the guard stopped it; the last checkpoint is of step 4", 6),
    )
    found = facts(run)
    assert (found.recipe.planned_rate, found.recipe.learning_rate) == (1e-4, 1e-4)
    second = facts(run, "attempt-2/output").recipe
    assert (second.planned_rate, second.learning_rate) == (1e-4, 5e-5)
    assert found.course.hours == pytest.approx(14 / 3600)
    assert found.course.usd == pytest.approx(28.0)
    assert found.course == Course(
        steps=4,
        hours=found.course.hours,
        usd=found.course.usd,
        alerts=(
            Warned("the gradient is up to 30.0 times its usual level since step 6", 8),
            Warned("1 of 2 pictures have gone bad: pikachu (black)", 6),
        ),
        rollbacks=1,
        ended="guard",
        reason="the guard stopped it; the last checkpoint is of step 4",
    )


def test_a_run_that_goes_on_has_not_ended(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    record(run, attempt(), step(1))
    assert (facts(run).course.ended, facts(run).course.reason) == ("", "")


def test_a_run_that_has_not_begun_has_its_planned_rate(tmp_path: Path) -> None:
    found = facts(prepared(tmp_path))
    assert (found.recipe.learning_rate, found.course.steps, found.course.hours) == (1e-4, 0, 0.0)


def test_no_path_of_any_machine_is_among_the_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run was made on a machine of Alice and then copied to here."""
    run = prepared(tmp_path)
    home = "/home/alice/my runs/mine"
    config = run / "config" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_bytes()) | {"output_dir": f"{home}/output"}), "utf-8")
    write_environment(run, hub_dataset="/home/alice/kanji", hub_revision="~/kanji")
    rewritten(run, 'path = ""', 'path = "/home/alice/models/sd3"')
    rewritten(run, 'title = "', f'title = "of {ENVIRONMENT["dataset"]} in {home} ')
    told = f"no {home}/output/a b, {run}/output, {ENVIRONMENT['trainer']}, /opt/x/y.py, ~/.cache or {Path.home()}"
    record(run, attempt(), Alert("cache", "warning", 1, told, 1), Exit("failed", 1, f"OSError: {told}", 1))
    copy = shutil.copytree(run, tmp_path / "copy", symlinks=True)
    for folder, output in ((run, "…/output"), (copy, "…/runs/mine/output")):
        monkeypatch.chdir(folder.parent)
        for path in (folder, Path(folder.name)):
            said = list(texts(dataclasses.asdict(facts(path))))
            assert f"OSError: no …/output/a b, {output}, …, …, … or …" in said
            for private in ("alice", str(Path.home()), str(tmp_path), "/opt", "my runs", "my kanji"):
                assert not [one for one in said if private in one], private
            assert not [one for one in said if re.search(r"(?<![\w…])/", one)]
            assert "of … in … A tiny random SD3 on a CPU, for rehearsals and tests" in said


# Damage


@pytest.mark.parametrize("name", ["run.toml", "launch.json", "environment.json", "config/captions.jsonl"])
@pytest.mark.parametrize("how", ["gone", "folder", "torn", "bytes"])
def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path, name: str, how: str) -> None:
    run = trained(tmp_path)
    path, data = run / name, (run / name).read_bytes()
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how != "gone":
        path.write_bytes(data[:10] if how == "torn" else b"\xff\xfe")
    with pytest.raises(TrainerError, match=f"^{re.escape(str(path))}: "):
        facts(run)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"pictures": "12"},
            "is not understood: pictures must be a whole number, not '12'; copy the run folder anew",
        ),
        ({"packages": []}, "is not understood: packages must be a table"),
        ({"gpus": [7]}, r"is not understood: gpus\[0\] must be a text, not 7"),
    ],
)
def test_an_environment_that_is_not_ours_is_told(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    run = trained(tmp_path)
    write_environment(run, **changes)
    with pytest.raises(TrainerError, match=f"environment.json: {says}"):
        facts(run)


def test_an_environment_without_a_digest_is_told(tmp_path: Path) -> None:
    run = trained(tmp_path)
    table = {name: value for name, value in ENVIRONMENT.items() if name != "digest"}
    (run / "environment.json").write_text(json.dumps(table), "utf-8")
    with pytest.raises(TrainerError, match="environment.json: is not understood: digest is missing"):
        facts(run)


def test_what_a_later_version_adds_to_an_environment_is_passed_over(tmp_path: Path) -> None:
    run = trained(tmp_path)
    before = facts(run)
    write_environment(run, weather="rain")
    assert facts(run) == before


def test_a_flavour_that_is_none_is_told(tmp_path: Path) -> None:
    run = rewritten(trained(tmp_path), 'flavour = "tiny"', 'flavour = "tinny"')
    with pytest.raises(TrainerError, match="run.toml: no flavour 'tinny' of sd3, did you mean 'tiny'"):
        facts(run)


@pytest.mark.parametrize("line", ['{"file_name": "a.png"}', '{"text": 7}'])
def test_a_line_without_a_caption_is_told(tmp_path: Path, line: str) -> None:
    run = trained(tmp_path)
    (run / "config" / "captions.jsonl").write_text(f"{line}\n", "utf-8")
    with pytest.raises(TrainerError, match="captions.jsonl: has a line without a caption; copy the run folder anew"):
        facts(run)


def test_only_the_first_captions_are_read(tmp_path: Path) -> None:
    run = trained(tmp_path)
    with (run / "config" / "captions.jsonl").open("ab") as stream:
        stream.write(b"torn")
    assert len(facts(run).pictures.captions) == 3
