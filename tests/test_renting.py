from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import Interrupted, RemoteError, UsageError
from kanjiprep.training.remote import holdings, renting, returning
from kanjiprep.training.remote.cloud import ledger
from kanjiprep.training.remote.cloud.api import CONSOLE, Instance
from kanjiprep.training.remote.cloud.asking import Clock
from kanjiprep.training.remote.cloud.gone import Gone, StillThere
from kanjiprep.training.remote.cloud.ledger import Asked, stamp
from kanjiprep.training.remote.renting import Rented
from kanjiprep.training.remote.returning import Shop, StillBilling
from kanjiprep.training.remote.sky.answers import Launched, Login
from kanjiprep.training.remote.sky.task import Task
from tests.renting_shop import REGION, TYPE, offer, trouble

START = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
RUN = Path("/runs/try")
DOWN = RemoteError("Lambda is busy or broken (HTTP 500)", "the instances at Lambda")


@dataclass(slots=True)
class World:
    """Lambda and SkyPilot in memory, with a time that passes when somebody waits."""

    folder: Path
    there: dict[str, Instance] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    passed_s: float = 0.0
    later: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    while_launching: Callable[[], object] = lambda: None
    while_ending: Callable[[], object] = lambda: None
    is_broken: bool = False
    ends: bool = True
    shown: Callable[[Launched], Launched] = lambda one: one
    goes_on: bool = False

    @property
    def shop(self) -> Shop:
        clock = Clock(lambda: START + timedelta(seconds=self.passed_s), lambda: self.passed_s, self._pass)
        return Shop(self, self, self.folder, clock)

    @property
    def name(self) -> str:
        return renting.name_of(self.shop, RUN)

    def _pass(self, seconds: float) -> None:
        self.passed_s += seconds
        for due in [one for one in self.later if one[0] <= self.passed_s]:
            self.later.remove(due)
            due[1]()

    def make(self, one: str, name: str | None = None, status: str = "active") -> None:
        name = name or f"{self.name}-12345678-head"
        self.there[one] = Instance(one, name, status, "198.51.100.2", REGION, TYPE, 1.99)

    def instances(self) -> tuple[Instance, ...]:
        self.done.append("list")
        if self.is_broken:
            raise DOWN
        return tuple(self.there.values())

    def instance(self, instance_id: str) -> Instance | None:
        if self.is_broken:
            raise DOWN
        return self.there.get(instance_id)

    def terminate(self, ids: Iterable[str]) -> tuple[str, ...]:
        wanted = tuple(ids)
        self.ended.extend(wanted)
        for one in wanted if self.ends else ():
            del self.there[one]
        return wanted

    def launch(self, task: Task) -> Launched:
        self.tasks.append(task)
        self.make("id1")
        self.passed_s += 600
        self.while_launching()
        login = Login("ubuntu", "198.51.100.2", Path("key"))
        return self.shown(Launched(task.name, (login,), REGION, ("id1",), 1.99))

    def arm(self, name: str) -> None:
        """It gives itself back."""

    def cut_off(self, name: str) -> bool:
        self.done.append("cut off")
        return self.goes_on

    def down(self, name: str) -> bool:
        self.done.append("down")
        self.while_ending()
        return False

    def rent(self, **how: Any) -> Rented:
        return renting.rent(self.shop, offer(**how), RUN, self.told.append)

    def back(self) -> object:
        return returning.give_back(self.shop, self.name, self.told.append)

    def state(self) -> str:
        rental = ledger.read(self.folder).of(self.name)
        return rental.state if rental else ""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "ledger")


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def test_what_is_rented_is_in_the_ledger_with_its_end(world: World) -> None:
    rented = world.rent()
    task = Task(world.name, TYPE, 1.99, int((START + timedelta(hours=10, minutes=-8)).timestamp()))
    assert [replace(one, silent_minutes=task.silent_minutes) for one in world.tasks] == [task]
    assert rented.login == Login("ubuntu", "198.51.100.2", Path("key"))
    assert rented.rental == ledger.read(world.folder).of(world.name)
    assert (rented.rental.run, rented.rental.ids, rented.rental.state) == (str(RUN), ("id1",), "launched")
    assert rented.deadlines.end_at == START + timedelta(hours=10)
    assert world.told == []


