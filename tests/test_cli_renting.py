"""Commands on what is rented, with Lambda and SkyPilot in memory."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import platformdirs
import pytest

from kanjiprep.cli import renting as commands
from kanjiprep.cli import talk, there
from kanjiprep.errors import Interrupted, RemoteError, TrainerError, UsageError
from kanjiprep.training import presets
from kanjiprep.training.provenance import Figure
from kanjiprep.training.remote import place, pull, renting, shops
from kanjiprep.training.remote.cloud import ledger
from kanjiprep.training.remote.cloud.api import CONSOLE, Instance
from kanjiprep.training.remote.cloud.asking import Clock
from kanjiprep.training.remote.cloud.gone import StillThere
from kanjiprep.training.remote.hearing import Hurried
from kanjiprep.training.remote.place import Place
from kanjiprep.training.remote.renting import Rented
from kanjiprep.training.remote.returning import Shop, StillBilling
from kanjiprep.training.remote.sky import setup
from kanjiprep.training.remote.sky.answers import Launched, Login
from kanjiprep.training.remote.sky.child import Engine
from kanjiprep.training.remote.sky.task import Task
from kanjiprep.training.remote.ssh.refusal import Unreachable
from tests.conftest import Run
from tests.renting_shop import REGION, TYPE, offer

ADDRESS = "ssh://ubuntu@198.51.100.2"
DOWN = RemoteError("Lambda is busy or broken (HTTP 500)", "the instances at Lambda")


@dataclass(slots=True)
class Desk:
    """Lambda and SkyPilot in memory; time passes when somebody waits."""

    there: dict[str, Instance] = field(default_factory=dict)
    passed_s: float = 0.0
    is_broken: bool = False
    ends: bool = True
    while_ending: Callable[[], object] = lambda: None
    run: Path = Path("runs/try")

    @property
    def shop(self) -> Shop:
        start = datetime.now(UTC)
        clock = Clock(lambda: start + timedelta(seconds=self.passed_s), lambda: self.passed_s, self._pass)
        return Shop(self, self, ledger.default_folder(), clock)

    @property
    def name(self) -> str:
        return renting.name_of(self.shop, self.run)

    def rent(self) -> Rented:
        """A machine for a run that has begun on it, and left something here."""
        rented = renting.rent(self.shop, offer(), self.run, print)
        place.write(self.run, Place(ADDRESS, "try", rental=self.name))
        (self.run / "trainer.log").write_text("it goes on\n")
        return rented

    def _pass(self, seconds: float) -> None:
        self.passed_s += seconds

    def instances(self) -> tuple[Instance, ...]:
        if self.is_broken:
            raise DOWN
        return tuple(self.there.values())

    def instance(self, instance_id: str) -> Instance | None:
        return self.there.get(instance_id)

    def terminate(self, ids: Iterable[str]) -> tuple[str, ...]:
        self.while_ending()
        wanted = tuple(ids)
        for one in wanted if self.ends else ():
            del self.there[one]
        return wanted

    def launch(self, task: Task) -> Launched:
        self.there["id1"] = Instance("id1", task.name, "active", "198.51.100.2", REGION, TYPE, 1.99)
        return Launched(task.name, (Login("ubuntu", "198.51.100.2", Path("key")),), REGION, ("id1",), 1.99)

    def arm(self, name: str) -> None:
        """It gives itself back."""

    def cut_off(self, name: str) -> bool:
        return False

    def down(self, name: str) -> bool:
        return False


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user is, with data of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("KANJIPREP_REMOTE_HOME", raising=False)
    return tmp_path


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    found = Desk()

    def open_shop(_environ: object, *, to_rent: bool) -> Shop:
        return found.shop

    monkeypatch.setattr(shops, "open_shop", open_shop)
    return found


@dataclass(slots=True)
class Far:
    """A run on a box, to be stopped and brought here."""

    problem: Exception | None = None
    is_there: bool = True
    done: list[str] = field(default_factory=list)
    far: object = None

    def stop(self, _progress: object, *, with_checkpoint: bool) -> None:
        assert with_checkpoint
        self.done.append("stopped")

    def finish(self, _progress: object) -> None:
        if self.problem is not None:
            raise self.problem
        self.done.append("brought here")


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Far:
    found = Far()
    monkeypatch.setattr(there, "attended", lambda *_: found)
    monkeypatch.setattr(there, "hurried", lambda one: one)
    monkeypatch.setattr(pull, "is_there", lambda *_: found.is_there)
    return found


def job(desk: Desk, hours: float | None = 1.0, gpu: str = "a100-40gb-sxm") -> Any:
    total = None if hours is None else Figure(hours, hours, hours, "h", "computed", "a test")
    duration = None if total is None else SimpleNamespace(total=total)
    return SimpleNamespace(
        preset=presets.load("sd35-large-lora", (f"machine.gpu={gpu}",)),
        planned=SimpleNamespace(costs=SimpleNamespace(duration=duration)),
        dataset=SimpleNamespace(folder=Path("dataset")),
        name="try",
        run=desk.run,
        allow_arm=False,
    )


def raising(error: BaseException) -> Callable[..., Any]:
    def act(*_: object, **__: object) -> None:
        raise error

    return act


def tty(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    """A terminal where somebody answers."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    give = raising(answer) if isinstance(answer, BaseException) else lambda *_, **__: answer
    monkeypatch.setattr(click, "confirm", give)


