"""Files and folders as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("build", ""), "OUT"),
        (("build", "--literals", ""), "--literals"),
        (("check", "dataset", "--sheet", " "), "--sheet"),
        (("plan", "sd15-full", "--samples", "10", "--curve", ""), "--curve"),
        (("plan", "sd15-full", "--samples", "10", "--export-diffusers", ""), "--export-diffusers"),
        (("setup-trainer", "--dry-run", "--where", ""), "--where"),
        (("report", "mine", "--out", ""), "--out"),
        (("comfyui", "mine", "--out", ""), "--out"),
        (("generate", "mine", "--prompt", "a dragon", "--out", ""), "--out"),
        (("lora", "a.safetensors", "--fix", "--out", ""), "--out"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(
    arguments: tuple[str, ...], name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, stdout, stderr = run(*arguments)
    assert (code, stdout, stderr) == (2, "", f"error: {name}: is empty; leave it out, or say which\n")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_path_that_is_needed_has_to_be_said(run: Run) -> None:
    assert run("push", "", "me/kanji") == (2, "", "error: DATASET: is empty; say which\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("comfyui", "http://anna:secret@box"),
        ("comfyui", "--check", "http://anna:secret@box"),
        ("comfyui", "mine", "http://anna:secret@box"),
        ("comfyui", "--check", "w.json", "--server", "http://anna:secret@box:x"),
    ],
)
def test_a_password_in_an_address_at_a_wrong_place_is_not_told(arguments: tuple[str, ...], run: Run) -> None:
    code, stdout, stderr = run(*arguments)
    assert code in (2, 3)
    assert stdout == ""
    assert stderr.startswith("error: ")
    assert "secret" not in stderr