def test_the_ledger_knows_before_anybody_is_asked(world: World) -> None:
    world.while_launching = lambda: world.told.append(world.state())
    world.rent()
    assert world.told == ["asked"]


def test_what_is_rented_is_not_rented_again(world: World) -> None:
    world.rent()
    with pytest.raises(RemoteError, match=f"a machine is rented for this run already, .*remote down {world.name}"):
        world.rent()
    assert len(world.tasks) == 1


def test_what_ended_by_itself_is_written_down_and_can_be_rented_again(world: World) -> None:
    world.rent()
    world.there.clear()
    world.rent()
    assert len(world.tasks) == 2
    assert [one.state for one in ledger.read(world.folder).rentals] == ["gone", "launched"]


def test_what_another_list_knows_is_not_rented_again(world: World) -> None:
    world.make("id7")
    with pytest.raises(RemoteError, match=f"Lambda has a machine .* already that we did not rent: id7; .*{CONSOLE}"):
        world.rent()
    assert (world.tasks, list(world.there)) == ([], ["id7"])


def test_nothing_is_rented_while_lambda_does_not_tell(world: World) -> None:
    world.is_broken = True
    with pytest.raises(RemoteError, match="HTTP 500"):
        world.rent()
    assert (world.tasks, world.state()) == ([], "")


def test_what_makes_no_sense_is_refused_before_it_is_written_down(world: World) -> None:
    with pytest.raises(UsageError, match="an hourly cost of at most 0 dollars rents nothing"):
        world.rent(usd_per_hour=0)
    assert world.state() == ""


def test_a_failed_launch_is_looked_for_before_anything_else_and_given_back(world: World) -> None:
    def fail() -> None:
        world.done.clear()
        raise trouble("unknown")

    world.while_launching = fail
    with pytest.raises(RemoteError, match=r"it went wrong \(unknown\)"):
        world.rent()
    assert world.done[:3] == ["cut off", "list", "down"]
    assert (world.ended, world.state()) == (["id1"], "gone")
    assert world.told[:2] == [
        f"{world.name} could not be rented, and is given back now: the log: it went wrong (unknown)",
        "Lambda has id1",
    ]


def test_a_launch_that_has_to_be_cut_off_is_waited_for_from_then_on(world: World) -> None:
    world.goes_on = True

    def fail() -> None:
        world.there.clear()
        raise trouble("price", may_be_left=False)

    world.while_launching = fail
    with pytest.raises(RemoteError, match="it went wrong"):
        world.rent()
    assert (world.state(), world.passed_s >= 720) == ("gone", True)


def test_a_machine_that_shows_itself_late_is_waited_for_and_ended(world: World) -> None:
    def fail() -> None:
        machine = world.there.pop("id1")
        world.later.append((world.passed_s + 100, lambda: world.there.update(id1=machine)))
        raise trouble("unknown")

    world.while_launching = fail
    with pytest.raises(RemoteError, match="it went wrong"):
        world.rent()
    assert (world.ended, world.there, world.state()) == (["id1"], {}, "gone")


@pytest.mark.parametrize(
    ("error", "waits_s"),
    [
        (trouble("price", may_be_left=False), 0),
        (RemoteError("SkyPilot cannot be started"), 0),
        (trouble("capacity"), 0),  # the launch took longer than what a machine may need to show itself
        (trouble("network"), 120),
        (KeyboardInterrupt(), 120),
    ],
)
def test_only_what_may_be_there_is_waited_for(world: World, error: BaseException, waits_s: float) -> None:
    def fail() -> None:
        world.there.clear()
        raise error

    world.while_launching = fail
    with pytest.raises(type(error)):
        world.rent()
    assert world.state() == "gone"
    assert waits_s <= world.passed_s - 600 < waits_s + 20