# what is asked before anything costs money


def test_nothing_is_rented_for_a_cpu(desk: Desk) -> None:
    with pytest.raises(UsageError, match="machine.gpu: is cpu, and nothing is rented for that"):
        commands._offer(desk.shop, job(desk, gpu="cpu"))


def test_an_account_without_prices_is_no_offer(desk: Desk) -> None:
    with pytest.raises(UsageError, match="Lambda: is no account that has prices; set LAMBDA_API_KEY"):
        commands._offer(desk.shop, job(desk))


def test_a_run_that_is_elsewhere_already_is_not_launched_once_more(desk: Desk) -> None:
    commands._refuse_elsewhere(desk.run, "one")
    place.write(desk.run, Place("", "try", rental="one"))
    commands._refuse_elsewhere(desk.run, "one")
    with pytest.raises(UsageError, match="a run of that name is on what is rented as one; give the new run"):
        commands._refuse_elsewhere(desk.run, "another")
    place.write(desk.run, Place(ADDRESS, "try", rental="one"))
    with pytest.raises(UsageError, match=f"a run of that name is on {ADDRESS}; look at it with kanjiprep monitor"):
        commands._refuse_elsewhere(desk.run, "one")


@pytest.fixture
def _switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shops, "switch_problem", lambda _: "")


@pytest.mark.usefixtures("_switch")
def test_with_yes_the_price_is_said_and_nobody_is_asked(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    commands._confirm(job(desk), offer(), True)
    out, err = capsys.readouterr()
    assert out == ""
    first, kept, plan = err.splitlines()
    assert first.startswith(f"to rent: {TYPE}, 1.99 USD an hour by Lambda's API at ")
    assert "at most 10 h: 19.90 USD; there is one in" in first
    assert kept == (
        "it is given back when its run is over and brought here; until it is brought it is kept, "
        "for up to 12 h if nothing here watches it then, within that limit"
    )
    assert plan == "the run is planned to take 1.00 h"


@pytest.mark.usefixtures("_switch")
def test_without_a_terminal_nothing_is_rented_without_yes(desk: Desk) -> None:
    with pytest.raises(UsageError, match="--yes: nothing is rented without your word; give it, or run this on a"):
        commands._confirm(job(desk), offer(), False)


@pytest.mark.usefixtures("_switch")
def test_on_a_terminal_one_is_asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    tty(monkeypatch, True)
    commands._confirm(job(desk, None), offer(), False)
    tty(monkeypatch, False)
    with pytest.raises(UsageError, match="^nothing was rented: you said no$"):
        commands._confirm(job(desk, None), offer(), False)
    tty(monkeypatch, click.Abort())
    with pytest.raises(Interrupted, match="^nothing was rented$"):
        commands._confirm(job(desk, None), offer(), False)


def test_what_may_go_wrong_is_said_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shops, "switch_problem", lambda _: "the host is gone")
    commands._confirm(job(desk, 12), offer(), True)
    _, _, switch, plan, late = capsys.readouterr().err.splitlines()
    assert switch == ("warning: the machine may not be able to give itself back if this one is off: the host is gone")
    assert plan == "the run is planned to take 12.0 h"
    assert late == "warning: it will be stopped after 10 h, probably before its end"


# the note of a rental in the run folder


