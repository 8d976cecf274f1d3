from __future__ import annotations

import errno
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kanjiprep import cli
from kanjiprep.cli import talk
from kanjiprep.dataset import build as building
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.errors import KanjiprepError
from kanjiprep.progress import silent
from tests.conftest import Run


class Full(io.StringIO):
    """A stream with no room, and with a descriptor if it is given one."""

    def __init__(self, descriptor: int | None = None) -> None:
        super().__init__()
        self.descriptor = descriptor

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fileno(self) -> int:
        return super().fileno() if self.descriptor is None else self.descriptor


@pytest.fixture(params=["full", "closed"])
def unheard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full() if request.param == "full" else None)


@pytest.mark.usefixtures("unheard")
def test_the_work_goes_on_where_nobody_hears_of_it() -> None:
    talk.say("something")
    with talk.progress() as listener:
        listener("draw", 1, 1)
    talk.let_go()
    assert cli.run(["presets"]) == 0
    assert cli.run(["presets", "gone"]) == 2


def test_what_could_not_be_said_is_not_tried_again_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "log").open("w") as file:
        monkeypatch.setattr(sys, "stderr", Full(file.fileno()))
        talk.let_go()
        file.write("more")
    assert (tmp_path / "log").read_text() == ""


@pytest.mark.parametrize("arguments", [["presets"], ["presets", "tiny-cpu"], ["presets", "--json"]])
def test_data_that_nobody_can_get_is_no_success(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    code, _, err = run(*arguments)
    assert (code, err) == (1, "error: the output is closed; leave it open, or send it to a file\n")


def test_a_full_output_is_not_passed_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    code, _, err = run("presets", "--json")
    assert (code, err) == (1, "error: the output: no space left on device\n")


def test_what_prints_no_data_needs_no_output(
    run: Run, request_of: Callable[..., BuildRequest], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of()
    building.build(request, place, silent)
    monkeypatch.setattr(sys, "stdout", None)
    assert run("check", request.out, "--workers", 1)[0] in (0, 4)
    assert request.out.with_name(f"{request.out.name}-sheet.png").is_file()
    with pytest.raises(KanjiprepError, match="the output is closed"):
        talk.print_json({})


@pytest.mark.parametrize(
    "arguments",
    [("report", "gone"), ("generate", "gone", "--prompt", "a"), ("comfyui", "gone"), ("lora", "gone", "--fix")],
)
def test_nothing_is_written_into_a_dataset(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d").mkdir()
    Path("d/metadata.csv").touch()
    for out, where in (("d", "is the dataset itself"), ("d/x.safetensors", "is inside the dataset")):
        code, printed, err = run(*arguments, "--out", out)
        said = f"error: {tmp_path / out}: --out {where}, which it would make unfit; put it elsewhere\n"
        assert (code, printed, err) == (2, "", said)
