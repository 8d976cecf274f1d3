"""Runs of the real SimpleTuner, launched, watched, stopped, lost and found, by the command line alone."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kanjiprep import metadata
from kanjiprep.publishing.model_card import model_card
from kanjiprep.publishing.model_facts import Base
from kanjiprep.training.running import processes
from kanjiprep.training.trainer import Trainer
from tests.hub_accounts import Account
from tests.hub_server import Hub
from tests.test_cards import MODEL, blocks

pytestmark = pytest.mark.trainer

SAMPLES = 20
PATIENCE_S = 240.0
TOKEN = "hf_thisIsNoTokenButMustNotShow"  # noqa: S105 - it opens nothing


@dataclass(frozen=True)
class Place:
    """A folder with a real dataset, in which commands are run as a user does."""

    folder: Path
    environ: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "kanjiprep", *arguments]
        return subprocess.Popen(
            line, cwd=self.folder, env=self.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, f"{out}\n{err}"
        return out, err

    def see(self, name: str) -> dict[str, Any]:
        seen: dict[str, Any] = json.loads(self.run("monitor", name, "--json")[0])
        return seen

    def wait(self, name: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so(seen := self.see(name)):
            assert time.monotonic() < deadline, seen
            time.sleep(0.5)
        return seen

    def events(self, name: str, kind: str) -> list[dict[str, Any]]:
        lines = (self.folder / "runs" / name / "events.jsonl").read_text("utf-8").splitlines()
        return [one for one in map(json.loads, lines) if one["kind"] == kind]

    def pids(self, name: str) -> list[int]:
        return processes.members(processes.run_id(self.folder / "runs" / name))


def has_stepped(seen: dict[str, Any]) -> bool:
    return bool(seen["progress"]["step"] >= 2)


@pytest.fixture(scope="module")
def place(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("runs")
    environ = {**os.environ, "KANJIPREP_SIMPLETUNER": str(trainer.python), "HF_HUB_OFFLINE": "1", "HF_TOKEN": TOKEN}
    found = Place(folder, environ)
    found.run("build", "--limit", str(SAMPLES), "--size-px", "256")
    yield found
    for run in (folder / "runs").iterdir():
        processes.end(processes.run_id(run), 5.0)


def launch(steps: int, *more: str) -> tuple[str, ...]:
    return ("launch-simpletuner", "tiny-cpu", "--set", f"training.steps={steps}", *more)


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


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("hub"), accounts={TOKEN: Account("me")}) as open_hub:
        yield open_hub


@pytest.fixture(scope="module")
def online(place: Place, hub: Hub) -> Place:
    """The same place, with the Hub on loopback."""
    folders = {f"XDG_{kind}_HOME": str(place.folder / kind.lower()) for kind in ("CACHE", "DATA")}
    environ = {**place.environ, **folders, **hub.environment(place.folder / "hf", TOKEN), "HF_HUB_OFFLINE": "0"}
    return replace(place, environ=environ)


@pytest.fixture(scope="module")
def whole(online: Place) -> tuple[str, str]:
    """What is said of a run in the foreground, on a dataset of the Hub."""
    online.run("push", "dataset", "me/kanji", "--tag", "v1")
    return online.run(*launch(9, "--name", "whole", "--max-hours", "1", "--dataset", "me/kanji@v1"))


PAINT = """
from diffusers import DiffusionPipeline
import numpy, torch

def painted():
    said = {"prompt": "mountains", "num_inference_steps": 2, "width": 64, "height": 64, "output_type": "np"}
    return pipeline(**said, generator=torch.Generator().manual_seed(42)).images[0]

adapted, adapters = painted(), pipeline.get_list_adapters()
pipeline.unload_lora_weights()
print("adapted:", *adapters, float(abs(adapted - painted()).max()))
"""


def test_its_adapter_is_published_and_changes_what_the_code_of_a_card_paints(
    trainer: Trainer, tiny_sd3: Path, online: Place, hub: Hub, whole: tuple[str, str], tmp_path: Path
) -> None:
    assert "status     completed" in whole[0]
    out, _ = online.run("publish", "whole", "me/lora", "--checkpoint", "8", "--tag", "v1", "--json")
    published = json.loads(out)
    repo = hub.repo("model", "me/lora")
    assert (published["status"], published["step"], published["commit"]) == ("pushed", 8, repo.head("v1"))
    assert len(repo.commits("main")) == 2, "that which makes the repository, and one with all files"
    files = repo.files("main")
    card = files["README.md"].decode()
    assert f"revision `{hub.repo('dataset', 'me/kanji').head('v1')}`" in card
    assert {"images/mountains.png", "images/pikachu.png"} < set(files)
    assert not any(TOKEN.encode() in data for data in files.values())
    for name, data in files.items():
        (tmp_path / "lora" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lora" / name).write_bytes(data)

    sampling = replace(MODEL.sampling, size_px=64, steps=2)
    base = Base(str(tiny_sd3), "tiny", "sd3")
    (source,) = blocks(
        model_card(replace(MODEL, repo_id=str(tmp_path / "lora"), base=base, sampling=sampling)), "python"
    )
    words = [str(trainer.python), "-c", source.replace('"cuda"', '"cpu"') + PAINT]
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    name, difference = done.stdout.split("adapted: ")[1].split()
    assert name == "transformer"
    assert float(difference) > 0
    assert (tmp_path / "kanji.png").is_file()


def test_a_run_in_the_foreground_ends_well_with_all_that_was_planned(
    place: Place, hub: Hub, whole: tuple[str, str]
) -> None:
    out, err = whole
    assert "status     completed" in out
    assert "stage: training" in err
    run = place.folder / "runs/whole"
    assert [one["step"] for one in place.events("whole", "step")] == list(range(1, 10))
    assert [one["step"] for one in place.events("whole", "checkpoint")] == [4, 8]
    pictures = {(one["step"], one["prompt"]) for one in place.events("whole", "validation")}
    assert pictures == {(step, prompt) for step in (4, 8) for prompt in ("mountains", "pikachu")}
    exits = place.events("whole", "exit")
    assert [(one["status"], one["code"]) for one in exits] == [("completed", 0)]
    captions = [caption for _, caption in metadata.read_rows(place.folder / "dataset" / metadata.NAME)]
    cached = {path.name for path in (run / "cache/text").glob("*.pt")}
    wanted = {f"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}-sd3.pt" for text in captions}
    assert len(wanted) == SAMPLES
    assert wanted <= cached
    about = json.loads((run / "environment.json").read_text("utf-8"))
    pushed = hub.repo("dataset", "me/kanji").head("v1")
    assert (about["hub_dataset"], about["hub_revision"]) == ("me/kanji", pushed)
    (fetched,) = (place.folder / "data/kanjiprep/datasets").iterdir()
    for path in (place.folder / "dataset").iterdir():
        if path.name not in ("README.md", "push.json"):
            assert (fetched / path.name).read_bytes() == path.read_bytes(), path
    assert not any(TOKEN.encode() in path.read_bytes() for path in run.rglob("*") if path.is_file())
    _, err = place.run("launch-simpletuner", "whole", "--resume", code=2)
    assert "is complete" in err


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
