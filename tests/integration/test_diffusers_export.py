"""The real ``datasets`` reads an export in the way of diffusers' script; sh and ruff take what was rendered."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kanjiprep import metadata
from kanjiprep.dataset import build as building
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.progress import silent
from kanjiprep.publishing.first_attempt import export, script
from kanjiprep.training import gpus, pictures, plan, presets
from kanjiprep.training.configs import Places
from kanjiprep.training.machines import Market

LOAD = """
import hashlib, json, os, sys
from datasets import load_dataset
rows = load_dataset("imagefolder", data_files={"train": os.path.join(sys.argv[1], "**")})["train"]
rgb = [one["image"].convert("RGB") for one in rows]
print(json.dumps({
    "columns": rows.column_names, "text": rows["text"][:],
    "modes": sorted({one["image"].mode for one in rows}), "sizes": sorted({one.size for one in rgb}),
    "names": [os.path.basename(one["image"].filename) for one in rows],
    "grey": [one.split()[0].tobytes() == one.split()[1].tobytes() == one.split()[2].tobytes() for one in rgb],
    "sha256": [hashlib.sha256(one.split()[0].tobytes()).hexdigest() for one in rgb],
}))
"""
FAKE_PYTHON = """#!/bin/sh
printf '%s\\n' "$@"
"""


@pytest.fixture
def exported(place: Place, request_of: Callable[..., BuildRequest], tmp_path: Path) -> Path:
    template = tmp_path / "odd.j2"
    template.write_text('Kanji "{{ literal }}", strokes: {{ stroke_count }}.', "utf-8")
    source = building.build(request_of(caption=str(template)), place, silent).folder
    found, whole = presets.load("sd15-full"), pictures.read(source, silent)
    made = plan.plan(found, whole, Places(tmp_path / "run", tmp_path / "tiny"), Market(gpus.load()))
    return export.export(found, whole, made, tmp_path / "attempt1", silent).folder


def test_the_datasets_library_keeps_order_captions_and_grey_pictures(exported: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, "train"],
        capture_output=True, text=True, env=environ, cwd=exported, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    rows = metadata.read_rows(tmp_path / "dataset" / metadata.NAME)
    assert len(rows) == 3
    assert said["columns"] == ["image", "text"], "and no label, nor anything of README.md or build.json"
    assert list(zip(said["names"], said["text"], strict=True)) == list(rows)
    assert (said["modes"], said["sizes"], said["grey"]) == (["L"], [[64, 64]], [True] * 3)
    assert said["sha256"] == [grey(tmp_path / "dataset" / name) for name, _ in rows]


def grey(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as picture:
        return hashlib.sha256(picture.tobytes()).hexdigest()


def run_train(folder: Path, tmp_path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """train.sh with a python3 that only says its arguments, and no way to fetch anything."""
    fakes = tmp_path / "bin"
    fakes.mkdir(exist_ok=True)
    for name, text in (("python3", FAKE_PYTHON), ("curl", "#!/bin/sh\nexit 22\n")):
        (fakes / name).write_text(text)
        (fakes / name).chmod(0o755)
    environ = {"PATH": f"{fakes}:/usr/bin:/bin", **more}
    command = ["/bin/sh", str(folder / "train.sh")]
    return subprocess.run(command, capture_output=True, text=True, env=environ, cwd="/", check=False)


def with_script(folder: Path) -> None:
    """A stand-in for the script, and its digest in train.sh."""
    (folder / script.NAME).write_text("pass\n")
    shell = folder / "train.sh"
    stands_in = hashlib.sha256(b"pass\n").hexdigest()
    shell.write_text(shell.read_text("utf-8").replace(script.SHA256, stands_in), "utf-8")


def test_the_shell_hands_every_word_over_as_it_was_meant(exported: Path, tmp_path: Path) -> None:
    with_script(exported)
    done = run_train(exported, tmp_path, MODEL="my model", OUTPUT_DIR="my out")
    assert (done.returncode, done.stderr) == (0, "")
    words = done.stdout.splitlines()
    assert words[:7] == [
        script.NAME, "--pretrained_model_name_or_path", "my model", "--train_data_dir", "train",
        "--output_dir", "my out",
    ]  # fmt: skip
    prompts = list(presets.load("sd15-full").prompts.by_name.values())
    start = words.index("--validation_prompts") + 1
    assert words[start : start + len(prompts)] == prompts


def test_the_shell_stops_at_another_script_and_at_none(exported: Path, tmp_path: Path) -> None:
    missing = run_train(exported, tmp_path)
    assert (missing.returncode, missing.stdout) == (22, "")
    (exported / script.NAME).write_text("something else\n")
    other = run_train(exported, tmp_path)
    assert (other.returncode, other.stdout) == (1, "")
    assert "is not the one that this command line is for" in other.stderr


def test_the_shell_stops_in_a_folder_whose_name_is_a_pattern(exported: Path, tmp_path: Path) -> None:
    with_script(exported)
    for name in ("a [b]", "a*", "a?", "{a,b}"):
        moved = exported.rename(tmp_path / name)
        done = run_train(moved, tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "train.sh: move this folder to a path without any of [ ] { } * ?\n"
        exported = moved.rename(tmp_path / "plain")
    assert run_train(exported, tmp_path).returncode == 0


def test_ruff_takes_the_modal_script_as_it_is(exported: Path) -> None:
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--isolated"], ["format", "--isolated", "--check", "--line-length", "118"]):
        done = subprocess.run(
            [*ruff, *command, "--no-cache", str(exported / "modal_app.py")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