def test_a_note_is_forgotten_and_what_was_made_stays(desk: Desk) -> None:
    place.write(desk.run, Place("", "try", rental="one"))
    commands._forget(desk.run, "one")
    assert not desk.run.exists()
    commands._forget(desk.run, "one")
    place.write(desk.run, Place(ADDRESS, "try", rental="one"))
    (desk.run / "trainer.log").touch()
    commands._forget(desk.run, "one")
    assert [one.name for one in desk.run.iterdir()] == ["trainer.log"]


@pytest.mark.parametrize("note", ["another", "torn"])
def test_a_note_that_is_not_of_this_rental_stays(desk: Desk, note: str) -> None:
    place.write(desk.run, Place(ADDRESS, "try", rental="" if note == "another" else "one"))
    if note == "torn":
        (desk.run / place.FILE).write_text("{")
    before = (desk.run / place.FILE).read_bytes()
    commands._forget(desk.run, "one")
    assert (desk.run / place.FILE).read_bytes() == before


def test_if_nothing_came_of_a_rental_there_is_no_note_of_it(desk: Desk) -> None:
    place.write(desk.run, Place("", "try", rental=desk.name))
    with pytest.raises(KeyError), commands._forgotten_if_nothing_came(desk.run, desk.shop, desk.name):
        raise KeyError
    assert not desk.run.exists()


@pytest.mark.parametrize("is_readable", [True, False])
def test_if_something_may_be_left_the_note_of_it_stays(desk: Desk, is_readable: bool) -> None:
    desk.rent()
    if not is_readable:
        path = ledger.default_folder() / ledger.FILE
        path.unlink()
        path.mkdir()
    with pytest.raises(KeyError), commands._forgotten_if_nothing_came(desk.run, desk.shop, desk.name):
        raise KeyError
    assert place.read(desk.run) is not None


# from the rental to the run


def start(desk: Desk, rented: Rented) -> object:
    return commands._start(desk.shop, job(desk), rented, False)[1]


