"""``launch-simpletuner --on lambda`` with a Lambda on loopback, and fakes in the place of SkyPilot and the box.

As a program, ``python -m tests.integration.test_cli_renting URL DATASET MOMENT`` rents, and is killed
before its run starts.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest

from kanjiprep import cli
from kanjiprep.cli import talk, there
from kanjiprep.dataset import build as building
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.dataset.raster import Style
from kanjiprep.errors import RemoteError, TrainerError
from kanjiprep.progress import silent
from kanjiprep.training.remote import attending, place, pull, shops
from kanjiprep.training.remote.attending import Attended
from kanjiprep.training.remote.cloud.api import CONSOLE
from kanjiprep.training.remote.returning import Shop
from tests import sources
from tests.conftest import Run
from tests.lambda_cloud import KEY, LAUNCH, TERMINATE, LambdaCloud
from tests.renting_shop import OTHER_REGION, REGION, SSH_KEY, TYPE, Sky, hurried_clock

ROOT = Path(__file__).parents[2]
FOLLOW = there.follow
PRICE = "1.99 USD an hour"
TIME = r"20\d\d-\d\d-\d\d \d\d:\d\d UTC"
TERMS = f"{PRICE}, 4.98 USD at most, until {TIME} at the latest, and what is not here by then is lost"


@dataclass(slots=True)
class Lab:
    """Lambda, a user's folder, and what happens on the box."""

    cloud: LambdaCloud
    sky: Sky
    run: Run
    dataset: Path
    started: list[Any] = field(default_factory=list)

    def launch(self, *more: object) -> tuple[int, str, str]:
        return self.run(*line(self.dataset), *more)

    @property
    def name(self) -> str:
        return re.sub("-0a1b2c3d-head$", "", next(iter(self.cloud.instances.values())).name)

    def billing(self) -> list[str]:
        return [one.name for one in self.cloud.billing()]


def line(dataset: Path) -> list[str]:
    words = ["launch-simpletuner", "sd35-large-lora", "--dataset", str(dataset), "--on", "lambda", "--max-usd", "5"]
    small = ("training.batch=1", "training.accumulation=1")
    return [*words, "--yes", *(word for setting in small for word in ("--set", setting))]


def replace_far_ends(patch: pytest.MonkeyPatch, url: str) -> Sky:
    """Put a SkyPilot that talks to Lambda itself, and a time that hurries, in the place of the real ones."""
    sky = Sky(url)
    clock = hurried_clock(time.time())
    patch.setattr(shops.setup, "find", lambda *_: None)  # type: ignore[attr-defined]
    patch.setattr(shops, "SkyPilot", lambda _: sky)
    patch.setattr(shops, "Shop", partial(Shop, clock=clock, patience_s=120.0))
    return sky


