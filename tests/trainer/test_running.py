"""Runs of the real SimpleTuner, launched, watched, stopped, lost and found, by the command line alone."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from tests.trainer.place import PATIENCE_S, Place, has_stepped, launch

pytestmark = pytest.mark.trainer


def test_a_run_is_detached_watched_stopped_and_gone_on_with_to_its_end(place: Place) -> None:
    began = time.monotonic()
    _, err = place.run(*launch(400, "--name", "long", "--detach", "--set", "checkpoints.every_steps=200"))
    assert "Watch it with kanjiprep monitor runs/long, end it with kanjiprep stop runs/long" in err
    assert time.monotonic() - began < PATIENCE_S / 2
    seen = place.wait("long", has_stepped)
    assert (seen["status"], seen["progress"]["total_steps"], seen["made"]["checkpoint"]) == ("running", 400, None)
    assert place.pids("long")
    _, err = place.run("stop", "long")
    assert "stopped by request; the last checkpoint is of step " in err
    assert place.pids("long") == []
    stopped = place.see("long")
    made = stopped["made"]["checkpoint"]
    assert made["step"] < 200, "made because it was asked for"
    assert (place.folder / "runs/long" / made["path"] / ".guard").read_text("utf-8").strip() == "complete"
    assert (stopped["status"], stopped["exit_code"]) == ("stopped", 130)

    config = place.folder / "runs/long/config/config.json"
    shorter = json.loads(config.read_text("utf-8")) | {"max_train_steps": made["step"] + 4}
    config.write_text(json.dumps(shorter), "utf-8")
    order = place.folder / "runs/long/launch.json"
    order.write_text(json.dumps(json.loads(order.read_text("utf-8")) | {"total_steps": made["step"] + 4}), "utf-8")
    place.run("launch-simpletuner", "runs/long", "--resume")
    after = place.see("long")
    assert (after["status"], after["progress"]["step"], after["attempt"]) == ("completed", made["step"] + 4, 2)
    steps = [one["step"] for one in place.events("long", "step")]
    assert steps[-4:] == [made["step"] + further for further in range(1, 5)], "it went on from its checkpoint"


def test_a_supervisor_that_is_killed_is_told_of_and_its_trainer_taken_over_and_a_killed_trainer_too(
    place: Place,
) -> None:
    place.run(*launch(4000, "--name", "lost", "--detach"))
    place.wait("lost", has_stepped)
    state = json.loads((place.folder / "runs/lost/state.json").read_text("utf-8"))
    trainer = place.pids("lost")
    assert state["trainer"]["pid"] in trainer
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    seen = place.wait("lost", lambda one: one["status"] == "unwatched")
    out, _ = place.run("monitor", "lost", "--once")
    assert "the supervisor is gone, and the trainer goes on without it" in out
    assert place.wait("lost", lambda one: one["progress"]["step"] > seen["progress"]["step"]), "it is still seen"

    adopting = place.start("launch-simpletuner", "lost", "--resume")
    place.wait("lost", lambda one: one["status"] == "running")
    assert place.pids("lost") == trainer, "no second trainer was started"
    os.kill(state["trainer"]["pid"], signal.SIGKILL)
    out, _ = adopting.communicate(timeout=PATIENCE_S)
    assert adopting.returncode == 6
    assert "failed" in out
    assert "log        " in out
    assert place.pids("lost") == []


def test_a_trainer_that_is_killed_or_cannot_go_on_is_told_of_with_its_reason_on_one_line(place: Place) -> None:
    going = place.start(*launch(4000, "--name", "killed"))
    run = place.folder / "runs/killed"
    deadline = time.monotonic() + PATIENCE_S
    while not (run / "state.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    place.wait("killed", has_stepped)
    os.kill(json.loads((run / "state.json").read_text("utf-8"))["trainer"]["pid"], signal.SIGKILL)
    out, err = going.communicate(timeout=PATIENCE_S)
    assert going.returncode == 6
    assert "failed: the trainer was ended by SIGKILL" in out
    assert "log        " in out
    assert "mend that, then kanjiprep launch-simpletuner" in err

    (run / "pictures").rename(run / "elsewhere")
    out, _ = place.run("launch-simpletuner", "killed", "--resume", code=6)
    assert "failed, attempt 2 (resume): the dataset folder does not exist: " in out
    (run / "elsewhere").rename(run / "pictures")
    config = run / "config/config.json"
    config.write_text(json.dumps(json.loads(config.read_text("utf-8")) | {"optimizer": "nope"}), "utf-8")
    out, _ = place.run("launch-simpletuner", "killed", "--resume", code=6)
    assert "failed, attempt 3 (resume): Optimizer nope not found." in out


def test_a_run_that_explodes_is_rolled_back_and_finished_by_the_second_attempt(place: Place) -> None:
    wild = (
        "optimizer.learning_rate=1e6",
        "optimizer.clip=off",
        "schedule.warmup_steps=0",
        "checkpoints.every_steps=1",
    )
    tame = ("validation.every_steps=4", "guard.rate_factor=1e-10")
    settings = [word for setting in (*wild, *tame) for word in ("--set", setting)]
    out, err = place.run(*launch(8, "--name", "wild", "--guard", "rollback", *settings))
    assert "status     completed, attempt 2 (rollback)" in out
    assert "error: non-finite at step " in err
    first, second = place.events("wild", "attempt")
    assert (first["base_step"], first["learning_rate"]) == (0, 1e6)
    assert second["learning_rate"] <= 1e6 * 1e-10
    rolled, done = place.events("wild", "exit")
    assert (rolled["status"], done["status"], done["step"]) == ("rolled back", "completed", 8)
    config = json.loads((place.folder / "runs/wild/attempt-2/config/config.json").read_text("utf-8"))
    assert config["max_train_steps"] == 8 - second["base_step"]
    assert second["from_checkpoint"] == f"output/checkpoint-{second['base_step']}"
    assert config["init_lora"].endswith(f"{second['from_checkpoint']}/pytorch_lora_weights.safetensors")
