"""A published adapter, named by its repository where a command takes a LoRA; the Hub is on loopback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kanjiprep.training.running.attempts import WEIGHTS
from tests import lora_files
from tests.conftest import Run
from tests.hub_server import Hub

LARGE = [f"transformer_blocks.{block}.attn.to_q" for block in range(38)]


@pytest.fixture
def commit(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The commit of an adapter of SD3.5 Large; the settings are those of its owner."""
    weights = lora_files.named(lora_files.weights(LARGE, width=2432), "diffusers-peft")
    path = lora_files.write(tmp_path / "x.safetensors", weights)
    monkeypatch.chdir(tmp_path)
    for name, value in hub.environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    hub.create("model", "me/kanji-lora")
    return hub.commit("model", "me/kanji-lora", {WEIGHTS: path.read_bytes(), "README.md": b"# mine\n"})


def test_it_is_examined_and_made_a_workflow_of_and_fetched_once(
    hub: Hub, commit: str, run: Run, tmp_path: Path
) -> None:
    code, out, err = run("lora", "me/kanji-lora", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["rank"] == 4
    hub.clear()
    code, out, err = run("comfyui", f"me/kanji-lora@{commit}", "--json")
    assert (code, err) == (0, "")
    name = json.loads(out)["lora"]
    folder = tmp_path / f"comfyui-me--kanji-lora-{commit[:12]}"
    assert (folder / name).is_file()
    assert name in (folder / "workflow_api.json").read_text("utf-8")
    assert hub.requests == [], "a commit that is here is not asked for"


def test_a_name_that_is_nowhere_is_told_in_a_line(hub: Hub, commit: str, run: Run) -> None:
    for command in ("lora", "comfyui", "generate", "app"):
        code, out, err = run(command, "me/nothing")
        assert (code, out) == (5, "")
        assert err.splitlines()[-1].startswith("error: me/nothing: is neither a folder here nor a model on the Hub")
