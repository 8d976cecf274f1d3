from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, Final

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.training import setup_plan, setup_trainer
from kanjiprep.training.setup_plan import LOCK, Host, SetupPlan, SetupRequest

WHERE: Final = Path("/home/me/simpletuner")
PYTHON: Final = Path("/usr/bin/python3.12")
BARE: Final = Host(driver=None, free_gib=100.0, python=PYTHON)
MODERN: Final = dataclasses.replace(BARE, driver="580.105.08")


def plan(host: Host, accelerator: Any = "auto") -> SetupPlan:
    return setup_plan.plan_setup(SetupRequest(WHERE, accelerator), host)


@pytest.mark.parametrize(
    ("host", "accelerator", "extra"),
    [(BARE, "auto", "cpu"), (BARE, "cpu", "cpu"), (MODERN, "auto", "cuda13"), (MODERN, "cuda", "cuda13"),
     (MODERN, "cpu", "cpu")],
)  # fmt: skip
def test_what_is_installed_follows_the_machine_and_the_wish(host: Host, accelerator: str, extra: str) -> None:
    assert plan(host, accelerator).extra == extra


@pytest.mark.parametrize("accelerator", ["auto", "cuda"])
def test_an_old_driver_is_told_before_anything_is_downloaded(accelerator: str) -> None:
    says = "the NVIDIA driver is 535.183.01, and CUDA 13.0 needs 580 or newer; update the driver, or ask for the CPU"
    with pytest.raises(TrainerError, match=says):
        plan(dataclasses.replace(BARE, driver="535.183.01"), accelerator)
    assert plan(dataclasses.replace(BARE, driver="535.183.01"), "cpu").extra == "cpu"


def test_cuda_without_a_driver_is_told() -> None:
    with pytest.raises(TrainerError, match="no NVIDIA driver answers here"):
        plan(BARE, "cuda")


def test_a_full_disk_is_told_with_both_numbers() -> None:
    with pytest.raises(TrainerError, match=r"8\.\d GiB are needed and 3\.0 GiB are free; free some space"):
        plan(dataclasses.replace(BARE, free_gib=3.0))
    assert not plan(dataclasses.replace(BARE, free_gib=3.0, standing="unfinished")).is_new


def test_a_folder_of_others_is_told() -> None:
    with pytest.raises(TrainerError, match="/home/me/simpletuner: is in the way and not ours"):
        plan(dataclasses.replace(BARE, standing="foreign"))


@pytest.mark.parametrize(("has", "wish", "is_finished"), [
    ("cpu", "cpu", True), ("cuda13", "cuda", True), ("cuda13", "cpu", True), ("cpu", "cuda", False),
])  # fmt: skip
def test_a_finished_environment_is_kept_if_it_serves(has: Any, wish: str, is_finished: bool) -> None:
    agreed = plan(dataclasses.replace(MODERN, standing="finished", extra=has), wish)
    assert agreed.is_finished is is_finished


def test_the_plan_says_what_is_downloaded_and_how_big_it_is() -> None:
    first, second, third = plan(BARE).steps
    assert first == f"make {WHERE} with {PYTHON}"
    assert re.search(r"download about 3\.\d GiB, install SimpleTuner 4\.10\.1 \[cpu\], about 6\.\d GiB", second)
    assert third == "try whether it can be loaded"
    assert plan(dataclasses.replace(BARE, python=None)).steps[0].endswith("with a downloaded Python 3.12")
    done = plan(dataclasses.replace(BARE, standing="finished", extra="cpu"))
    assert done.steps == (f"nothing: SimpleTuner 4.10.1 [cpu] is ready in {WHERE}",)


def test_uv_is_asked_for_an_installed_python_or_fetches_one() -> None:
    line = setup_trainer.venv_line("uv", plan(BARE))
    assert line[line.index("--python") + 1] == str(PYTHON)
    assert "--managed-python" not in line
    line = setup_trainer.venv_line("uv", plan(dataclasses.replace(BARE, python=None)))
    assert line[line.index("--python") + 1] == "3.12"
    assert "--managed-python" in line


def test_uv_installs_into_that_environment_under_our_lock() -> None:
    line = setup_trainer.install_line("uv", plan(MODERN))
    assert line[line.index("--python") + 1] == str(WHERE / "bin" / "python")
    assert line[line.index("--constraints") + 1] == str(LOCK)
    assert line[-1] == "simpletuner[cuda13]==4.10.1"


def test_the_lock_pins_every_package_once_and_names_no_host() -> None:
    lines = [line for line in LOCK.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[A-Za-z0-9.+]+", line) for line in lines)
    names = [line.partition("==")[0] for line in lines]
    assert len(names) == len(set(names))
    assert {"simpletuner==4.10.1", "transformers==5.20.1", "torch==2.13.0", "bitsandbytes==0.50.2"} <= set(lines)


def test_a_missing_uv_is_told(tmp_path: Path) -> None:
    def find_uv() -> str:
        raise FileNotFoundError

    with pytest.raises(TrainerError, match="uv was not found; install kanjiprep with its dependencies"):
        setup_trainer.plan(SetupRequest(tmp_path / "env"), {}, find_uv)
