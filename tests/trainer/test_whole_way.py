"""From a pushed dataset through a run of the real SimpleTuner to a published adapter that diffusers loads.

The run is judged on the way: what a model of random weights paints is no ink on paper, and the judge says so.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kanjiprep import metadata
from kanjiprep.publishing.model_card import model_card
from kanjiprep.publishing.model_facts import Base
from kanjiprep.training.trainer import Trainer
from tests import browser
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


@pytest.fixture(scope="module")
def scored(online: Place, whole: tuple[str, str]) -> dict[str, Any]:
    """What is kept of the judged run."""
    assert "Next: judge its checkpoints with kanjiprep score " in whole[1]
    out, err = online.run("score", "whole", "--weights", "all")
    assert out.splitlines()[-1] == f"verdict    none: {NOTHING}"
    assert "Next: kanjiprep report runs/whole" in err
    kept: dict[str, Any] = json.loads((online.folder / "runs/whole/report/scores.json").read_text("utf-8"))
    return kept


@pytest.fixture(scope="module")
def reported(online: Place, scored: dict[str, Any]) -> Path:
    """The folder with the report of the judged run."""
    assert scored["verdict"]["why"] == NOTHING
    out, _ = online.run("report", "whole", "--weights", "all")
    assert out == f"whole: none: {NOTHING}\n"
    return online.folder / "runs/whole/report"


NOTHING = "none of 2 checkpoints is sound and has scores: 2 were dropped; exploded pictures: 4 of 4 (no ink on paper)"
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


# The same run, judged


def test_the_judge_says_that_noise_is_no_ink_on_paper_and_chooses_nothing(
    online: Place, scored: dict[str, Any]
) -> None:
    verdict = scored["verdict"]
    assert (verdict["status"], verdict["step"], verdict["tied"]) == ("none", None, [])
    assert [(one["step"], one["path"], one["pictures"]) for one in scored["checkpoints"]] == [
        (step, f"output/checkpoint-{step}", 2) for step in (4, 8)
    ]
    for one in scored["checkpoints"]:
        assert [flag["about"] for flag in one["flags"]] == ["pictures"]
        assert one["score"] < 5
    with (online.folder / "runs/whole/report/scores.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [(row["step"], row["chosen"], row["tied"], row["flags"]) for row in rows] == [
        (step, "no", "no", "pictures") for step in ("4", "8")
    ]


def test_the_pictures_are_judged_without_the_strip_that_the_trainer_draws_below(
    place: Place, scored: dict[str, Any]
) -> None:
    assert [(one["step"], one["prompt"], one["seed"], one["is_base"]) for one in scored["pictures"]] == [
        (step, prompt, 0, False) for step in (4, 8) for prompt in ("mountains", "pikachu")
    ]
    for one in scored["pictures"]:
        assert one["path"] == f"output/validation_images/step_{one['step']}_{one['prompt']}_0_256x256.png"
        with Image.open(place.folder / "runs/whole" / one["path"]) as whole:
            assert (whole.width, whole.height > 256) == (256, True)
            below = whole.convert("L").crop((0, 256, 256, 258))
        assert below.getextrema() == (0, 0), "there is a strip, and it is black"
        assert one["box"] == [0, 0, 256, 256]
        assert one["fault"].startswith("no ink on paper: ")


def test_adapters_and_gradient_of_the_trainer_are_read_as_they_are(place: Place, scored: dict[str, Any]) -> None:
    early, late = scored["weights"]
    assert (early["step"], late["step"], early["modules"], late["modules"]) == (4, 8, 12, 12)
    assert 0 < early["frobenius"] < late["frobenius"] < 1
    assert 0 < early["spectral"] < late["spectral"] <= late["frobenius"]
    assert late["jump"] > 1
    assert (early["fault"], late["fault"]) == ("", "")
    assert all(one["gradient"] > 0 for one in place.events("whole", "step"))
    assert scored["phases"] == [], "a gradient in which nothing happens is no explosion"


@pytest.mark.skipif(browser.installed() is None, reason="no Chromium is installed")
def test_its_report_opens_in_a_browser_with_its_curves_its_time_and_its_settings(
    place: Place, reported: Path, tmp_path: Path
) -> None:
    with browser.tab(browser.installed() or "", tmp_path) as tab:
        tab.open((reported / "report.html").as_uri())
        tab.value("document.querySelector('.curves .scroll').focus()")
        tab.press("ArrowRight")
        read_out = tab.value("document.querySelector('.readout').textContent")
        tab.value("[...document.querySelectorAll('details')].forEach((one) => { one.open = true })")
        text = tab.value("document.body.innerText")
        loaded = tab.value("[...document.images].filter((one) => one.src).map((one) => one.naturalWidth)")
        assert tab.value("document.documentElement.dataset.script") == "ran"
        assert (tab.errors, tab.asked) == ([], [])
    assert len(loaded) >= 4
    assert 0 not in loaded
    said = re.match(r"Step (\d): gradient ([^ ]+) · loss ([^ ]+) · learning rate ([^ ]+)", read_out)
    assert said is not None, read_out
    (real,) = [one for one in place.events("whole", "step") if one["step"] == int(said[1])]
    found = [real["gradient"], real["loss"], real["learning_rate"]]
    assert list(map(float, said.groups()[1:])) == pytest.approx(found, rel=0.01)
    for words in (NOTHING[1:], "Completed, 9 of 9 steps", "optimizer.learning_rate\t0.0001", "training.steps\t9"):
        assert words in text
    assert re.search(r"Trained\tCost\tA step\t.*\n+\d+ (?:s|min)\t–\t0?\d*\.\d+ s\t", text), text


def test_its_checkpoints_paint_and_each_otherwise_than_the_base_model(online: Place, whole: tuple[str, str]) -> None:
    assert json.loads(online.run("lora", "whole", "--deep", "--json")[0])["rank"] == 4
    few = ("--prompt", "mountains", "--size-px", "64", "--steps", "2", "--every-checkpoint", "--with-base")
    made = json.loads(online.run("generate", "whole", *few, "--device", "cpu", "--json")[0])
    names = [f"{who}_mountains_seed-42.png" for who in ("base", "step-4", "step-8")]
    assert sorted(Path(one).name for one in made["painted"]) == names
    pixels = [Image.open(online.folder / "pictures/whole" / name).tobytes() for name in names]
    assert len(set(pixels)) == 3


def test_what_the_judge_says_goes_along_to_the_hub(online: Place, hub: Hub, reported: Path) -> None:
    _, err = online.run("publish", "whole", "me/judged")
    assert "adapter: step 8 (the last one, since report/scores.csv chooses none), rank 4" in err
    assert "warning: report/scores.csv flags the checkpoint of step 8 for its pictures; look at its" in err
    files = hub.repo("model", "me/judged").files("main")
    drawn = {f"{name}.{ending}" for name in ("strip", "grid") for ending in ("png", "json")}
    made = {f"report/{name}" for name in ("report.html", "scores.csv", *drawn)}
    assert {name for name in files if name.startswith("report/")} == made
    for name in made:
        assert files[name] == (online.folder / "runs/whole" / name).read_bytes()
    card = files["README.md"].decode()
    assert "Step 8 is published, the last one; the judge chose none. The scores are in report/scores.csv." in card
    assert [line.split(" | ")[0] for line in card.splitlines() if line.endswith("| pictures |")] == ["| 4", "| 8"]
    private = [str(online.folder).encode(), str(Path.home()).encode() + b"/", TOKEN.encode()]
    assert not [name for name, data in files.items() if any(word in data for word in private)]