def test_what_cannot_be_given_back_is_said_loudly(world: World) -> None:
    world.ends = False
    world.while_launching = raising(trouble("ssh"))
    with pytest.raises(StillBilling) as caught:
        world.rent()
    assert str(caught.value) == str(StillThere(("id1",), "id1 is active"))
    assert CONSOLE in str(caught.value)
    assert caught.value.exit_code == 7
    assert caught.value.said.ids == ("id1",)
    assert str(caught.value.__cause__) == "the log: it went wrong (ssh)"
    assert world.state() == "lost"


def test_what_goes_wrong_while_it_is_given_back_is_loud_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.while_launching = raising(trouble("ssh"))
    monkeypatch.setattr(world.__class__, "cut_off", lambda *_: raising(ZeroDivisionError())())
    with pytest.raises(StillBilling, match="giving it back went wrong: ZeroDivisionError"):
        world.rent()


def test_a_list_that_cannot_be_read_any_more_is_loud_if_a_machine_is_there(world: World) -> None:
    def fail() -> None:
        (world.folder / ledger.FILE).unlink()
        (world.folder / ledger.FILE).symlink_to(ledger.FILE)
        raise trouble("ssh")

    world.while_launching = fail
    with pytest.raises(StillBilling, match="id1 may still be running"):
        world.rent()
    assert any("cannot be read" in line for line in world.told)
    assert returning._ids(world.shop, world.name) == ()


def test_a_list_that_is_taken_away_is_told_of(world: World) -> None:
    def take() -> None:
        (world.folder / ledger.FILE).unlink()
        world.there.clear()

    world.while_launching = take
    with pytest.raises(RemoteError, match="SkyPilot|is no longer there|taken away|took"):
        world.rent()


def test_a_list_that_is_taken_away_while_the_machine_works_is_loud(world: World) -> None:
    world.while_launching = (world.folder / ledger.FILE).unlink
    with pytest.raises(StillBilling) as caught:
        world.rent()
    assert str(caught.value.__cause__) == f"{world.name}: somebody took the list of what is rented away; try again"


@pytest.mark.parametrize("nothing", [{"instance_ids": ()}, {"logins": ()}])
def test_an_answer_without_a_machine_is_a_failure(world: World, nothing: dict[str, Any]) -> None:
    world.shown = lambda one: replace(one, **nothing)
    with pytest.raises(RemoteError, match="launched, and not what or where"):
        world.rent()
    assert (world.ended, world.state()) == (["id1"], "gone")


@pytest.mark.parametrize(("status", "words"), [("preempted", "is preempted"), ("", "is no longer there")])
def test_a_machine_that_is_over_at_once_is_a_failure(world: World, status: str, words: str) -> None:
    world.while_launching = lambda: world.make("id1", status=status) if status else world.there.clear()
    with pytest.raises(RemoteError, match=f"id1 was launched and {words}"):
        world.rent()
    assert world.there == {}


def test_the_address_is_the_one_that_lambda_gives(world: World) -> None:
    world.shown = lambda one: replace(one, logins=(replace(one.logins[0], ip="198.51.100.9"),))
    assert world.rent().login.ip == "198.51.100.2"
    assert world.told == [f"{world.name} is at 198.51.100.2, not at 198.51.100.9"]


def test_one_look_that_fails_ends_no_machine(world: World) -> None:
    world.while_launching = lambda: setattr(world, "is_broken", True)
    assert world.rent().login.ip == "198.51.100.2"
    assert "was launched and cannot be looked at" in world.told[0]


def test_a_disk_that_is_full_rents_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_folder: Path, *events: object) -> None:
        if events:
            raise RemoteError("no space left on device")

    monkeypatch.setattr(ledger, "append", full)
    with pytest.raises(RemoteError, match="no space left on device"):
        world.rent()
    assert world.tasks == []


def test_what_was_written_down_and_never_asked_for_is_struck_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = ledger.append

    def interrupted(folder: Path, *events: ledger.Event) -> None:
        append(folder, *events)
        if any(isinstance(one, Asked) for one in events):
            raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        world.rent()
    assert (world.tasks, world.state()) == ([], "gone")


