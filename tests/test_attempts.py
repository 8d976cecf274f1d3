from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.progress import silent
from kanjiprep.training import configs, curve, presets, run_folder, run_spec, schedule
from kanjiprep.training.configs import Places
from kanjiprep.training.pictures import Dataset, Picture
from kanjiprep.training.presets import Preset
from kanjiprep.training.run_spec import (
    Checkpoints,
    Guard,
    Machine,
    Optimizer,
    RunSpec,
    Schedule,
    Training,
    Validation,
)
from kanjiprep.training.running import attempts, files, holding, processes, starting, supervisor
from kanjiprep.training.running.attempts import Start
from kanjiprep.training.running.events import Alert, Checkpoint, Event, Exit, Why
from kanjiprep.training.running.files import Order
from kanjiprep.training.running.processes import Identity
from kanjiprep.training.running.record import Record
from kanjiprep.training.running.run_state import RunState
from kanjiprep.training.running.supervisor import Supervisor
from kanjiprep.training.running.watch import Process, Watch
from tests.test_events import attempt, moment, step

TINY: Final = presets.load("tiny-cpu", ("training.steps=100", "checkpoints.every_steps=4", "guard.policy=rollback"))
EXPLOSION: Final = Alert("explosion", "error", 9, "the gradient is up to 30 times its usual level", 7)


def order(**changes: Any) -> Order:
    made = Order(
        command=("/env/bin/python", "train.py"),
        environment={"HF_HUB_OFFLINE": "1", "CONFIG_PATH": "/elsewhere"},
        total_steps=100,
        steps_per_epoch=2,
        on_gpu=False,
        trainer="4.10.1",
        guard=Guard(policy="rollback"),
    )
    return replace(made, **changes)


def launched(folder: Path, preset: Preset = TINY, **changes: Any) -> Path:
    """A run folder in which a run was launched that has not begun."""
    run = folder / "runs" / "mine"
    rows = tuple(Picture(f"{number}.png", f'"kanji" {number}', 256, 256) for number in range(12))
    dataset = Dataset(folder, rows)
    steps = schedule.count(preset.spec, {"1.0": len(rows)})
    rendered = configs.render(preset.spec, steps, preset.prompts, Places(run, folder / "models"), preset.templates)
    run_folder.write(run, preset, rendered, dataset, {files.ORDER: files.order_bytes(order(**changes))})
    return run


def record(run: Path, *found: Event) -> RunState:
    """What ``run`` has on record, a second an event."""
    seconds = iter(range(1000))
    written = Record(run, lambda: moment(float(next(seconds))))
    for event in found:
        written.add(event)
    return written.state


def checkpoint(run: Path, path: str, *, is_whole: bool = True) -> Checkpoint:
    """A checkpoint folder; the event is of its number."""
    folder = run / path
    folder.mkdir(parents=True)
    (folder / attempts.WEIGHTS).write_bytes(b"weights")
    if is_whole:
        (folder / ".guard").write_bytes(b"complete")
    return Checkpoint(int(path.rpartition("-")[2]), path, 7)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return launched(tmp_path)


# A lower rate


_SHAPES: Final[tuple[dict[str, Any], ...]] = (
    {"shape": "constant"},
    {"shape": "constant", "warmup_steps": 10},
    {"shape": "linear"},
    {"shape": "linear", "warmup_steps": 10},
    {"shape": "polynomial"},
    {"shape": "polynomial", "warmup_steps": 30, "power": 2.0},
    {"shape": "polynomial", "end_learning_rate": 0.0},
    {"shape": "cosine"},
    {"shape": "cosine", "end_learning_rate": 0.0},
    {"shape": "cosine", "warmup_steps": 10},
    {"shape": "periodic-cosine", "half_period_steps": 7},
    {"shape": "periodic-cosine", "half_period_steps": 40},
    {"shape": "periodic-cosine", "half_period_steps": 500},
)


def planned(spec: RunSpec, total: int) -> list[float]:
    return curve.rates(curve.scheduler_of(spec, total))


def spec_of(shape: Mapping[str, Any], rate: float = 1e-4, gpus: int = 1) -> RunSpec:
    return RunSpec(
        optimizer=Optimizer(learning_rate=rate),
        schedule=Schedule(**shape),
        training=Training(epochs=50),
        checkpoints=Checkpoints(every_epochs=3),
        validation=Validation(prompts={"a": "b"}),
        machine=Machine(gpus=gpus),
    )


