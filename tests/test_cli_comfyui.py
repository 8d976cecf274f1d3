"""The command ``comfyui`` as a user types it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from PIL import Image, PngImagePlugin

from kanjiprep.cli.comfyui import comfyui
from kanjiprep.errors import InputError, KanjiprepError, UsageError
from kanjiprep.progress import Progress
from kanjiprep.publishing.comfyui import nodes
from kanjiprep.publishing.comfyui.graph import Workflow
from kanjiprep.publishing.comfyui.live import server
from kanjiprep.training import presets
from kanjiprep.training.running.attempts import WEIGHTS
from tests import lora_files
from tests.run_folders import explosion, trained

URL = "http://127.0.0.1:8188"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return folder_of(trained(tmp_path, preset=presets.load("sd35-large-lora")))


def folder_of(run: Path) -> Path:
    for number in (4, 8):
        path = run / f"output/checkpoint-{number}" / WEIGHTS
        path.unlink()
        pairs = lora_files.weights(seed=number)
        lora_files.write(path, lora_files.named(pairs, "diffusers-peft"), lora_files.said(r=4, lora_alpha=4))
    return run


def call(*arguments: object) -> Result:
    return CliRunner().invoke(comfyui, [str(one) for one in arguments])


def fails(*arguments: object) -> KanjiprepError:
    error = call(*arguments).exception
    assert isinstance(error, KanjiprepError), error
    return error


def test_a_run_by_its_name_gets_a_workflow(run: Path) -> None:
    told = call("mine")
    assert (told.exit_code, told.stdout) == (0, "")
    assert "LoRA of step 8 (the last one" in told.stderr
    assert "kB, sharing its bytes with what was trained" in told.stderr
    assert "style: plain  (the run's own)" in told.stderr
    assert "cfg: 4.5  (Stability AI's own for this model)" in told.stderr
    assert "tokens of mountains: CLIP-L at most" in told.stderr
    assert "written: runs/mine/comfyui" in told.stderr
    assert "Next: read 'runs/mine/comfyui/READ ME.txt', then drag workflow.json into ComfyUI" in told.stderr
    again = call("mine")
    assert "unchanged: runs/mine/comfyui" in again.stderr
    assert "Next" not in again.stderr


def test_our_own_workflows_have_nothing_to_find_fault_with(run: Path) -> None:
    call("mine", "--strip", "--like-validation", "--prompt", "dragon", "--prompt", "mountains")
    for name in ("workflow.json", "workflow_api.json"):
        told = call("--check", run / "comfyui" / name)
        assert (told.exit_code, told.stdout) == (0, "")
        assert f"runs/mine/comfyui/{name}: " in told.stderr
        assert "nothing to find fault with" in told.stderr
    told = call("--check", run / "comfyui/strip")
    assert "4 of 4 workflows have nothing to find fault with" in told.stderr
    assert json.loads(call("--check", run / "comfyui/strip", "--json").stdout)["errors"] == 0


def test_the_document_has_all_of_it(run: Path) -> None:
    told = call("mine", "--prompt", "dragon", "--style", "ink", "--strip", "--json")
    assert told.stderr == ""
    document = json.loads(told.stdout)
    assert (document["status"], document["lora"], document["step"]) == ("written", "mine-step-8.safetensors", 8)
    assert document["prompts"][0]["text"].startswith("dragon. ")
    assert document["strip"]["workflows"] == ["step-4_dragon", "step-8_dragon"]
    assert document["tokens"]["dragon"][0]["encoder"] == "CLIP-L"
    assert json.loads(call("mine", "--json").stdout)["strip"] is None


def test_a_strip_is_told_with_its_size(run: Path) -> None:
    told = call("mine", "--prompt", "dragon", "--strip").stderr
    assert re.search(r"strip: 2 workflows of 2 checkpoints, 1\d\.\d kB of LoRAs, shared with the run", told)
    for number in (4, 8):
        path = run / f"output/checkpoint-{number}" / WEIGHTS
        path.unlink()
        lora_files.write(
            path, lora_files.named(lora_files.weights(), "diffusers-peft"), lora_files.said(r=4, lora_alpha=2)
        )
    told = call("mine", "--prompt", "dragon", "--strip").stderr
    assert "note: multiplied 6 of 6 second matrices by 0.5" in told
    assert "kB of it copies" in told
    assert "a mended copy" in told


def test_a_plain_copy_is_not_called_mended(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    told = call("mine").stderr
    assert re.search(r"mine-step-8\.safetensors, \d\.\d kB, a copy$", told, re.MULTILINE)


def test_what_speaks_against_a_checkpoint_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder_of(trained(tmp_path, explosion(7, 8), preset=presets.load("sd35-large-lora")))
    assert "warning: the checkpoint of step 8 is within an explosion" in call("mine").stderr


def test_a_subject_beyond_the_window_is_warned_of(run: Path) -> None:
    long = "a very old " * 40 + "dragon"
    told = call("mine", "--prompt", long).stderr
    assert "warning: the subject of a_very_old" in told
    assert "of CLIP, whose window has 77" in told
    assert "say it in fewer words" in told


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), "RUN: nothing to make a workflow for"),
        (("mine", "--server", URL), "--server: is for --check FILE"),
        (("mine", "--run"), "--run: is for --check FILE"),
        (("mine", "--check", "x.json"), "RUN: is for writing a workflow, not for --check"),
        (("--check", "x.json", "--strip"), "--strip: is for writing a workflow"),
        (("--check", "x.json", "--prompt", "a"), "--prompt: is for writing a workflow"),
        (("--check", "x.json", "--run"), "--run: needs a server"),
        (("--check", "x.json", "--out", "y"), "--out: is for the pictures of --run"),
        (("mine", "--guidance", "nan"), "--guidance: is no number"),
        (("mine", "--strength", "nan"), "--strength: is no number; give one such as 0.8"),
        (("mine", "--out", ""), "--out: is empty; leave it out, or say which"),
        (("mine", "--out", "x" * 300), "xxx: cannot be written: file name too long"),
        (("x" * 300,), "xxx: is no run and no file: file name too long; give a run or a LoRA file"),
        (("mine", "--seed", 2**53), "--seed: 9007199254740992 is too large: ComfyUI's window, which is a browser's"),
        (("nothing",), "nothing"),
    ],
)
def test_what_makes_no_sense_is_one_line(run: Path, arguments: tuple[object, ...], what: str) -> None:
    error = fails(*arguments)
    assert isinstance(error, UsageError)
    assert what in str(error)


def test_a_folder_without_workflows_is_no_success(tmp_path: Path) -> None:
    assert "holds no .json file" in str(fails("--check", tmp_path))
    assert isinstance(fails("--check", tmp_path / "none.json"), KanjiprepError)
    assert isinstance(fails("--check", "x" * 5000), KanjiprepError)


def broken(folder: Path, name: str = "workflow_api.json") -> Path:
    """Our own workflow in the shape of issue 5388."""
    path = folder / name
    document = json.loads(path.read_text("utf-8"))
    for node in document.values():
        if node["class_type"] == "CLIPTextEncode":
            node["inputs"]["clip"] = ["1", 1]
    path.write_text(json.dumps(document), "utf-8")
    return path


def test_the_shape_of_issue_5388_is_an_error_with_exit_code_3(run: Path) -> None:
    call("mine")
    path = broken(run / "comfyui")
    told = call("--check", path)
    assert isinstance(told.exception, InputError)
    assert told.exception.exit_code == 3
    assert "workflow_api.json: " in str(told.exception)
    lines = [line for line in told.stdout.splitlines() if line.startswith("error node ")]
    assert lines
    assert "TripleCLIPLoader" in told.stdout
    told = call("--check", path, "--json")
    document = json.loads(told.stdout)
    assert document["errors"] == len(lines)
    assert {one["severity"] for one in document["files"][0]["findings"]} >= {"error"}
    assert isinstance(told.exception, InputError)


class Server:
    """Stands in for a ComfyUI."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queued: list[str] = []
        self.out = Path()
        monkeypatch.setattr(server, "read_nodes", self.read_nodes)
        monkeypatch.setattr(server, "run", self.run)

    def read_nodes(self, url: str) -> Mapping[str, Any]:
        assert url == URL
        return nodes.TABLE

    def run(self, workflows: Mapping[str, Workflow], url: str, out: Path, progress: Progress) -> tuple[Path, ...]:
        assert url == URL
        self.queued, self.out = list(workflows), out
        progress("workflow", len(workflows), len(workflows))
        return tuple(out / f"{name}.png" for name in workflows)


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


