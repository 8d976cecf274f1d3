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
from kanjiprep.publishing.model_facts import Base, Sampling, Training, TrainingData
from kanjiprep.publishing.run_facts import MOST_ALERTS, RunFacts
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
    assert facts(trained(tmp_path)) == RunFacts(
        base=Base("", "the tiny SD3", "sd3", is_copy=False),
        planned_rank=4,
        planned_alpha=4.0,
        data=TrainingData(12, '"kanji" 0', True, "", "", "ab" * 32),
        training=Training(
            step=8,
            total_steps=100,
            epochs=4.0,
            batch=6,
            accumulation=1,
            gpus=1,
            pictures_a_step=6,
            learning_rate=1e-4,
            schedule="polynomial, after a climb over 2 steps",
            optimizer="adamw_bf16",
            clip="by norm, at 0.1",
            resolution_px=256,
            caption_dropout=0.0,
            precision="bf16",
            seed=42,
            trainer="SimpleTuner 4.10.1, kanjiprep 0.1.0",
            gpu="",
            hours=11 / 3600,
        ),
        sampling=Sampling(2, 3.0, 256, 42, ()),
    )


def test_a_large_model_is_told_with_its_repository_and_its_gpus(tmp_path: Path) -> None:
    settings = ("machine.gpus=2", "lora.alpha=64", "training.accumulation=3")
    found = facts(trained(tmp_path, preset=presets.load("sd35-large-lora", settings), on_gpu=True, usd_per_hour=3.6))
    assert found.base == Base("stabilityai/stable-diffusion-3.5-large", "Stable Diffusion 3.5 Large", "sd3")
    assert (found.planned_rank, found.planned_alpha) == (128, 64.0)
    training = found.training
    assert (training.batch, training.accumulation, training.gpus, training.pictures_a_step) == (6, 3, 2, 36)
    assert training.gpu == "2 x NVIDIA A100"
    assert training.usd == pytest.approx(11 / 1000)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], ""),
        (["A", "A", "A"], ""),
        (["A", "A", "A", "A", "B"], "4 x A"),
        (["A", "B", "A", "B"], "2 x A, 2 x B"),
    ],
)
def test_gpus_are_those_of_the_spec_whatever_the_driver_names(tmp_path: Path, names: list[str], told: str) -> None:
    run = trained(tmp_path, preset=presets.load("sd35-large-lora", ("machine.gpus=4",)))
    write_environment(run, gpus=names)
    found = facts(run).training
    assert (found.gpus, found.pictures_a_step, found.gpu) == (4, 48, told)


def test_a_single_gpu_is_told_by_its_name(tmp_path: Path) -> None:
    assert facts(trained(tmp_path, preset=presets.load("sd35-large-lora"))).training.gpu == "NVIDIA A100"


def test_gradients_that_were_not_clipped_are_told_as_such(tmp_path: Path) -> None:
    assert facts(trained(tmp_path, preset=preset("tiny-cpu", "optimizer.clip=off"))).training.clip == "none"


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


def test_a_base_model_that_is_not_its_flavours_own_has_its_own_name(tmp_path: Path) -> None:
    run = rewritten(trained(tmp_path), 'path = ""', 'path = "me/my-sd3.5"')
    assert facts(run).base == Base("me/my-sd3.5", "my-sd3.5", "sd3")


@pytest.mark.parametrize(
    ("path", "is_copy"),
    [("/models/sd3", True), ("stabilityai/stable-diffusion-3.5-large", False), ("", False)],
)
@pytest.mark.parametrize("has_folder", [False, True])
def test_a_copy_of_a_model_is_told_as_one_of_its_flavour(
    tmp_path: Path, path: str, is_copy: bool, has_folder: bool
) -> None:
    run = trained(tmp_path, preset=presets.load("sd35-large-lora"))
    rewritten(run, 'path = ""', f'path = "{path}"')
    if has_folder:
        (run / "stabilityai/stable-diffusion-3.5-large").mkdir(parents=True)
    found, expected = facts(run).base, is_copy or (has_folder and path != "")
    assert (found.repo, found.is_copy) == ("stabilityai/stable-diffusion-3.5-large", expected)


def test_a_dataset_of_the_hub_is_told_with_its_revision(tmp_path: Path) -> None:
    run = trained(tmp_path)
    write_environment(run, hub_dataset="me/kanji", hub_revision="0123456789" * 4)
    assert (facts(run).data.repo_id, facts(run).data.revision) == ("me/kanji", "0123456789" * 4)
    write_environment(run, hub_dataset="/home/alice/kanji", hub_revision="/home/alice", digest="")
    assert facts(run).data == TrainingData(12, '"kanji" 0', True), "of a dataset that was built, and changed"
    write_environment(run, is_built=False, digest="")
    assert facts(run).data == TrainingData(12, '"kanji" 0', False)