def test_a_list_that_can_neither_be_written_nor_read_is_told_of(world: World) -> None:
    world.folder.write_text("")
    returning.strike_out(world.shop, "kanjiprep-try-0a0a0a", world.told.append)
    assert "cannot be read or written" in world.told[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_is_told_to_end_gives_back_first(world: World, number: signal.Signals) -> None:
    world.while_launching = lambda: os.kill(os.getpid(), number)
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=f"told to end by {number.name}"):
        world.rent()
    assert (world.ended, world.state(), signal.getsignal(number)) == (["id1"], "gone", before)


def test_who_asks_once_more_is_told_to_wait_and_who_asks_again_is_warned(world: World) -> None:
    world.while_launching = raising(trouble("ssh"))
    world.while_ending = lambda: os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(RemoteError, match="it went wrong"):
        world.rent()
    assert any("is being given back, wait some minutes" in line for line in world.told)
    assert world.there == {}

    def insist() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    world.while_ending = insist
    with pytest.raises(StillBilling, match="id1 may still be running and cost money: it was not waited for"):
        world.rent()


def test_a_second_thread_rents_without_hearing_signals_and_one_that_are_ignored_stay_so(world: World) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        world.while_launching = lambda: os.kill(os.getpid(), signal.SIGHUP)
        thread = threading.Thread(target=world.rent)
        thread.start()
        thread.join()
        assert world.state() == "launched"
        assert isinstance(world.back(), Gone)
        world.rent()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_lock_that_cannot_be_had_is_one_line(world: World) -> None:
    world.folder.mkdir()
    (world.folder / f".{world.name}.lock").symlink_to("elsewhere")
    with pytest.raises(RemoteError, match="cannot be locked"):
        world.rent()


def test_two_do_not_rent_at_once(world: World) -> None:
    with renting._alone(world.folder, world.name):
        with pytest.raises(RemoteError, match="another process rents a machine for this run right now"):
            world.rent()
        with renting._alone(world.folder, "kanjiprep-other-0a0a0a"):
            pass
    world.rent()


def test_what_was_never_rented_is_not_given_back(world: World) -> None:
    with pytest.raises(RemoteError, match="nothing was rented under"):
        world.back()
    assert world.done == []


def test_giving_back_twice_ends_once(world: World) -> None:
    world.rent()
    world.make("id8", "somebody-elses")
    assert isinstance(world.back(), Gone)
    assert isinstance(world.back(), Gone)
    assert (world.ended, list(world.there)) == (["id1"], ["id8"])


def test_we_end_a_machine_when_skypilot_does_not(world: World) -> None:
    world.rent()
    world.while_ending = raising(ZeroDivisionError())
    assert isinstance(world.back(), Gone)
    assert (world.ended, world.told) == (
        ["id1"],
        [f"SkyPilot does not give {world.name} back, so we do: ZeroDivisionError"],
    )


@pytest.mark.parametrize(("goes_on", "hours", "waits"), [(False, 0.1, True), (False, 2, False), (True, 2, True)])
def test_a_launch_that_may_go_on_without_us_is_waited_for(
    world: World, goes_on: bool, hours: float, waits: bool
) -> None:
    at = stamp(START - timedelta(hours=hours))
    ledger.append(world.folder, Asked(world.name, at, str(RUN), TYPE, 1.99, 10, 19.9))
    world.goes_on = goes_on
    assert isinstance(world.back(), Gone)
    assert (world.passed_s >= 120) is waits


def asked(world: World, hours: float = 2, name: str = "", *more: ledger.Event) -> None:
    at = stamp(START - timedelta(hours=hours))
    ledger.append(world.folder, Asked(name or world.name, at, str(RUN), TYPE, 1.99, 10, 19.9), *more)


def test_what_is_rented_is_listed(world: World) -> None:
    asked(world)
    world.make("id1")
    (one,) = holdings.standing(world.shop)
    assert (one.name, one.run, one.ids, one.state) == (world.name, str(RUN), ("id1",), "active")
    assert (one.age_s, one.usd_per_hour, one.usd_so_far) == (7200, 1.99, 3.98)
    assert (one.ends_at, one.is_past, one.loud) == (START + timedelta(hours=8), False, "")
    assert one.remedy == f"when its run is over: kanjiprep remote down {world.name}"