def test_a_strip_is_queued_in_the_order_of_steps_and_scored_next(run: Path, live: Server) -> None:
    call("mine", "--strip", "--prompt", "dragon")
    (run / "comfyui/strip/step-4_dragon.json").rename(run / "comfyui/strip/step-12_dragon.json")
    told = call("--check", run / "comfyui/strip", "--server", URL, "--run")
    assert live.queued == ["step-8_dragon", "step-12_dragon"]
    assert live.out == run / "comfyui/strip/pictures"
    assert told.stdout.splitlines() == [
        "runs/mine/comfyui/strip/pictures/step-8_dragon.png",
        "runs/mine/comfyui/strip/pictures/step-12_dragon.png",
    ]
    next_step = "kanjiprep score runs/mine/comfyui/strip/pictures --pattern 'step-{step}_{prompt}.png'"
    assert f"Next: {next_step}" in told.stderr


def test_one_workflow_is_run_into_a_folder_of_ones_choice(run: Path, live: Server, tmp_path: Path) -> None:
    call("mine")
    api = run / "comfyui/workflow_api.json"
    told = call("--check", api, "--server", URL, "--run", "--out", tmp_path / "here", "--json")
    assert json.loads(told.stdout)["pictures"] == [str(tmp_path / "here/workflow_api.png")]
    assert "Next" not in call("--check", api, "--server", URL, "--run").stderr
    assert live.out == run / "comfyui/pictures"