@pytest.fixture(scope="module")
def kanji(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kanji")
    dictionary = sources.write_kanjidic(folder / "kanjidic2.xml.gz")
    strokes = sources.write_kanjivg(folder / "kanji")
    wanted = BuildRequest(folder / "dataset", kanjidic=str(dictionary), kanjivg=str(strokes), style=Style(1024))
    building.build(wanted, Place({}, folder / "cache"), silent)
    return folder / "dataset"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LambdaCloud]:
    monkeypatch.chdir(tmp_path)
    with LambdaCloud() as one:
        one.ssh_keys[SSH_KEY] = {"id": "1", "name": SSH_KEY, "public_key": "ssh-ed25519 AAAA"}
        one.capacity[TYPE] = (REGION, OTHER_REGION)
        settings = {
            "XDG_DATA_HOME": str(tmp_path / "data"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "KANJIPREP_LAMBDA_ENDPOINT": one.url,
            "LAMBDA_API_KEY": KEY,
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield one


@pytest.fixture
def lab(cloud: LambdaCloud, run: Run, kanji: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(cloud, replace_far_ends(monkeypatch, cloud.url), run, kanji)

    def start(*order: Any) -> int:
        made.started.append(order)
        return 1

    monkeypatch.setattr(there, "start", start)
    monkeypatch.setattr(there, "follow", lambda *_: (0, True))
    return made


def raising(error: BaseException) -> Callable[..., Any]:
    def act(*_: object, **__: object) -> None:
        raise error

    return act


def is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it is watched, answered with detach."""
    monkeypatch.setattr(there, "follow", FOLLOW)
    monkeypatch.setattr(attending, "watch", raising(KeyboardInterrupt()))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: "detach")


def test_a_machine_is_rented_for_a_run_and_given_back_at_its_end(lab: Lab) -> None:
    code, out, err = lab.launch()
    assert (code, out, lab.billing()) == (0, "", []), err
    assert len(lab.cloud.asked(LAUNCH)) == 1
    ((attended, job, _),) = lab.started
    assert attended.place == place.Place(
        "ssh://ubuntu@127.0.0.1", "sd35-large-lora", "key", dataset=str(lab.dataset), rental=lab.name
    )
    assert job.until is not None
    said = err.splitlines()
    assert any(one.startswith(f"to rent: {TYPE}, {PRICE} by Lambda's API at ") for one in said)
    assert any(re.fullmatch(f"rented: {lab.name}, {TERMS}", one) for one in said)
    assert said[-2:] == [
        f"giving back {lab.name}; Lambda is asked until it is gone",
        f"gone: Lambda has nothing of {lab.name} any more",
    ]
    assert not Path("runs").exists() or list(Path("runs").iterdir()) == []
    assert lab.run("remote", "ls") == (0, "", "nothing is rented\n")
    assert KEY not in err


def test_the_exit_code_of_the_run_is_that_of_the_command(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(there, "follow", lambda *_: (6, True))
    assert lab.launch()[0] == 6
    assert lab.billing() == []


def test_what_does_not_start_is_given_back_and_the_first_error_is_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(there, "start", raising(TrainerError("it does not start there", "the box")))
    code, out, err = lab.launch()
    assert (code, out, lab.billing()) == (6, "", [])
    assert f"nothing runs on {lab.name}, so it is given back: the box: it does not start there" in err
    assert err.splitlines()[-1] == "error: the box: it does not start there"


def test_what_cannot_be_rented_leaves_nothing_behind(lab: Lab) -> None:
    lab.cloud.full = {REGION, OTHER_REGION}
    code, out, err = lab.launch()
    assert (code, out, lab.billing(), lab.started) == (7, "", [], [])
    assert err.splitlines()[-1].startswith("error: ")
    assert not Path("runs/sd35-large-lora").exists()
    assert lab.run("remote", "ls") == (0, "", "nothing is rented\n")


def test_what_is_left_alone_stays_rented_and_says_for_how_much_until_when(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_left_alone(monkeypatch)
    code, out, err = lab.launch()
    assert (code, out, len(lab.billing())) == (130, "", 1)
    last = err.splitlines()[-1]
    stop = "kanjiprep stop runs/sd35-large-lora ends it sooner"
    assert re.fullmatch(f"{lab.name} stays rented, {TERMS}; {stop}", last), last
    monkeypatch.setattr(Attended, "pull", lambda *_: None)
    code, out, err = lab.launch("--name", "second", "--detach", "--json")
    assert (code, json.loads(out)["attempt"], len(lab.billing())) == (0, 1, 2)
    assert re.search(f"kanjiprep-second-[0-9a-f]{{6}} stays rented, {TERMS}; ", err)


def test_a_watch_that_fails_says_that_it_stays_rented(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(there, "follow", raising(RemoteError("its kanjiprep tells otherwise")))
    code, _, err = lab.launch()
    assert (code, len(lab.billing())) == (7, 1)
    stays, error = err.splitlines()[-2:]
    assert re.match(f"{lab.name} stays rented, {TERMS}", stays)
    assert error == "error: its kanjiprep tells otherwise"


@pytest.mark.parametrize("no_color", [False, True])
def test_an_end_that_is_not_heeded_is_loud(lab: Lab, monkeypatch: pytest.MonkeyPatch, no_color: bool) -> None:
    lab.cloud.fail("lie", TERMINATE, times=10**6)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    if not no_color:
        monkeypatch.setattr(talk, "color", lambda: None)  # as on a terminal with colours, but without a bar
    code, _, err = lab.launch()
    assert (code, len(lab.billing())) == (7, 1)
    last = err.splitlines()[-1]
    assert CONSOLE in last
    assert "may still be running and cost money" in last
    assert ("\x1b[31m" in last, "\x1b" in err) == ((False, False) if no_color else (True, True))
    code, _, err = lab.run("remote", "ls")
    assert code == 7
    assert "not known to be gone" in err
    lab.cloud.faults.clear()
    assert lab.run("remote", "down", lab.name, "--lose-results")[0] == 0
    assert lab.billing() == []


def test_a_second_launch_of_the_same_name_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    is_left_alone(monkeypatch)
    lab.launch()
    code, out, err = lab.launch()
    assert (code, out, len(lab.billing()), len(lab.cloud.asked(LAUNCH))) == (2, "", 1, 1)
    assert "a run of that name is on ssh://ubuntu@127.0.0.1; look at it with kanjiprep monitor" in err
    assert err.startswith(f"still rented: {lab.name} since ")


def test_what_is_rented_is_listed_and_ended_by_hand(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    is_left_alone(monkeypatch)
    lab.launch()
    code, out, _ = lab.run("remote", "ls")
    assert (code, out.split("  ")[:2]) == (0, [lab.name, "active"])
    assert re.search(rf"  {PRICE}  .*  until .* UTC at the latest  .*runs/sd35-large-lora\n", out)
    assert json.loads(lab.run("remote", "ls", "--json")[1])[0]["name"] == lab.name
    monkeypatch.setattr(pull, "is_there", raising(RemoteError("does not answer", "127.0.0.1")))
    code, out, err = lab.run("remote", "down", lab.name)
    assert (code, out, lab.billing()) == (7, "", [f"{lab.name}-0a1b2c3d-head"])
    assert "is kept and goes on costing money" in err
    assert "--lose-results" in err
    code, out, _ = lab.run("remote", "down", lab.name, "--lose-results", "--json")
    assert (code, json.loads(out)["gone"], lab.billing()) == (0, True, [])
    assert lab.run("remote", "ls")[:2] == (0, "")
    assert lab.run("remote", "down", lab.name)[0] == 0


def test_results_are_brought_before_it_is_ended(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    is_left_alone(monkeypatch)
    lab.launch()
    done: list[object] = []
    monkeypatch.setattr(pull, "is_there", lambda *_: True)
    monkeypatch.setattr(Attended, "stop", lambda *_, **how: done.append(how))
    monkeypatch.setattr(Attended, "finish", lambda *_: done.append(lab.billing()))
    assert lab.run("remote", "down", lab.name)[0] == 0
    assert done == [{"with_checkpoint": True}, [f"{lab.name}-0a1b2c3d-head"]]
    assert lab.billing() == []


@pytest.mark.parametrize("moment", ["posted", "start"])
def test_what_a_killed_process_has_rented_is_reminded_of_and_ended(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    words = [sys.executable, "-m", "tests.integration.test_cli_renting", lab.cloud.url, str(lab.dataset), moment]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, check=False, timeout=60, env=environ, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(lab.billing()) == 1
    code, out, err = lab.run("presets", "--json")
    assert (code, bool(json.loads(out))) == (0, True)
    assert err.startswith(f"still rented: {lab.name} since ")
    assert PRICE in err
    code, _, err = lab.launch()
    assert (code, len(lab.billing())) == (2 if moment == "start" else 7, 1)
    refusal = (
        "a run of that name is on ssh://ubuntu@127.0.0.1" if moment == "start" else "is rented for this run already"
    )
    assert refusal in err
    monkeypatch.setattr(pull, "is_there", lambda *_: False)
    code, _, err = lab.run("remote", "down", lab.name)
    assert (code, f"no run was started on {lab.name}" in err) == (0, True)
    assert lab.billing() == []
    assert not Path("runs/sd35-large-lora").exists()
    assert lab.run("presets", "--json")[2] == ""


@pytest.mark.usefixtures("cloud")
def test_a_setup_is_told_without_network_and_needs_a_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run("setup-remote", "--dry-run", "--json")
    assert (code, err, json.loads(out)["is_finished"]) == (0, "", False)
    monkeypatch.delenv("LAMBDA_API_KEY")
    code, out, err = run("setup-remote", "--dry-run", "--json")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "LAMBDA_API_KEY is not set" in err


def main(url: str, dataset: str, moment: str) -> None:
    """Rent, and be killed before anything runs."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    patch = pytest.MonkeyPatch()
    sky = replace_far_ends(patch, url)
    sky.at[moment] = die
    patch.setattr(there, "start", die)
    sys.exit(cli.run(line(Path(dataset))))


if __name__ == "__main__":
    main(*sys.argv[1:])