def test_what_is_past_its_end_is_loud(world: World) -> None:
    asked(world, 12)
    world.make("id1")
    (one,) = holdings.standing(world.shop)
    assert one.is_past
    assert one.loud == (
        f"{world.name} may still be running and cost 1.99 USD an hour, 2.0 h past its end, is active at Lambda; "
        f"give it back with kanjiprep remote down {world.name}, or look at {CONSOLE}"
    )


def test_what_lambda_no_longer_has_is_written_down_as_gone(world: World) -> None:
    asked(world, 2, "", ledger.Launched(world.name, stamp(START), "id1"))
    ledger.append(world.folder, ledger.Lost(world.name, stamp(START), "id1", "no answer"))
    assert holdings.standing(world.shop) == ()
    assert holdings.reminder(world.folder, START) is None


def test_what_was_asked_for_a_moment_ago_is_to_be_seen_to(world: World) -> None:
    asked(world, 0, "", ledger.Lost(world.name, stamp(START), "", "no answer"))
    (one,) = holdings.standing(world.shop)
    assert (one.state, one.ids) == ("not seen", ())
    assert "was not seen to be gone (no answer), is not seen at Lambda" in one.loud
    assert one.remedy == f"see that it is gone: kanjiprep remote down {world.name}"


def test_what_lambda_does_not_tell_is_listed_and_loud(world: World) -> None:
    asked(world, 2, "", ledger.Launched(world.name, stamp(START), "id1"))
    world.is_broken = True
    (one,) = holdings.standing(world.shop)
    assert (one.state, one.ids) == ("not known", ("id1",))
    assert "Lambda does not tell (the instances at Lambda: Lambda is busy or broken (HTTP 500))" in one.loud


def test_what_another_list_knows_or_was_renamed_is_listed_and_not_ours_to_end(world: World) -> None:
    asked(world, 2, "", ledger.Launched(world.name, stamp(START), "id1"))
    asked(world, 3, "kanjiprep-a-0a0a0a", ledger.Launched("kanjiprep-a-0a0a0a", stamp(START), "id3"))
    ledger.append(world.folder, ledger.Gone("kanjiprep-a-0a0a0a", stamp(START)))
    world.make("id1", "renamed")
    world.make("id2", "kanjiprep-other-0b0b0b-12345678-head")
    world.make("id3", "renamed")
    world.make("id4", "somebody-elses")
    first, second, third = holdings.standing(world.shop)
    assert first.remedy == f"somebody renamed id1, so we do not end it; look at {CONSOLE}"
    assert (second.name, second.ids, second.age_s) == ("kanjiprep-other-0b0b0b-12345678-head", ("id2",), None)
    assert "was rented from another machine, or the list of it is lost" in second.loud
    assert (third.ids, third.run) == (("id3",), str(RUN))
    assert "was given back" in third.loud
    assert world.ended == []


def test_a_reminder_is_one_line_on_all_that_is_rented(world: World) -> None:
    assert holdings.reminder(world.folder, START) is None
    asked(world)
    assert holdings.reminder(world.folder, START) == (
        f"still rented: {world.name} since 2.0 h; 1.99 USD an hour, up to 3.98 USD so far; see kanjiprep remote ls"
    )
    ledger.append(world.folder, ledger.Gone(world.name, stamp(START)))
    assert holdings.reminder(world.folder, START) is None
    asked(world, 11, "kanjiprep-a")
    asked(world, 0.5, "kanjiprep-b", ledger.Lost("kanjiprep-b", stamp(START), "", "why"))
    asked(world, 0, "kanjiprep-c")
    asked(world, 0, "kanjiprep-d")
    line = holdings.reminder(world.folder, START)
    assert line is not None
    assert line.startswith(
        "still rented: kanjiprep-a since 11.0 h (past its end), kanjiprep-b since 30 min (not known to be gone), "
        "kanjiprep-c since less than a minute, ...; 7.96 USD an hour"
    )


def test_a_reminder_without_a_list_that_can_be_read_is_a_line_too(world: World) -> None:
    world.folder.write_text("")
    line = holdings.reminder(world.folder, START)
    assert line is not None
    assert line.startswith("what is rented is not known")
    assert CONSOLE in line
