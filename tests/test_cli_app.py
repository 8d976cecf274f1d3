from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.publishing.page import serve
from kanjiprep.publishing.page.serve import Serving
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import devices
from kanjiprep.training.running.attempts import WEIGHTS
from tests import painted_run, painting_models, run_folders
from tests.conftest import Run


def trained(folder: Path) -> Path:
    """A run with LoRAs whose base model is there, too."""
    painting_models.base(folder / "models/tiny-sd3")
    run = run_folders.trained(folder)
    for step in (4, 8):
        painting_models.lora(run / "output" / f"checkpoint-{step}" / WEIGHTS, step)
    return run


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> list[Serving]:
    """What was to be served; nothing is."""
    found: list[Serving] = []

    def noted(serving: Serving, folder: Path, say: Any) -> None:
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
        assert folder.is_dir()
        found.append(serving)

    monkeypatch.setattr(serve, "serve", noted)
    monkeypatch.setattr(serve, "refuse_without_extra", lambda: None)
    here = bases.here
    monkeypatch.setattr(bases, "here", lambda base: None if base.startswith("owner/") else here(base))
    for name in ("GRADIO_ANALYTICS_ENABLED", "GRADIO_TEMP_DIR", "HF_HUB_DISABLE_TELEMETRY", "NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "as before")
    return found


def test_a_run_is_served_with_all_that_was_asked_for(run: Run, served: list[Serving], tmp_path: Path) -> None:
    folder = trained(tmp_path)
    assert run("app", folder, "--port", 8000, "--share", "--open") == (0, "", "")
    (serving,) = served
    assert serving.offer.run == folder
    assert (serving.port, serving.share) == (8000, True)
    assert serving.opened is not None


def test_nothing_is_opened_or_shared_unless_asked(run: Run, served: list[Serving], tmp_path: Path) -> None:
    code, _, err = run("app", trained(tmp_path), "--base", "owner/far", "--device", "cpu")
    assert code == 0
    assert err == "note: owner/far is not on this machine, and is fetched for the first picture\n"
    assert (served[0].port, served[0].share, served[0].opened) == (7860, False, None)
    assert not Path(os.environ["GRADIO_TEMP_DIR"]).exists()


def test_the_training_pictures_can_be_given(run: Run, served: list[Serving], tmp_path: Path) -> None:
    folder = painted_run.small(tmp_path, painted_run.Painting(checkpoints=1, every_steps=1, prompts=("a",)))
    painting_models.lora(folder / "output" / "checkpoint-1" / WEIGHTS)
    assert run("app", folder, "--base", "owner/model", "--dataset", tmp_path)[0] == 0
    assert served


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing"], 2, "give the file of a LoRA"),
        ([], 2, "Missing argument 'RUN|LORA'"),
        (["RUN", "--port", "80"], 2, "80 is not in the range"),
        (["RUN", "--device", "tpu"], 2, "'tpu' is not one of"),
        (["RUN", "--dataset", "nowhere"], 4, "nowhere"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    run: Run, served: list[Serving], tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    folder = str(trained(tmp_path))
    found, _, err = run("app", *(folder if one == "RUN" else one for one in arguments))
    assert found == code
    assert said in err
    assert err.count("\n") == 1
    assert not served


def test_a_browser_that_cannot_be_opened_is_said(
    run: Run, served: list[Serving], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda *_: False)
    run("app", trained(tmp_path), "--open")
    assert served[0].opened is not None
    served[0].opened("http://127.0.0.1:7860/")
    assert capsys.readouterr().err == "no browser can be opened from here; open the address yourself\n"


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["--device", "cuda"], 2, "torch finds no cuda device here"),
        (["--device", "cpu", "--offload", "model"], 2, "model is for an NVIDIA GPU, and the device is cpu"),
        (["--base", "sd1x"], 2, "belongs to sd3 tiny, and sd1x is sd1x"),
        (["--base", ""], 2, "--base: is empty"),
        (["--dataset", ""], 2, "--dataset: is empty"),
    ],
)
def test_what_could_never_paint_is_refused_before_it_is_served(
    run: Run,
    served: list[Serving],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "read_machine", lambda: devices.Machine(ram_free_bytes=2**40))
    painting_models.base(tmp_path / "sd1x", painting_models.SD1X)
    found, _, err = run("app", trained(tmp_path), *more)
    assert (found, err.count("\n")) == (code, 1)
    assert told in err
    assert not served


def test_a_run_of_unfit_checkpoints_is_refused_and_one_of_some_is_served(
    run: Run, served: list[Serving], tmp_path: Path
) -> None:
    folder = trained(tmp_path)
    (folder / "output/checkpoint-4" / WEIGHTS).write_bytes(b"weights")
    code, _, err = run("app", folder)
    assert code == 0
    assert err.startswith("warning: ")
    assert "checkpoint-4" in err
    assert len(served) == 1
    (folder / "output/checkpoint-8" / WEIGHTS).write_bytes(b"weights")
    assert run("app", folder)[0] == 6
    assert len(served) == 1
