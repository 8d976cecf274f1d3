"""Workflows that go along with an adapter, made by the exporter itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.progress import silent
from kanjiprep.publishing.choice import Chosen
from kanjiprep.publishing.comfyui.checks.checking import check_file
from kanjiprep.publishing.comfyui.written import export
from kanjiprep.publishing.comfyui.written.export import Request
from kanjiprep.publishing.comfyui.written.order import Order
from kanjiprep.publishing.extras import extras
from kanjiprep.publishing.workflows import Workflows, workflows
from kanjiprep.training import presets
from kanjiprep.training.presets import Preset
from kanjiprep.training.running.attempts import WEIGHTS
from tests import lora_files
from tests.run_folders import trained

LARGE = presets.load("sd35-large-lora")
SMALL = presets.load("sd15-full", ("model.train=lora",))
NAMES = ("comfyui/workflow.json", "comfyui/workflow_api.json")


def made(folder: Path, preset: Preset = LARGE) -> Path:
    run = trained(folder, preset=preset)
    for number in (4, 8):
        weigh(run, number, lora_files.SD3 if preset is LARGE else lora_files.UNET)
    return run


def weigh(run: Path, number: int, modules: tuple[str, ...] = lora_files.SD3, seed: int | None = None) -> None:
    path = run / f"output/checkpoint-{number}" / WEIGHTS
    path.unlink()
    pairs = lora_files.weights(modules, seed=number if seed is None else seed)
    lora_files.write(path, lora_files.named(pairs, "diffusers-peft" if modules is lora_files.SD3 else "kohya"), {})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return made(tmp_path)


def exported(run: Path, step: int) -> Path:
    return export.export(Request(str(run), str(step), Order()), silent).folder


def along(run: Path, step: int) -> Workflows:
    return workflows(run, extras(run), Chosen(step, run / f"output/checkpoint-{step}", "by hand"))


def alone(run: Path, data: bytes, step: int = 8) -> Workflows:
    path = run / "comfyui/mine.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return along(run, step)


@pytest.mark.parametrize("preset", [LARGE, SMALL], ids=["sd3", "sd1x"])
def test_both_forms_name_the_file_of_the_repository_and_load(tmp_path: Path, preset: Preset) -> None:
    run = made(tmp_path, preset)
    there = exported(run, 8)
    before = {name: (run / name).read_bytes() for name in NAMES}
    found = along(run, 8)
    assert (tuple(found.files), found.notes) == (NAMES, ())
    for name, data in found.files.items():
        assert (run / name).read_bytes() == before[name], "the run is only read"
        assert data == before[name].replace(b"mine-step-8.safetensors", WEIGHTS.encode()) != before[name]
        (tmp_path / "sent.json").write_bytes(data)
        checked = check_file(tmp_path / "sent.json")
        assert checked.findings == check_file(run / name).findings
        assert not [one for one in checked.findings if one.severity == "error"]
        assert [node.inputs["lora_name"] for node in checked.workflow.of_kind("LoraLoaderModelOnly")] == [WEIGHTS]
    assert (there / "mine-step-8.safetensors").is_file()


def test_workflows_of_another_step_are_left_out(run: Path) -> None:
    exported(run, 4)
    found = along(run, 8)
    assert found.files == {}
    assert found.notes == tuple(
        f"{name} is left out, since it is made of step 4, and step 8 is published; "
        f"export it again with kanjiprep comfyui {run} --checkpoint 8"
        for name in NAMES
    )
    exported(run, 8)
    assert tuple(along(run, 8).files) == NAMES


def test_workflows_of_a_step_that_was_trained_anew_are_left_out(run: Path) -> None:
    exported(run, 8)
    weigh(run, 8, seed=77)
    found = along(run, 8)
    assert found.files == {}
    assert "since it is made of an earlier file of step 8; export it again" in found.notes[0]


@pytest.mark.parametrize("data", [b"{}", b"no JSON", b"\xff", b"[" * 100_000, b'["other.safetensors", 8, null]'])
def test_what_names_no_lora_of_the_run_is_left_out(run: Path, data: bytes) -> None:
    assert alone(run, data) == Workflows({}, ("comfyui/mine.json is left out, since it names no LoRA of the run",))


@pytest.mark.parametrize(
    "name",
    [
        "mine-step-8.safetensors",
        "mine/mine-step-8.safetensors",
        "mine\\mine-step-8.safetensors",
        "字-step-8.safetensors",
    ],
)
@pytest.mark.parametrize("is_ascii", [True, False])
def test_a_name_is_found_however_it_is_written(run: Path, name: str, is_ascii: bool) -> None:
    document = {"nodes": [{"widgets_values": [name, 1, f"{name} is mine"]}], "text": "龍"}
    text = json.dumps(document, ensure_ascii=is_ascii)
    for data in (text.encode(), text.replace("/", "\\/").encode()):
        found = json.loads(alone(run, data).files["comfyui/mine.json"])
        assert found["nodes"][0]["widgets_values"] == [WEIGHTS, 1, f"{name} is mine"]
        assert found["text"] == "龍"


def test_a_workflow_that_names_the_file_already_goes_as_it_is(run: Path) -> None:
    data = f'{{"lora_name":"{WEIGHTS}"}}'.encode()
    assert alone(run, data).files == {"comfyui/mine.json": data}


def test_a_workflow_with_two_checkpoints_is_left_out(run: Path) -> None:
    found = alone(run, b'["mine-step-8.safetensors", "mine-step-1400.safetensors"]')
    assert "since it is made of step 1,400, and step 8 is published" in found.notes[0]


def test_a_workflow_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="cannot be read: no such file or directory; check its permissions"):
        workflows(tmp_path, [(tmp_path / "a.json", "comfyui/a.json")], Chosen(8, tmp_path, ""))
