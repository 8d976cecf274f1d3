"""From a pushed dataset through a run of the real SimpleTuner to a published adapter that diffusers loads."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep import metadata
from kanjiprep.publishing.model_card import model_card
from kanjiprep.publishing.model_facts import Base
from kanjiprep.training.trainer import Trainer
from tests.hub_accounts import Account
from tests.hub_server import Hub
from tests.test_cards import MODEL, blocks
from tests.trainer.place import SAMPLES, TOKEN, Place, launch

pytestmark = pytest.mark.trainer


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
    (fetched,) = (place.folder / "data/kanjiprep/datasets").glob("me--kanji@*")
    for path in (place.folder / "dataset").iterdir():
        if path.name not in ("README.md", "push.json"):
            assert (fetched / path.name).read_bytes() == path.read_bytes(), path
    assert not any(TOKEN.encode() in path.read_bytes() for path in run.rglob("*") if path.is_file())
    _, err = place.run("launch-simpletuner", "whole", "--resume", code=2)
    assert "is complete" in err