@pytest.mark.parametrize(
    ("shape", "warmup", "told"),
    [
        ("cosine", 0, "cosine"),
        ("cosine", 9, "polynomial, after a climb over 9 steps"),
        ("linear", 9, "linear, after a climb over 9 steps"),
    ],
)
def test_a_schedule_is_told_as_the_trainer_ran_it(tmp_path: Path, shape: str, warmup: int, told: str) -> None:
    settings = (f"schedule.shape={shape}", f"schedule.warmup_steps={warmup}")
    assert facts(trained(tmp_path, preset=preset("tiny-cpu", *settings))).training.schedule == told


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
    found = facts(run).training
    assert found.learning_rate == 1e-4
    assert facts(run, "attempt-2/output").training.learning_rate == 5e-5
    assert found.hours == pytest.approx(14 / 3600)
    assert found.usd == pytest.approx(28.0)
    assert found.alerts == (
        "Step 8: the gradient is up to 30.0 times its usual level since step 6",
        "Step 6: 1 of 2 pictures have gone bad: pikachu (black)",
    )
    assert found.rollbacks == 1
    assert found.ended == "not completed, after step 6: the guard stopped it; the last checkpoint is of step 4"


def test_of_many_alerts_the_first_are_told(tmp_path: Path) -> None:
    many = [Alert("picture", "warning", number, "black", number) for number in range(MOST_ALERTS + 3)]
    found = facts(trained(tmp_path, *many)).training.alerts
    assert (len(found), found[-2:]) == (MOST_ALERTS + 1, ("Step 19: black", "And 3 more."))


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ((), "not on record; the last step that is known is 1"),
        ((Exit("completed", 0, "", 100),), ""),
        ((Exit("rolled back", -15, "", 8),), "not completed, after step 8: rolled back"),
        ((Exit("failed", 1, "x" * 600, 8),), f"not completed, after step 8: {'x' * 500} ..."),
    ],
)
def test_how_a_run_ended_is_told_unless_it_took_all_its_steps(
    tmp_path: Path, events: tuple[Event, ...], says: str
) -> None:
    run = prepared(tmp_path)
    record(run, attempt(), step(1), *events)
    assert facts(run).training.ended == says


def test_a_run_that_has_not_begun_has_its_planned_rate(tmp_path: Path) -> None:
    found = facts(prepared(tmp_path)).training
    assert (found.learning_rate, found.hours) == (1e-4, 0.0)


def test_no_path_of_any_machine_is_among_the_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run was made on a machine of Alice and then copied to here."""
    run = prepared(tmp_path)
    home = "/home/alice/my runs/mine"
    config = run / "config" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_bytes()) | {"output_dir": f"{home}/output"}), "utf-8")
    write_environment(run, hub_dataset="/home/alice/kanji", hub_revision="~/kanji")
    rewritten(run, 'path = ""', 'path = "/home/alice/models/sd3"')
    told = f"no {home}/output/a b, {run}/output, {ENVIRONMENT['trainer']}, /opt/x/y.py, ~/.cache or {Path.home()}"
    record(run, attempt(), Alert("cache", "warning", 1, told, 1), Exit("failed", 1, f"OSError: {told}", 1))
    copy = shutil.copytree(run, tmp_path / "copy", symlinks=True)
    for folder, output in ((run, "…/output"), (copy, "…/runs/mine/output")):
        monkeypatch.chdir(folder.parent)
        for path in (folder, Path(folder.name)):
            said = list(texts(dataclasses.asdict(facts(path))))
            why = f"no …/output/a b, {output}, …, …, … or …"
            assert {f"Step 1: {why}", f"not completed, after step 1: OSError: {why}"} <= set(said)
            for private in ("alice", str(Path.home()), str(tmp_path), "/opt", "my runs", "my kanji"):
                assert not [one for one in said if private in one], private
            assert not [one for one in said if re.search(r"(?<![\w…])/", one)]


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
    with pytest.raises(
        TrainerError, match="captions.jsonl: begins with a line without a caption; copy the run folder anew"
    ):
        facts(run)


def test_only_the_first_caption_is_read_and_shown_as_far_as_fits(tmp_path: Path) -> None:
    run = trained(tmp_path)
    path = run / "config" / "captions.jsonl"
    path.write_text(json.dumps({"text": "x" * 600}) + "\ntorn", "utf-8")
    assert facts(run).data.caption == "x" * 500 + " ..."
    path.write_text("", "utf-8")
    assert facts(run).data.caption == ""