def test_nothing_is_queued_with_an_error_in_one_of_them(run: Path, live: Server) -> None:
    call("mine", "--strip", "--prompt", "dragon")
    broken(run / "comfyui/strip", "step-4_dragon.json")
    told = call("--check", run / "comfyui/strip", "--server", URL, "--run")
    assert "in 2 workflows; mend them as said, nothing was queued" in str(told.exception)
    assert told.stdout.startswith("runs/mine/comfyui/strip/step-4_dragon.json: error node ")
    assert live.queued == []


def test_a_server_alone_is_asked_for_its_nodes(run: Path, live: Server) -> None:
    call("mine")
    assert call("--check", run / "comfyui/workflow_api.json", "--server", URL).exception is None
    assert live.queued == []


def test_the_command_is_of_the_house() -> None:
    assert isinstance(comfyui, click.Command)
    told = call("--help")
    assert told.exit_code == 0
    assert "Examples:" in told.output


def test_what_its_own_check_warns_about_is_said_after_writing(run: Path) -> None:
    order = ("mine", "--strength", 0, "--size-px", 4096)
    told = call(*order)
    assert told.exit_code == 0
    assert "has no effect; set strength_model to 1\n" in told.stderr
    assert re.search(r"^warning node \d+ \(EmptySD3LatentImage\): has 4096 x 4096 px", told.stderr, re.MULTILINE)
    assert {one["rule"] for one in json.loads(call(*order, "--json").stdout)["findings"]} == {"lora-zero", "size"}
    assert "warning node" not in call("mine", "--force").stderr


def test_json_of_something_else_in_a_folder_is_left_out(run: Path) -> None:
    call("mine")
    (run / "comfyui/grid.json").write_text('{"kind": "grid"}')
    told = call("--check", run / "comfyui")
    assert told.exception is None
    assert "warning: runs/mine/comfyui/grid.json: no workflow, left out" in told.stderr
    assert "2 of 2 workflows have nothing to find fault with" in told.stderr
    document = json.loads(call("--check", run / "comfyui", "--json").stdout)
    assert document["left_out"] == [str(run / "comfyui/grid.json")]
    assert "has no class_type" in str(fails("--check", run / "comfyui/grid.json"))


def test_a_folder_of_nothing_but_other_json_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text("[]")
    assert "holds no workflow, and 1 .json file of something else" in str(fails("--check", tmp_path))


def test_pictures_that_were_there_already_are_counted(run: Path, live: Server) -> None:
    call("mine", "--strip", "--prompt", "dragon")
    order = ("--check", run / "comfyui/strip", "--server", URL, "--run")
    assert "there already" not in call(*order).stderr
    pictures = run / "comfyui/strip/pictures"
    pictures.mkdir()
    text = PngImagePlugin.PngInfo()
    text.add_text("prompt", (run / "comfyui/strip/step-4_dragon.json").read_text("utf-8"))
    Image.new("L", (8, 8)).save(pictures / "step-4_dragon.png", pnginfo=text)
    assert "note: 1 of 2 pictures were there already, of the same workflows" in call(*order).stderr


def test_a_broken_file_in_a_folder_is_an_error_and_the_others_are_checked(run: Path, live: Server) -> None:
    call("mine")
    (run / "comfyui/a.json").write_text("{\n,")
    (run / "comfyui/b.json").write_bytes(b"\xff")
    told = call("--check", run / "comfyui", "--server", URL, "--run")
    assert "runs/mine/comfyui/a.json: error: is no JSON: expecting property name" in told.stdout
    assert ", in line 2; give the JSON file that ComfyUI saves" in told.stdout
    assert "runs/mine/comfyui/b.json: error: is no text in UTF-8; give the JSON file" in told.stdout
    assert "2 of 4 workflows have nothing to find fault with" in told.stderr
    assert "2 errors in 4 workflows; mend them as said, nothing was queued" in str(told.exception)
    assert live.queued == []
    (run / "comfyui/b.json").unlink()
    assert "a.json:2: is no JSON" in str(fails("--check", run / "comfyui/a.json"))