@given(
    st.sampled_from(_SHAPES), st.sampled_from([1e-6, 1e-4, 1.05e-3]), st.integers(0, 99),
    st.sampled_from([0.01, 0.25, 0.5, 1.0]), st.sampled_from([1, 2]),
)  # fmt: skip
def test_a_lowered_run_takes_the_steps_that_are_left_at_no_more_than_a_share_of_what_was_planned(
    shape: dict[str, Any], rate: float, base: int, factor: float, gpus: int
) -> None:
    spec = spec_of(shape, rate, gpus)
    assume(not run_spec.contradictions(spec))
    highest = max(planned(spec, 100)[base:])
    lowered = attempts.lowered(spec, base, order(), factor)
    assert run_spec.contradictions(lowered) == ()
    assert (lowered.training.steps, lowered.training.epochs) == (100 - base, None)
    rates = planned(lowered, 100 - base)
    assert len(rates) == 101 - base
    assert max(rates) <= max(factor * highest, attempts.LEAST_RATE) * (1 + 1e-9)
    assert lowered.schedule.end_learning_rate < lowered.optimizer.learning_rate


@pytest.mark.parametrize("shape", _SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
@pytest.mark.parametrize("base", [0, 40, 98, 99])
def test_a_lowered_spec_means_the_same_from_its_file(shape: dict[str, Any], base: int, tmp_path: Path) -> None:
    lowered = attempts.lowered(spec_of(shape), base, order(), 0.5)
    (tmp_path / "run.toml").write_bytes(presets.to_toml(lowered))
    assert presets.load(str(tmp_path)).spec == lowered


def test_a_lowered_run_starts_where_the_planned_one_was_and_ends_lower_too() -> None:
    spec = spec_of({"shape": "polynomial", "end_learning_rate": 1e-5})
    lowered = attempts.lowered(spec, 60, order(), 0.5)
    assert planned(lowered, 40) == pytest.approx([rate / 2 for rate in planned(spec, 100)[60:]])


def test_a_climb_is_kept_of_a_tenth_of_what_is_left_at_most() -> None:
    spec = spec_of({"shape": "constant", "warmup_steps": 8})
    kept = [attempts.lowered(spec, base, order(), 0.5).schedule.warmup_steps for base in (0, 50, 95)]
    assert kept == [8, 5, 0]
    assert attempts.lowered(spec_of({"shape": "constant"}), 0, order(), 0.5).schedule.warmup_steps == 0


def test_a_lowered_run_keeps_its_checkpoints_in_steps_and_all_else_as_it_is() -> None:
    spec = spec_of({"shape": "cosine"})
    lowered = attempts.lowered(spec, 40, order(steps_per_epoch=5), 0.5)
    assert lowered.checkpoints == Checkpoints(every_steps=15)
    same = replace(lowered, optimizer=spec.optimizer, schedule=spec.schedule, training=spec.training)
    assert replace(same, checkpoints=spec.checkpoints) == spec


# The last good checkpoint


def test_the_last_good_checkpoint_is_before_the_trouble_and_still_there(mine: Path) -> None:
    made = [checkpoint(mine, f"output/checkpoint-{number}") for number in (4, 8, 12)]
    state = record(mine, attempt(), *made)
    found = [attempts._last_good(mine, state, before) for before in (4, 5, 8, 9, 13, 99)]
    kept = [(number, f"output/checkpoint-{number}") for number in (4, 8, 12)]
    assert found == [(0, ""), kept[0], kept[0], kept[1], kept[2], kept[2]]
    (mine / "output/checkpoint-8" / attempts.WEIGHTS).unlink()
    shutil.rmtree(mine / "output/checkpoint-12")
    assert attempts._last_good(mine, state, 99) == kept[0]


@pytest.mark.parametrize("later", [[], ["adopt"], ["resume"], ["resume", "adopt"]])
def test_a_checkpoint_that_made_nothing_better_is_passed_over(mine: Path, later: list[Why]) -> None:
    made = [checkpoint(mine, f"output/checkpoint-{number}") for number in (4, 8)]
    back = attempt(
        number=2, why="rollback", base_step=8, from_step=8, output="attempt-2/output", from_checkpoint=made[1].path
    )
    state = record(mine, attempt(), *made, back, *(replace(back, why=why) for why in later))
    assert attempts._last_good(mine, state, 11) == (4, "output/checkpoint-4")


def test_what_a_rolled_back_attempt_has_made_itself_is_good_once_more(mine: Path) -> None:
    made = checkpoint(mine, "output/checkpoint-4")
    back = attempt(
        number=2, why="rollback", base_step=4, from_step=4, output="attempt-2/output", from_checkpoint=made.path
    )
    own = replace(checkpoint(mine, "attempt-2/output/checkpoint-4"), step=8)
    on = replace(back, number=3, why="resume", from_step=8, from_checkpoint=own.path)
    assert attempts._last_good(mine, record(mine, attempt(), made, back, own), 11) == (8, own.path)
    assert attempts._last_good(mine, record(mine, on), 11) == (8, own.path)


# Rolling back


def test_a_rollback_starts_with_the_weights_alone_at_a_lower_rate(mine: Path) -> None:
    state = record(mine, attempt(), checkpoint(mine, "output/checkpoint-40"), step(41))
    start = attempts.rolled_back(mine, state, order(), 41, 2)
    folder = mine / "attempt-2"
    config = json.loads((folder / "config" / "config.json").read_bytes())
    rates = planned(TINY.spec, 100)[40:]
    assert start == Start("rollback", 40, 40, "attempt-2", "output/checkpoint-40", max(rates) / 2)
    assert start.output == "attempt-2/output"
    assert config["init_lora"] == str(mine / "output" / "checkpoint-40" / attempts.WEIGHTS)
    assert config["init_lora_step"] == 0
    assert (config["max_train_steps"], config["learning_rate"]) == (60, start.learning_rate)
    assert (config["output_dir"], config["checkpoint_step_interval"]) == (str(folder / "output"), 4)
    assert config["pretrained_model_name_or_path"] == str(mine.parent.parent / "models" / "tiny-sd3")
    assert presets.load(str(folder)).spec.training.steps == 60
    assert sorted(path.name for path in (folder / "config").iterdir()) == sorted(configs.FILES)
    assert presets.load(str(mine)).spec == TINY.resolved_spec()


def test_a_rollback_before_the_first_checkpoint_begins_anew(mine: Path) -> None:
    start = attempts.rolled_back(mine, record(mine, attempt(), step(1)), order(), 2, 2)
    config = json.loads((mine / "attempt-2" / "config" / "config.json").read_bytes())
    assert (start.base_step, start.from_checkpoint, start.learning_rate) == (0, "", 5e-5)
    assert (config["max_train_steps"], "init_lora" in config) == (100, False)


def test_every_further_rollback_lowers_the_rate_once_more(mine: Path) -> None:
    back = attempt(number=2, why="rollback", output="attempt-2/output")
    state = record(mine, attempt(), back, replace(back, number=3))
    start = attempts.rolled_back(mine, state, order(guard=Guard(rate_factor=0.1)), 2, 4)
    assert start.learning_rate == pytest.approx(1e-4 * 0.1**3)


def test_a_full_fine_tune_cannot_be_rolled_back(tmp_path: Path) -> None:
    run = launched(tmp_path, presets.load("tiny-cpu", ("model.train=full",)))
    with pytest.raises(TrainerError, match=f"{run}: only a LoRA can be rolled back; use the policy stop"):
        attempts.rolled_back(run, record(run, attempt()), order(), 2, 2)


def test_a_rollback_that_cannot_be_written_is_told(mine: Path) -> None:
    (mine / "attempt-2").write_bytes(b"in the way")
    with pytest.raises(TrainerError, match=r"attempt-2/config: cannot be made: not a directory; free some space"):
        attempts.rolled_back(mine, record(mine, attempt()), order(), 2, 2)


# Resuming


@pytest.mark.parametrize("data", [b"torn {", b"[1]"])
def test_a_rollback_of_a_run_whose_config_is_broken_is_told(mine: Path, data: bytes) -> None:
    config = mine / "config" / "config.json"
    config.write_bytes(data)
    with pytest.raises(TrainerError, match=r"config\.json: is not as it was written; launch the run anew"):
        attempts.rolled_back(mine, record(mine, attempt()), order(), 2, 2)


def test_what_cannot_be_moved_aside_is_told(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint(mine, "output/checkpoint-8", is_whole=False)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "checkpoint-8")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(TrainerError, match=r"checkpoint-8: cannot be moved aside: permission denied; check its perm"):
        attempts.resumed(mine, record(mine, attempt()))


def test_a_run_that_never_began_begins(mine: Path) -> None:
    first = Start("start", 0, 0, "", "", 1e-4)
    assert attempts.afresh(mine) == attempts.next_start(mine) == first
    assert first.output == "output"


def test_a_run_whose_record_is_lost_goes_on_from_its_checkpoints(mine: Path) -> None:
    checkpoint(mine, "output/checkpoint-4")
    checkpoint(mine, "output/checkpoint-8", is_whole=False)
    assert attempts.next_start(mine) == Start("resume", 0, 4, "", "output/checkpoint-4", 1e-4)
    assert not (mine / "output/checkpoint-8").exists(), "it was set aside"


def test_a_resumed_run_goes_on_from_its_latest_whole_checkpoint(mine: Path) -> None:
    for number in (4, 12, 8):
        checkpoint(mine, f"output/checkpoint-{number}")
    start = attempts.resumed(mine, record(mine, attempt(learning_rate=3e-4), step(14)))
    assert start == Start("resume", 0, 12, "", "output/checkpoint-12", 3e-4)


def test_a_run_without_a_checkpoint_is_resumed_from_its_beginning(mine: Path) -> None:
    assert attempts.resumed(mine, record(mine, attempt(), step(3))) == Start("resume", 0, 0, "", "", 1e-4)


@pytest.mark.parametrize("has_made", [True, False])
def test_a_rolled_back_run_is_resumed_in_its_own_folder(mine: Path, has_made: bool) -> None:
    back = attempt(
        number=2, why="rollback", base_step=40, from_step=40, output="attempt-2/output", from_checkpoint="output/x"
    )
    checkpoint(mine, "output/checkpoint-80")
    (mine / "attempt-2" / "output").mkdir(parents=True)
    if has_made:
        checkpoint(mine, "attempt-2/output/checkpoint-4")
    start = attempts.resumed(mine, record(mine, attempt(), back))
    from_where = (44, "attempt-2/output/checkpoint-4") if has_made else (40, "output/x")
    assert (start.base_step, start.folder, start.from_step, start.from_checkpoint) == (40, "attempt-2", *from_where)


def test_an_unfinished_checkpoint_is_out_of_the_trainers_way_and_not_lost(mine: Path) -> None:
    checkpoint(mine, "output/checkpoint-4")
    checkpoint(mine, "output/checkpoint-8", is_whole=False)
    assert attempts.resumed(mine, record(mine, attempt())).from_step == 4
    checkpoint(mine, "output/checkpoint-8", is_whole=False)
    assert attempts.resumed(mine, record(mine, attempt())).from_step == 4
    names = sorted(path.name for path in (mine / "output").iterdir())
    assert names[0] == "checkpoint-4"
    assert [name.startswith("unfinished-checkpoint-8-") for name in names[1:]] == [True, True]


def test_pictures_that_will_be_painted_again_are_out_of_the_way(mine: Path) -> None:
    checkpoint(mine, "output/checkpoint-4")
    painted = mine / "output" / "validation_images"
    painted.mkdir()
    for name in ("step_4_a_0_8x8.png", "step_6_a_0_8x8.png", "step_16_two_words_0_8x8.png", "notes.txt"):
        (painted / name).write_bytes(name.encode())
    attempts.resumed(mine, record(mine, attempt(), step(18)))
    assert sorted(path.name for path in painted.glob("step_*")) == ["step_4_a_0_8x8.png"]
    assert (painted / "notes.txt").exists()
    aside = sorted(path.read_text("ascii") for path in painted.glob("undone-*"))
    assert aside == ["step_16_two_words_0_8x8.png", "step_6_a_0_8x8.png"]


def test_the_pictures_of_a_rolled_back_attempt_are_of_its_own_count(mine: Path) -> None:
    back = attempt(number=2, why="rollback", base_step=40, from_step=40, output="attempt-2/output")
    checkpoint(mine, "attempt-2/output/checkpoint-4")
    painted = mine / "attempt-2" / "output" / "validation_images"
    painted.mkdir()
    for number in (4, 8):
        (painted / f"step_{number}_a_0_8x8.png").touch()
    attempts.resumed(mine, record(mine, attempt(), back))
    assert [path.name for path in painted.glob("step_*")] == ["step_4_a_0_8x8.png"]


# What comes next


@pytest.mark.parametrize("told", [[Exit("stopped", -15, "", 5)], []], ids=["stopped", "crashed"])
def test_a_run_that_is_resumed_goes_on(mine: Path, told: list[Event]) -> None:
    checkpoint(mine, "output/checkpoint-4")
    record(mine, attempt(), step(5), *told)
    start = attempts.next_start(mine)
    assert start is not None
    assert (start.why, start.from_step) == ("resume", 4)


@pytest.mark.parametrize(
    ("way", "exit_"),
    [
        ("rollback", Exit("guard", -15, "", 9)),
        ("resume", Exit("rolled back", -15, "", 9)),
        ("start", Exit("rolled back", -15, "", 9)),
    ],
)
def test_a_run_that_is_to_go_back_goes_back_before_its_trouble(tmp_path: Path, way: str, exit_: Exit) -> None:
    run = launched(tmp_path, way=way)
    made = [checkpoint(run, f"output/checkpoint-{number}") for number in (4, 8)]
    record(run, attempt(), *made, step(9), EXPLOSION, exit_)
    start = attempts.next_start(run)
    assert start is not None
    assert (start.why, start.from_step, start.folder) == ("rollback", 4, "attempt-2")


def test_a_run_that_was_done_while_nobody_watched_needs_no_start(mine: Path) -> None:
    (mine / "output").mkdir()
    (mine / "output" / "training_metrics.json").write_text('{"status": "completed", "last_step": 100}', "utf-8")
    record(mine, attempt(), step(9))
    assert attempts.next_start(mine) is None


def test_what_comes_next_cannot_be_told_without_an_order(mine: Path) -> None:
    (mine / files.ORDER).write_bytes(b"{")
    with pytest.raises(TrainerError, match="launch.json: is not understood"):
        attempts.next_start(mine)


# The order for another start


def again(run: Path, **changes: Any) -> Order:
    starting.order_again(run, changes)
    return files.read_order(run)


def test_a_run_goes_on_with_other_limits(mine: Path) -> None:
    record(mine, attempt(), Exit("stopped", -15, "", 5))
    found = again(mine, policy="warn", max_hours=3.0)
    assert found == order(guard=Guard(policy="warn", max_hours=3.0), way="resume")


@pytest.mark.parametrize(
    ("policy", "alert", "status", "way"),
    [
        ("rollback", EXPLOSION, "guard", "rollback"),
        ("rollback", EXPLOSION, "failed", "rollback"),
        ("stop", EXPLOSION, "guard", "resume"),
        ("rollback", EXPLOSION, "stopped", "resume"),
        ("rollback", replace(EXPLOSION, severity="note"), "failed", "resume"),
        ("rollback", Alert("stall", "error", 9, "", 9), "guard", "resume"),
    ],
)
def test_only_trouble_of_the_weights_is_gone_back_before(
    mine: Path, policy: Any, alert: Alert, status: Any, way: str
) -> None:
    record(mine, attempt(), alert, Exit(status, -15, "", 9))
    assert again(mine, policy=policy).way == way


def test_the_trouble_of_an_earlier_attempt_is_not_gone_back_before_again(mine: Path) -> None:
    record(mine, attempt(), EXPLOSION, Exit("rolled back", -15, "", 9), attempt(number=2, why="rollback"),
           step(50), Exit("failed", 1, "CUDA out of memory", 50))  # fmt: skip
    assert again(mine).way == "resume"


@pytest.mark.parametrize(
    ("status", "changes", "says"),
    [
        ("completed", {}, "mine: is complete; launch a new run under another --name"),
        (
            "limit",
            {"max_hours": 1 / 3600},
            "mine: 0.000556 of at most 0.000277778 hours are used; raise --max-hours or",
        ),
        ("stopped", {"max_usd": 5.0}, "mine: has no price; limit the hours with --max-hours"),
    ],
)
def test_a_run_that_cannot_go_on_is_refused(mine: Path, status: Any, changes: dict[str, Any], says: str) -> None:
    record(mine, attempt(), step(1), Exit(status, 0, "", 1))
    with pytest.raises(UsageError, match=says):
        again(mine, **changes)
    assert files.read_order(mine) == order()


def test_a_run_that_was_moved_does_not_go_on_elsewhere(mine: Path) -> None:
    moved = mine.with_name("other")
    mine.rename(moved)
    with pytest.raises(UsageError, match=f"{moved}: its files are for {mine}/output; move it back, or launch a new"):
        again(moved)
    (moved / "config" / "config.json").write_bytes(b"{}")
    with pytest.raises(UsageError, match=f"{moved}: its config cannot be read; launch a new run under another"):
        again(moved)


def test_a_run_that_is_watched_is_not_begun_again(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "_PAUSE_S", 0.0)
    held = holding.take(mine)
    assert held is not None
    for begin in (
        lambda: starting.order_again(mine, {}),
        lambda: starting.start(mine),
        lambda: supervisor.hold(mine),
    ):
        with pytest.raises(TrainerError, match=f"{mine}: a supervisor watches this run already; attach with"):
            begin()
    held.release()
    supervisor.hold(mine).release()


def test_a_folder_that_is_gone_cannot_be_held(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="gone: cannot be used: no such file or directory; check its permissions"):
        holding.take(tmp_path / "gone")
    assert not holding.is_held(tmp_path / "gone")


def test_a_supervisor_that_does_not_listen_is_told_with_its_number(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "_SILENCE_S", -1.0)
    files.write_pulse(mine, files.Pulse("running", 1, Identity(4242, 1, ""), None, moment()))
    held = holding.take(mine)
    assert held is not None
    with pytest.raises(TrainerError, match="its supervisor does not listen; end it with kill -9 4242, then stop"):
        starting.stop(mine, silent, with_checkpoint=False)
    assert files.take_stop(mine) is False
    held.release()


def test_nothing_is_stopped_where_nothing_runs(mine: Path) -> None:
    assert starting.stop(mine, silent, with_checkpoint=True) is None
    record(mine, attempt(), step(1))
    assert starting.stop(mine, silent, with_checkpoint=True) is None
    assert not holding.is_held(mine)


def test_what_could_not_be_ended_is_told_with_its_numbers(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "members", lambda _: [7, 8])
    monkeypatch.setattr(processes, "end", lambda *_: [7, 8])
    with pytest.raises(TrainerError, match=f"{mine}: processes 7, 8 could not be ended; try kill -9 7, 8"):
        starting.stop(mine, silent, with_checkpoint=True)


class Fake:
    """A supervisor's process that has left with a code, or has not."""

    pid = 4242

    def __init__(self, code: int | None) -> None:
        self._code = code

    def poll(self) -> int | None:
        return self._code


@pytest.mark.parametrize(
    ("code", "said", "says"),
    [
        (6, "\nno room\n\n", "^{run}: no room$"),
        (6, "{run}: no room\n", "^{run}: no room$"),
        (1, "", "^{run}: its supervisor ended at once$"),
        (None, "anything\n", "^{run}: its supervisor gives no sign of life; look into supervisor.log there$"),
    ],
)
def test_a_supervisor_that_does_not_come_to_life_is_told_with_its_last_words(
    mine: Path, monkeypatch: pytest.MonkeyPatch, code: int | None, said: str, says: str
) -> None:
    log = mine / files.SUPERVISOR_LOG
    log.write_text("of an earlier one\n", "utf-8")
    files.write_pulse(mine, files.Pulse("running", 1, Identity(1, 1, ""), None, moment()))

    def spawn(run: Path) -> Fake:
        log.write_text(f"{log.read_text('utf-8')}{said.format(run=run)}", "utf-8")
        return Fake(code)

    monkeypatch.setattr(starting, "_spawn", spawn)
    monkeypatch.setattr(starting, "_PATIENCE_S", 60.0 if code is not None else 0.0)
    with pytest.raises(TrainerError, match=says.format(run=mine)):
        starting.start(mine)


def test_a_supervisor_that_has_begun_is_told_with_its_sign_of_life(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    its = Identity(Fake.pid, 1, "")
    monkeypatch.setattr(starting, "_spawn", lambda _: Fake(None))
    monkeypatch.setattr(processes, "identify", lambda _: its)
    pulse = files.Pulse("running", 1, its, None, moment())
    files.write_pulse(mine, pulse)
    assert starting.start(mine) == pulse


def test_what_cannot_be_started_is_told(mine: Path) -> None:
    for name in (files.SUPERVISOR_LOG, files.LOG):
        (mine / name).mkdir()
    with pytest.raises(TrainerError, match=f"{mine}: its supervisor cannot be started: is a directory; check its"):
        starting.start(mine)
    with pytest.raises(TrainerError, match="/env/bin/python: cannot be started: is a directory; run kanjiprep setup"):
        attempts.begin(mine, order(), attempts.afresh(mine), 1)


def test_a_disk_without_locks_is_told(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(TrainerError, match="its disk knows no locks: function not implemented; keep runs on a local"):
        holding.take(mine)
    (mine / holding.LOCK).touch()
    assert not holding.is_held(mine)


def test_a_rehearsal_makes_room_and_nothing_else_does(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starting.clear_rehearsal(mine)
    assert mine.is_dir()
    notes = starting.rehearsal_notes({"changes": ["亜"]})
    for name, data in notes.items():
        (mine / name).write_bytes(data)
    monkeypatch.setattr(holding, "_PAUSE_S", 0.0)
    held = holding.take(mine)
    assert held is not None
    with pytest.raises(UsageError, match=f"{mine}: a rehearsal goes on here; stop it with kanjiprep stop"):
        starting.clear_rehearsal(mine)
    held.release()
    with monkeypatch.context() as refusing:
        refusing.setattr(shutil, "rmtree", _refuse)
        with pytest.raises(UsageError, match=f"{mine}: cannot be removed: permission denied; remove it yourself"):
            starting.clear_rehearsal(mine)
    starting.clear_rehearsal(mine)
    assert not mine.exists()


def _refuse(_: Path) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_run_without_an_attempt_has_none_to_take_over(mine: Path) -> None:
    exit_ = Supervisor(mine, poll_s=0.0).run(None)
    assert exit_.status == "failed"
    assert exit_.reason == f"{mine}: no attempt is on record; launch the run anew under another --name"
    assert Record(mine).state.exit == exit_
    pulse = files.read_pulse(mine)
    assert pulse is not None
    assert pulse.status == "over"


def test_an_attempt_is_watched_after_it_has_begun(mine: Path) -> None:
    with pytest.raises(ValueError, match="an attempt is watched after it has begun"):
        Watch(mine, order(), Record(mine), Process(Identity(4242, 1, ""), None))


# The trainer's environment


def environment(run: Path, ours: Mapping[str, str], folder: str = "", **changes: Any) -> dict[str, str]:
    return attempts.environment(run, order(**changes), replace(attempts.afresh(run), folder=folder), ours)


def test_the_trainer_gets_our_variables_but_those_that_mislead_it_or_are_secret(mine: Path) -> None:
    ours = {"PATH": "/bin", "HF_TOKEN": "hf_x", "LAMBDA_API_KEY": "secret", "ENV": "other", "SIMPLETUNER_ENV": "x"}
    found = environment(mine, ours)
    assert (found["PATH"], found["HF_TOKEN"], found["HF_HUB_OFFLINE"]) == ("/bin", "hf_x", "1")
    assert not {"LAMBDA_API_KEY", "ENV", "SIMPLETUNER_ENV"} & set(found)
    assert "secret" not in found.values()


@pytest.mark.parametrize(("folder", "config"), [("", "config"), ("attempt-2", "attempt-2/config")])
def test_the_trainer_is_told_its_config_its_run_and_where_it_is_asked(mine: Path, folder: str, config: str) -> None:
    found = environment(mine, {"KANJIPREP_RUN": "another"}, folder)
    assert found["CONFIG_PATH"] == str(mine / config)
    status = mine.stat()
    assert found["KANJIPREP_RUN"] == f"{status.st_dev:x}.{status.st_ino:x}"
    assert found["SIMPLETUNER_ACCELERATE_SIGNAL_FILE"] == str(mine / "signal.json")


def test_what_the_order_says_goes_before_our_variables(mine: Path) -> None:
    assert environment(mine, {"HF_HUB_OFFLINE": "0"})["HF_HUB_OFFLINE"] == "1"