@pytest.fixture
def boxes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is started on boxes."""
    started: list[Any] = []

    def begin(*order: Any) -> int:
        started.append(order)
        return 1

    monkeypatch.setattr(there, "attended", lambda *words: words)
    monkeypatch.setattr(there, "start", begin)
    monkeypatch.setattr(dataclasses, "replace", lambda job, until: (job, until))
    return started


def test_a_run_is_started_with_its_end_at_the_address_that_was_rented(desk: Desk, boxes: list[Any]) -> None:
    rented = renting.rent(desk.shop, offer(), desk.run, print)
    assert start(desk, rented) == 1
    ((run, (_, until), _),) = boxes
    assert until == rented.deadlines.stop_at
    assert run[1] == place.read(desk.run) == Place(ADDRESS, "try", "key", dataset="dataset", rental=desk.name)
    assert list(desk.there) == ["id1"]


@pytest.mark.parametrize("problem", [TrainerError("it does not start"), KeyboardInterrupt(), Interrupted("enough")])
def test_what_is_rented_and_does_not_start_is_given_back(
    desk: Desk, boxes: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    problem: BaseException,
) -> None:  # fmt: skip
    rented = renting.rent(desk.shop, offer(), desk.run, print)
    monkeypatch.setattr(there, "start", raising(problem))
    with pytest.raises(type(problem)):
        start(desk, rented)
    assert (desk.there, boxes, desk.run.exists()) == ({}, [], False)
    first, *_, last = capsys.readouterr().err.splitlines()
    why = str(problem) or "KeyboardInterrupt"
    assert first == f"nothing runs on {desk.name}, so it is given back: {why}"
    assert last == f"gone: Lambda has nothing of {desk.name} any more"


def test_a_full_disk_keeps_no_machine_running(desk: Desk, boxes: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    rented = renting.rent(desk.shop, offer(), desk.run, print)
    monkeypatch.setattr(place, "write", raising(TrainerError("no space left on device")))
    with pytest.raises(TrainerError, match="no space left"):
        start(desk, rented)
    assert (desk.there, boxes) == ({}, [])


@pytest.mark.usefixtures("boxes")
def test_a_terminal_that_is_gone_keeps_no_machine_running(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rented = renting.rent(desk.shop, offer(), desk.run, print)
    monkeypatch.setattr(there, "start", raising(BrokenPipeError()))
    monkeypatch.setattr(talk, "say", raising(BrokenPipeError()))
    with pytest.raises(BrokenPipeError):
        start(desk, rented)
    assert desk.there == {}


@pytest.mark.usefixtures("boxes")
def test_sigterm_while_it_is_set_up_gives_it_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rented = renting.rent(desk.shop, offer(), desk.run, print)
    monkeypatch.setattr(there, "start", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted, match="told to end by SIGTERM"):
        start(desk, rented)
    assert desk.there == {}
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


# giving back


def test_one_that_does_not_end_is_told_loudly(desk: Desk) -> None:
    desk.rent()
    desk.ends = False
    with pytest.raises(StillBilling, match=f"^id1 may still be running .* id1 is active; look at {CONSOLE}"):
        commands.give_back(desk.shop, desk.name, desk.run)
    assert place.read(desk.run) is not None


@pytest.mark.parametrize("problem", [Hurried(), KeyError("head")])
def test_whoever_does_not_wait_or_meets_a_crash_is_told_what_may_be_left(desk: Desk, problem: BaseException) -> None:
    desk.rent()
    desk.while_ending = raising(problem)
    words = "it was not waited for" if isinstance(problem, Hurried) else "giving it back went wrong: 'head'"
    with pytest.raises(StillBilling, match=f"^{desk.name} may still be running and cost money: {words}; look at"):
        commands.give_back(desk.shop, desk.name, desk.run)


def test_a_first_ctrl_c_does_not_end_the_wait(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.rent()
    desk.while_ending = lambda: os.kill(os.getpid(), signal.SIGINT)
    commands.give_back(desk.shop, desk.name, desk.run)
    assert desk.there == {}
    assert "ask once more to leave it, and it may go on billing" in capsys.readouterr().err


def test_at_its_end_a_run_on_a_rented_box_gives_it_back(desk: Desk) -> None:
    desk.rent()
    own: Any = SimpleNamespace(run=desk.run, place=Place(ADDRESS, "try"))
    assert (commands.end(own, 6), list(desk.there)) == (6, ["id1"])
    rented: Any = SimpleNamespace(run=desk.run, place=place.read(desk.run))
    assert (commands.end(rented, 6), list(desk.there)) == (6, [])
    assert [one.name for one in desk.run.iterdir()] == ["trainer.log"]


def test_without_the_key_the_end_of_a_run_is_loud() -> None:
    rented: Any = SimpleNamespace(run=Path("runs/try"), place=Place(ADDRESS, "try", rental="one"))
    with pytest.raises(
        StillBilling,
        match="^one may still be running .*: it was not given back: LAMBDA_API_KEY is not set; .*" + CONSOLE,
    ):
        commands.end(rented, 0)


@pytest.mark.parametrize(("is_loud", "no_color"), [(True, False), (True, True), (False, False)])
def test_what_may_cost_money_is_red(run: Run, monkeypatch: pytest.MonkeyPatch, is_loud: bool, no_color: bool) -> None:
    monkeypatch.setenv("LAMBDA_API_KEY", "secret_x")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    loud = StillBilling(StillThere(("id1",), "it is active"))
    monkeypatch.setattr(shops, "open_shop", raising(loud if is_loud else RemoteError("it rains")))
    code, _, err = run("remote", "ls")
    line = f"id1 may still be running and cost money: it is active; look at {CONSOLE} and terminate it there"
    red = click.style("error", fg="red", bold=True)
    if no_color:
        assert err == f"error: {line}\n"
    else:
        assert err == f"{red}: {click.style(line, fg='red', bold=True) if is_loud else 'it rains'}\n"
    assert code == 7


# remote ls


def test_an_empty_list_is_said(desk: Desk, run: Run) -> None:
    assert run("remote", "ls") == (0, "", "nothing is rented\n")
    assert run("remote", "ls", "--json") == (0, "[]\n", "")
    assert desk.there == {}


def test_what_is_rented_is_listed_with_its_price_and_end(desk: Desk, run: Run) -> None:
    rented = desk.rent()
    code, out, err = run("remote", "ls")
    end = f"{rented.deadlines.end_at:%Y-%m-%d %H:%M} UTC"
    assert code == 0
    assert out == (
        f"{desk.name}  active  since 0.0 h  1.99 USD an hour  up to 0.03 USD so far  "
        f"until {end} at the latest  {Path.cwd() / 'runs/try'}\n"
    )
    reminder, remedy = err.splitlines()
    assert reminder.startswith(f"still rented: {desk.name} since less than a minute; 1.99 USD an hour")
    assert remedy == f"{desk.name}: when its run is over: kanjiprep remote down {desk.name}"
    code, out, _ = run("remote", "ls", "--json")
    (one,) = json.loads(out)
    assert (code, one["name"], one["state"], one["loud"]) == (0, desk.name, "active", "")
    assert datetime.fromisoformat(one["ends_at"]) == rented.deadlines.end_at.replace(microsecond=0)


def test_what_nobody_knows_is_loud(desk: Desk, run: Run) -> None:
    desk.there["id9"] = Instance("id9", "kanjiprep-x-0a0a0a", "active", "", REGION, TYPE, 1.99)
    code, out, err = run("remote", "ls")
    assert (code, out) == (7, "kanjiprep-x-0a0a0a  active  1.99 USD an hour\n")
    loud, remedy = err.splitlines()
    assert loud.startswith("kanjiprep-x-0a0a0a (id9) was rented from another machine, or the list of it is lost")
    assert remedy.startswith("kanjiprep-x-0a0a0a: if it is yours, terminate it at")
    code, out, err = run("remote", "ls", "--json")
    assert (code, err) == (7, "")
    assert json.loads(out)[0]["ends_at"] is None


def test_what_is_past_its_end_is_loud_in_red(desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.rent()
    desk.passed_s = 11 * 3600
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, _, err = run("remote", "ls")
    assert code == 7
    assert f"\x1b[31m\x1b[1m{desk.name} may still be running" in err
    assert "60 min past its end" in err
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run("remote", "ls")[2]


def test_without_an_answer_of_lambda_the_list_is_shown_and_loud(desk: Desk, run: Run) -> None:
    desk.rent()
    desk.is_broken = True
    code, out, err = run("remote", "ls")
    assert (code, out.split("  ")[:2]) == (7, [desk.name, "not known"])
    assert "Lambda does not tell" in err


# remote down


def test_a_rental_is_given_back_after_its_run_was_stopped_and_brought(desk: Desk, far: Far, run: Run) -> None:
    desk.rent()
    code, out, _ = run("remote", "down", desk.name, "--json")
    assert (code, far.done, desk.there) == (0, ["stopped", "brought here"], {})
    assert json.loads(out) == {"name": desk.name, "gone": True, "run": str(Path.cwd() / "runs/try")}
    assert [one.name for one in desk.run.iterdir()] == ["trainer.log"]
    assert run("remote", "ls") == (0, "", "nothing is rented\n")


def test_a_rental_whose_run_cannot_be_brought_is_kept_unless_one_says_so(desk: Desk, far: Far, run: Run) -> None:
    desk.rent()
    far.problem = RemoteError("does not answer", "198.51.100.2")
    code, out, err = run("remote", "down", desk.name)
    assert (code, out, list(desk.there)) == (7, "", ["id1"])
    assert err.splitlines()[-1] == (
        f"error: {desk.name}: is kept and goes on costing money, for not all of its run could be brought here: "
        "198.51.100.2: does not answer; try again, or give --lose-results"
    )
    far.done.clear()
    code, _, _ = run("remote", "down", desk.name, "--lose-results")
    assert (code, far.done, desk.there) == (0, [], {})


def test_a_note_that_is_not_understood_keeps_the_machine(desk: Desk, far: Far, run: Run) -> None:
    desk.rent()
    (desk.run / place.FILE).write_text("{")
    code, _, err = run("remote", "down", desk.name)
    assert (code, far.done, list(desk.there)) == (7, [], ["id1"])
    assert "does not say where the run is" in err
    assert "--lose-results" in err


def test_nothing_is_brought_from_a_machine_that_has_given_itself_back(desk: Desk, far: Far, run: Run) -> None:
    desk.rent()
    desk.there.clear()
    far.problem = RemoteError("does not answer")
    code, _, err = run("remote", "down", desk.name)
    assert (code, far.done) == (0, [])
    assert f"Lambda has nothing of {desk.name} any more, so nothing more can be brought from there" in err


@pytest.mark.parametrize("note", ["none", "own"])
def test_a_rental_of_whose_run_nothing_is_known_is_kept(desk: Desk, far: Far, run: Run, note: str) -> None:
    desk.rent()
    (desk.run / place.FILE).unlink()
    if note == "own":
        place.write(desk.run, Place(ADDRESS, "try"))
    code, _, err = run("remote", "down", desk.name)
    assert (code, far.done, list(desk.there)) == (7, [], ["id1"])
    assert "says nothing of it, and only there stands how it is reached; try again, or give --lose-results" in err
    assert run("remote", "down", desk.name, "--lose-results")[0] == 0
    assert desk.there == {}
    assert (desk.run / place.FILE).exists() == (note == "own")


@pytest.mark.parametrize("is_reached", [True, False])
def test_a_rental_without_a_run_is_given_back_at_once(desk: Desk, far: Far, run: Run, is_reached: bool) -> None:
    desk.rent()
    place.write(desk.run, Place(ADDRESS if is_reached else "", "try", rental=desk.name))
    far.is_there = False
    code, _, err = run("remote", "down", desk.name)
    assert (code, far.done, desk.there) == (0, [], {})
    assert f"no run was started on {desk.name}, so there is nothing to bring\n" in err


def test_what_was_never_rented_is_not_ended(desk: Desk, run: Run) -> None:
    desk.rent()
    code, _, err = run("remote", "down", desk.name[:-1])
    assert (code, list(desk.there)) == (2, ["id1"])
    assert err.splitlines()[-1] == (
        f"error: nothing was rented under {desk.name[:-1]!r}; "
        f"look at kanjiprep remote ls, did you mean {desk.name!r}?"
    )
    assert run("remote", "down", "水")[0] == 2
    assert run("remote", "down", "")[0] == 2


def test_remote_alone_shows_its_page(run: Run) -> None:
    code, out, err = run("remote")
    assert (code, out) == (2, "")
    assert err.startswith("Usage: kanjiprep remote [OPTIONS] COMMAND")
    assert len(err.splitlines()) > 5
    code, _, err = run("remote", "lss")
    assert (code, err) == (2, "error: no such command 'lss', did you mean 'ls'?; see kanjiprep remote --help\n")


# the reminder


def test_what_is_rented_is_said_before_any_command(desk: Desk, run: Run) -> None:
    code, plain, err = run("presets", "--json")
    assert (code, err) == (0, "")
    desk.rent()
    code, out, err = run("presets", "--json")
    assert (code, out) == (0, plain)
    assert err.startswith(f"still rented: {desk.name} since less than a minute; 1.99 USD an hour, up to 0.0")
    assert err.count("\n") == 1
    code, _, err = run("presets", "nope")
    assert (code, err.splitlines()[0].split(":")[0]) == (2, "still rented")
    commands.give_back(desk.shop, desk.name, desk.run)
    run("presets")
    assert run("presets", "--json") == (0, plain, "")


def test_a_list_that_cannot_be_read_is_said_and_stops_no_command(run: Run) -> None:
    (ledger.default_folder() / ledger.FILE).mkdir(parents=True)
    code, out, err = run("presets", "--json")
    assert (code, bool(json.loads(out))) == (0, True)
    assert err.startswith("what is rented is not known: ")


def test_a_home_that_cannot_be_looked_into_stops_no_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Shut:
        def __truediv__(self, _name: str) -> Shut:
            return self

        def exists(self) -> bool:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(platformdirs, "user_data_path", lambda _: Shut())
    assert run("presets", "--json")[::2] == (0, "")


# setup-remote


def test_a_setup_is_told_before_it_is_done(run: Run, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: name)
    code, out, err = run("setup-remote", "--dry-run", "--json")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: LAMBDA_API_KEY is not set; ")
    monkeypatch.setenv("LAMBDA_API_KEY", "secret_x")
    code, out, err = run("setup-remote", "--dry-run", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["where"], document["is_new"]) == (str(folder / "data/kanjiprep/remote"), True)
    code, out, err = run("setup-remote", "--dry-run")
    assert (code, out, err.splitlines()) == (0, "", document["steps"])
    assert "secret_x" not in err
    assert not (folder / "data").exists()


def test_a_setup_says_what_is_next(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: name)
    monkeypatch.setenv("LAMBDA_API_KEY", "secret_x")
    engine = Engine(Path("/x/python"), Path("/x/home"), Path("/x/cache"))
    monkeypatch.setattr(setup, "setup", lambda *_: engine)
    code, out, err = run("setup-remote", "--json")
    assert (code, json.loads(out), err) == (0, {"python": "/x/python", "home": "/x/home"}, "")
    code, out, err = run("setup-remote")
    assert (code, out) == (0, "")
    assert err.splitlines()[-2:] == [
        "ready: SkyPilot, /x/python",
        "Next: kanjiprep launch-simpletuner sd35-large-lora --on lambda --max-usd 60; it asks before it rents",
    ]


def test_terms_are_a_price_a_cap_that_is_not_rounded_down_and_an_end(desk: Desk) -> None:
    rental = dataclasses.replace(desk.rent().rental, max_usd=4.975, asked_at=datetime(2026, 11, 27, 8, 0, tzinfo=UTC))
    end = "until 2026-11-27 18:00 UTC at the latest, and what is not here by then is lost"
    assert commands.terms(rental) == f"1.99 USD an hour, 4.98 USD at most, {end}"
    two = dataclasses.replace(rental, ids=("id1", "id2"), max_usd=1234)
    assert commands.terms(two) == f"3.98 USD an hour, 1,234.00 USD at most, {end}"


# attended to the end, or left


def attended(desk: Desk) -> Any:
    return SimpleNamespace(run=desk.run, place=place.read(desk.run))


def actions(*given: object) -> Callable[[], tuple[int, bool]]:
    """What is done with a run, once after the other."""
    left = list(given)

    def act() -> tuple[int, bool]:
        one = left.pop(0)
        if isinstance(one, BaseException):
            raise one
        return one  # type: ignore[return-value]

    return act


LOST = Unreachable("lost", "the network is away", "198.51.100.2")


def test_on_a_box_of_ones_own_nothing_is_given_back(desk: Desk) -> None:
    place.write(desk.run, Place(ADDRESS, "try"))
    assert commands.attend(attended(desk), actions((6, True))) == 6


def test_what_is_over_is_given_back_and_what_is_not_stays(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.rent()
    assert commands.attend(attended(desk), actions((130, False))) == 130
    assert list(desk.there) == ["id1"]
    said = capsys.readouterr().err
    assert said.startswith(f"{desk.name} stays rented, 1.99 USD an hour, 19.90 USD at most, until 20")
    assert said.endswith("; kanjiprep stop runs/try ends it sooner\n")
    assert commands.attend(attended(desk), actions((8, True))) == 8
    assert desk.there == {}


def test_while_lambda_has_the_machine_it_is_tried_again(desk: Desk) -> None:
    desk.rent()
    assert commands.attend(attended(desk), actions(LOST, LOST, (0, True))) == 0
    assert desk.there == {}


def test_a_machine_that_is_gone_ends_the_wait(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.rent()
    run = attended(desk)
    desk.there.clear()
    with pytest.raises(RemoteError, match="its machine is gone, and was not given back by this command; what was"):
        commands.attend(run, actions(LOST))
    rental = ledger.read(ledger.default_folder()).of(desk.name)
    assert (rental and rental.state, capsys.readouterr().err) == ("gone", "")
    assert [one.name for one in desk.run.iterdir()] == ["trainer.log"]
    with pytest.raises(RemoteError, match="its machine is gone"):
        commands.attend(run, actions(LOST))


def test_a_rental_that_the_list_does_not_know_is_not_waited_for(desk: Desk) -> None:
    desk.rent()
    (ledger.default_folder() / ledger.FILE).unlink()
    with pytest.raises(Unreachable, match="the network is away"):
        commands.attend(attended(desk), actions(LOST))


def test_a_run_on_a_rented_machine_is_not_gone_on_with(desk: Desk, run: Run) -> None:
    desk.rent()
    code, out, err = run("launch-simpletuner", desk.run, "--resume", "--max-hours", 9)
    assert (code, out, list(desk.there)) == (2, "", ["id1"])
    assert "a run on a rented machine is not gone on with: its end was set before; stop it with kanjiprep stop" in err


@pytest.mark.parametrize("words", [("--on", "lambda"), ("--yes",), ("--allow-arm",), ("--ssh-key", "key")])
def test_a_run_goes_on_where_it_is(run: Run, words: tuple[str, ...]) -> None:
    Path("key").touch()
    code, out, err = run("launch-simpletuner", "runs/try", "--resume", *words)
    assert (code, out) == (2, "")
    assert err == f"error: {words[0]} cannot be had with --resume: a run goes on where it is; leave it out\n"
