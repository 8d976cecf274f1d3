"""The whole way as ``examples/whole_way.sh`` goes it: from the real sources to an adapter that diffusers loads.

Its run is stopped and goes on. It is judged on the way: what a model of random weights paints is no ink on paper.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kanjiprep import metadata
from kanjiprep.cli import door
from kanjiprep.publishing.model_card import model_card
from kanjiprep.publishing.model_facts import Base
from kanjiprep.training.trainer import Trainer
from tests import browser
from tests.hub_accounts import Account
from tests.hub_server import Hub
from tests.test_cards import MODEL, blocks
from tests.trainer.place import SAMPLES, TOKEN, Place

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
def way(online: Place) -> tuple[str, str]:
    """What the script says, on stdout and stderr."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    words, environ = ["sh", str(SCRIPT), "me"], {**online.environ, "PATH": path}
    done = subprocess.run(
        words, cwd=online.folder, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def scored(online: Place, way: tuple[str, str]) -> dict[str, Any]:
    """What is kept of the judged run."""
    assert f"verdict    none: {NOTHING}" in way[0].splitlines()
    kept: dict[str, Any] = json.loads((online.folder / "runs/way/report/scores.json").read_text("utf-8"))
    return kept


@pytest.fixture(scope="module")
def reported(online: Place, scored: dict[str, Any], way: tuple[str, str]) -> Path:
    """The folder with the report of the judged run."""
    assert scored["verdict"]["why"] == NOTHING
    assert f"way: none: {NOTHING}" in way[0].splitlines()
    return online.folder / "runs/way/report"


ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "examples/whole_way.sh"
PATIENCE_S = 600.0
STEPS, EVERY, OTHERS = 100, 20, {"app", "completion", "lora", "presets", "remote", "setup-remote", "setup-trainer"}
VALIDATED = tuple(range(EVERY, STEPS + 1, EVERY))
NOTHING = (
    "none of 5 checkpoints is sound and has scores: 5 were dropped; exploded pictures: 10 of 10 (no ink on paper)"
)
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


def test_the_script_takes_every_command_of_the_way_in_the_order_of_the_help(way: tuple[str, str]) -> None:
    taken = re.findall(r"^\+ kanjiprep ([a-z-]+)", way[1], re.MULTILINE)
    wanted = [name for name in door.commands if name not in OTHERS]
    assert sorted(set(taken), key=taken.index) == [name for name in wanted if name != "monitor"]
    assert "kanjiprep monitor way --once --json" in SCRIPT.read_text("utf-8")
    assert len(SCRIPT.read_text("utf-8").splitlines()) <= 30, "short enough to read aloud"


def test_its_adapter_is_published_and_changes_what_the_code_of_a_card_paints(
    trainer: Trainer, tiny_sd3: Path, online: Place, hub: Hub, way: tuple[str, str], tmp_path: Path
) -> None:
    assert "status     completed" in way[0]
    out, _ = online.run("publish", "way", "me/forty", "--checkpoint", "40", "--tag", "v1", "--json")
    published = json.loads(out)
    repo = hub.repo("model", "me/forty")
    assert (published["status"], published["step"], published["commit"]) == ("pushed", 40, repo.head("v1"))
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


def test_the_run_is_stopped_with_a_checkpoint_and_goes_on_from_it_to_its_end_with_all_that_was_planned(
    place: Place, hub: Hub, way: tuple[str, str]
) -> None:
    out, err = way
    assert "status     completed, attempt 2 (resume)" in out
    assert "stage: training" in err
    found = re.search(
        r"^stopped at step \d+: stopped by request; the last checkpoint is of step (\d+)$", err, re.MULTILINE
    )
    assert found is not None
    stop = int(found[1])
    run = place.folder / "runs/way"
    steps = [one["step"] for one in place.events("way", "step")]
    assert set(steps) == set(range(1, STEPS + 1)), "none is left out, and few are made twice"
    assert steps[steps.index(STEPS) :] == [STEPS]
    made = [one["step"] for one in place.events("way", "checkpoint")]
    assert made == sorted({*VALIDATED, *made})
    assert stop in made
    assert len(made) <= len(VALIDATED) + 1, "one more where it was asked to stop, if none was due there"
    pictures = {(one["step"], one["prompt"]) for one in place.events("way", "validation")}
    assert pictures == {(step, prompt) for step in VALIDATED for prompt in ("mountains", "pikachu")}
    assert [one["status"] for one in place.events("way", "exit")] == ["stopped", "completed"]
    captions = [caption for _, caption in metadata.read_rows(place.folder / "kanji" / metadata.NAME)]
    cached = {path.name for path in (run / "cache/text").glob("*.pt")}
    wanted = {f"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}-sd3.pt" for text in captions}
    assert len(wanted) == SAMPLES
    assert wanted <= cached
    about = json.loads((run / "environment.json").read_text("utf-8"))
    pushed = hub.repo("dataset", "me/kanji").head("v1")
    assert (about["hub_dataset"], about["hub_revision"]) == ("me/kanji", pushed)
    (fetched,) = (place.folder / "data/kanjiprep/datasets").glob("me--kanji@*")
    for path in (place.folder / "kanji").iterdir():
        if path.name not in ("README.md", "push.json"):
            assert (fetched / path.name).read_bytes() == path.read_bytes(), path
    assert not any(TOKEN.encode() in path.read_bytes() for path in run.rglob("*") if path.is_file())
    _, err = place.run("launch-simpletuner", "way", "--resume", code=2)
    assert "is complete" in err


# The same run, judged


def test_the_judge_says_that_noise_is_no_ink_on_paper_and_chooses_nothing(
    online: Place, scored: dict[str, Any]
) -> None:
    verdict = scored["verdict"]
    assert (verdict["status"], verdict["step"], verdict["tied"]) == ("none", None, [])
    pictured = [one for one in scored["checkpoints"] if one["pictures"]]
    assert len(scored["checkpoints"]) <= len(pictured) + 1, "where it was asked to stop nothing was painted"
    assert [(one["step"], one["path"], one["pictures"]) for one in pictured] == [
        (step, f"output/checkpoint-{step}", 2) for step in VALIDATED
    ]
    for one in pictured:
        assert [flag["about"] for flag in one["flags"]] == ["pictures"]
        assert one["score"] < 5
    with (online.folder / "runs/way/report/scores.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [(row["step"], row["chosen"], row["tied"], row["flags"]) for row in rows if row["score"]] == [
        (step, "no", "no", "pictures") for step in map(str, VALIDATED)
    ]


def test_the_pictures_are_judged_without_the_strip_that_the_trainer_draws_below(
    place: Place, scored: dict[str, Any]
) -> None:
    assert [(one["step"], one["prompt"], one["seed"], one["is_base"]) for one in scored["pictures"]] == [
        (step, prompt, 0, False) for step in VALIDATED for prompt in ("mountains", "pikachu")
    ]
    for one in scored["pictures"]:
        assert one["path"] == f"output/validation_images/step_{one['step']}_{one['prompt']}_0_256x256.png"
        with Image.open(place.folder / "runs/way" / one["path"]) as whole:
            assert (whole.width, whole.height > 256) == (256, True)
            below = whole.convert("L").crop((0, 256, 256, 258))
        assert below.getextrema() == (0, 0), "there is a strip, and it is black"
        assert one["box"] == [0, 0, 256, 256]
        assert one["fault"].startswith("no ink on paper: ")


def test_adapters_and_gradient_of_the_trainer_are_read_as_they_are(place: Place, scored: dict[str, Any]) -> None:
    early, *_, late = scored["weights"]
    assert (early["step"], late["step"], early["modules"], late["modules"]) == (EVERY, STEPS, 12, 12)
    assert 0 < early["frobenius"] < late["frobenius"] < 1
    assert 0 < early["spectral"] < late["spectral"] <= late["frobenius"]
    assert late["jump"] > 1
    assert (early["fault"], late["fault"]) == ("", "")
    assert all(one["gradient"] > 0 for one in place.events("way", "step"))
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
    said = re.match(r"Step (\d+): gradient ([^ ]+) · loss ([^ ]+) · learning rate ([^ ]+)", read_out)
    assert said is not None, read_out
    real = [one for one in place.events("way", "step") if one["step"] == int(said[1])][-1]
    found = [real["gradient"], real["loss"], real["learning_rate"]]
    assert list(map(float, said.groups()[1:])) == pytest.approx(found, rel=0.01)
    for words in (
        NOTHING[1:],
        "Completed, 100 of 100 steps",
        "optimizer.learning_rate\t0.0001",
        "training.steps\t100",
    ):
        assert words in text
    assert re.search(r"Trained\tCost\tA step\t.*\n+\d+ (?:s|min)\t–\t0?\d*\.\d+ s\t", text), text


def test_its_checkpoints_paint_and_each_otherwise_than_the_base_model(online: Place, way: tuple[str, str]) -> None:
    assert json.loads(online.run("lora", "way", "--deep", "--json")[0])["rank"] == 4
    few = ("--prompt", "mountains", "--size-px", "64", "--steps", "2", "--every-checkpoint", "--with-base")
    made = json.loads(online.run("generate", "way", *few, "--device", "cpu", "--json")[0])
    checkpoints = sorted({one["step"] for one in online.events("way", "checkpoint")})
    names = [f"{who}_mountains_seed-42.png" for who in ("base", *(f"step-{step}" for step in checkpoints))]
    assert sorted(Path(one).name for one in made["painted"]) == sorted(names)
    pixels = [Image.open(online.folder / "pictures/way" / name).tobytes() for name in names]
    assert len(set(pixels)) == len(names) >= 4


def test_what_the_script_paints_is_there_with_the_base_models_and_a_page(online: Place, way: tuple[str, str]) -> None:
    assert "Next: kanjiprep score pictures/way" in way[1]
    folder = online.folder / "pictures/way"
    assert {f"{who}_pikachu_seed-42.png" for who in ("base", "step-100")} < {path.name for path in folder.iterdir()}
    assert (folder / "grid.png").is_file()


def test_the_workflows_that_the_script_writes_have_nothing_to_find_fault_with(
    online: Place, way: tuple[str, str]
) -> None:
    assert "2 of 2 workflows have nothing to find fault with" in way[1]
    assert (online.folder / "runs/way/comfyui/way-step-100.safetensors").is_file()


def test_what_the_judge_says_goes_along_to_the_hub(
    online: Place, hub: Hub, reported: Path, way: tuple[str, str]
) -> None:
    assert "adapter: step 100 (the last one, since report/scores.csv chooses none), rank 4" in way[1]
    assert "warning: report/scores.csv flags the checkpoint of step 100 for its pictures; look at its" in way[1]
    repo = hub.repo("model", "me/kanji-lora")
    assert repo.head("v1") == repo.head("main")
    files = repo.files("main")
    drawn = {f"{name}.{ending}" for name in ("strip", "grid") for ending in ("png", "json")}
    made = {f"report/{name}" for name in ("report.html", "scores.csv", *drawn)}
    assert {name for name in files if name.startswith("report/")} == made
    for name in made:
        assert files[name] == (online.folder / "runs/way" / name).read_bytes()
    card = files["README.md"].decode()
    assert "Step 100 is published, the last one; the judge chose none. The scores are in report/scores.csv." in card
    assert [line.split(" | ")[0] for line in card.splitlines() if line.endswith("| pictures |")] == [
        f"| {step}" for step in VALIDATED
    ]
    private = [str(online.folder).encode(), str(Path.home()).encode() + b"/", TOKEN.encode()]
    assert not [name for name, data in files.items() if any(word in data for word in private)]
    assert TOKEN not in "".join(way)
