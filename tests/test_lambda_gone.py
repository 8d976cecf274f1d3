from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote.cloud import gone, ledger, leftovers
from kanjiprep.training.remote.cloud.api import Instance
from kanjiprep.training.remote.cloud.asking import Clock
from kanjiprep.training.remote.cloud.gone import Gone, StillThere
from kanjiprep.training.remote.cloud.ledger import Asked, Launched, stamp
from kanjiprep.training.remote.cloud.leftovers import Leftover
from kanjiprep.training.remote.cloud.rental import Rental

START = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
NAME = "kanjiprep-a-0a0a0a"
HEAD = f"{NAME}-12345678-head"
BROKEN = RemoteError("Lambda is busy or broken (HTTP 500)", "the instances at Lambda")


class Account:
    """Stands for Lambda, with time that passes when somebody waits."""

    def __init__(self, *there: Instance) -> None:
        self.there = {one.id: one for one in there}
        self.ended: list[list[str]] = []
        self.passed_s = 0.0
        self.later: list[tuple[float, Callable[[], object]]] = []
        self.ends_after_s: float | None = 10.0
        self.errors: list[RemoteError] = []
        self.clock = Clock(lambda: START + timedelta(seconds=self.passed_s), lambda: self.passed_s, self._pass)

    def _pass(self, seconds: float) -> None:
        self.passed_s += seconds
        for due in [one for one in self.later if one[0] <= self.passed_s]:
            self.later.remove(due)
            due[1]()

    def _turn(self, one: str, status: str) -> None:
        self.there[one] = replace(self.there[one], status=status)

    def instances(self) -> tuple[Instance, ...]:
        if self.errors:
            raise self.errors.pop(0)
        return tuple(self.there.values())

    def instance(self, instance_id: str) -> Instance | None:
        return self.there.get(instance_id)

    def terminate(self, ids: Iterable[str]) -> tuple[str, ...]:
        wanted = list(ids)
        if not wanted:
            return ()
        self.ended.append(wanted)
        for one in self.ended[-1]:
            if self.ends_after_s is not None:
                self._turn(one, "terminating")
                self.later.append((self.passed_s + self.ends_after_s, lambda one=one: self.there.pop(one)))  # type: ignore[misc]
        return tuple(self.ended[-1])


def machine(number: int, name: str = HEAD, status: str = "active") -> Instance:
    return Instance(f"id{number}", name, status, "198.51.100.2", "us-east-1", "gpu_1x_h100_sxm5", 4.29)


def rented(folder: Path, *ids: str, name: str = NAME, minutes: float = -60) -> Rental:
    at = stamp(START + timedelta(minutes=minutes))
    asked = Asked(name, at, "/runs/a", "gpu_1x_h100_sxm5", 4.29, 10, 42.9)
    ledger.append(folder, asked, *(Launched(name, at, one) for one in ids))
    rental = ledger.read(folder).of(name)
    assert rental is not None
    return rental


def state(folder: Path, name: str = NAME) -> str:
    rental = ledger.read(folder).of(name)
    return rental.state if rental else ""


def back(
    account: Account, folder: Path, patience_s: float = 300, **how: object
) -> tuple[Gone | StillThere, list[str]]:
    told: list[str] = []
    clock = account.clock
    return gone.give_back(account, folder, NAME, patience_s, tell=told.append, clock=clock, **how), told  # type: ignore[arg-type]


def test_only_ids_of_the_ledger_under_their_own_names_are_ended(tmp_path: Path) -> None:
    rental = rented(tmp_path, "id1", "id2", "id3", "id6")
    account = Account(
        machine(1),
        machine(2, "renamed-by-hand"),
        machine(3, status="terminating"),
        machine(4),
        machine(5, "somebody-elses"),
        machine(6, NAME),
    )
    assert gone.end(account, rental) == ("id1", "id6")
    assert account.ended == [["id1", "id6"]]


def test_what_is_given_back_is_waited_for_and_written_down(tmp_path: Path) -> None:
    rented(tmp_path, "id1")
    account = Account(machine(1), machine(9, "somebody-elses"))
    said, told = back(account, tmp_path)
    assert said == Gone(START + timedelta(seconds=15))
    assert told == [f"{NAME} is not known to be gone yet: id1 is terminating"]
    assert (account.ended, state(tmp_path)) == ([["id1"]], "gone")
    assert list(account.there) == ["id9"]


def test_one_that_is_terminated_but_still_listed_is_gone(tmp_path: Path) -> None:
    rented(tmp_path, "id1")
    said, _ = back(Account(machine(1, status="terminated")), tmp_path)
    assert isinstance(said, Gone)


def test_a_machine_that_vanished_is_gone(tmp_path: Path) -> None:
    rented(tmp_path, "id1")
    said, told = back(Account(), tmp_path)
    assert (said, told) == (Gone(START), [])


def test_a_machine_that_the_list_leaves_out_is_asked_for_by_its_id(tmp_path: Path) -> None:
    rental = rented(tmp_path, "id1")
    account = Account(machine(1))
    account.instances = tuple  # type: ignore[method-assign]
    said = gone.verify_gone(account, rental, 20, tell=print, clock=account.clock)
    assert said == StillThere(("id1",), "id1 is active")


def test_a_worker_that_nobody_wrote_down_is_found_by_its_name_and_ended(tmp_path: Path) -> None:
    rented(tmp_path, "id1")
    account = Account(machine(1), machine(2, f"{NAME}-12345678-worker"))
    said, _ = back(account, tmp_path)
    assert isinstance(said, Gone)
    assert account.ended == [["id1", "id2"]]
    assert ledger.read(tmp_path).rentals[0].ids == ("id1", "id2")


def test_a_launch_whose_answer_was_lost_is_waited_for_before_it_is_said_not_to_be(tmp_path: Path) -> None:
    rented(tmp_path, minutes=0)
    account = Account()
    account.later.append((70, lambda: account.there.update(id1=machine(1))))
    said, told = back(account, tmp_path)
    assert isinstance(said, Gone)
    assert account.ended == [["id1"]]
    assert told[0] == f"{NAME} is not known to be gone yet: it was asked for a moment ago, and may show itself late"
    assert state(tmp_path) == "gone"


def test_a_launch_that_was_refused_need_not_be_waited_for(tmp_path: Path) -> None:
    rented(tmp_path, minutes=0)
    said, told = back(Account(), tmp_path, launched_until=START - timedelta(hours=1))
    assert (said, told) == (Gone(START), [])


def test_a_second_launch_whose_answer_was_lost_is_waited_for_too(tmp_path: Path) -> None:
    rented(tmp_path, "id1", minutes=0)
    account = Account()
    said, _ = back(account, tmp_path, launched_until=START)
    assert isinstance(said, Gone)
    assert account.passed_s >= gone.SETTLED_S


def test_an_end_that_is_not_heeded_is_asked_for_again_and_then_told_loudly(tmp_path: Path) -> None:
    rented(tmp_path, "id1")
    account = Account(machine(1))
    account.ends_after_s = None
    said, _ = back(account, tmp_path, 90)
    assert str(said) == (
        "id1 may still be running and cost money: id1 is active; "
        "look at https://cloud.lambda.ai/instances and terminate it there"
    )
    assert account.ended == [["id1"]] * 3
    assert 90 <= account.passed_s < 100
    rental = ledger.read(tmp_path).rentals[0]
    assert (rental.state, rental.why) == ("lost", "id1 is active")
    assert ledger.read(tmp_path).open_rentals == (rental,)
    account.ends_after_s = 1
    assert isinstance(back(account, tmp_path)[0], Gone)
    assert state(tmp_path) == "gone"


def test_an_end_is_seen_after_the_answer_to_it_was_lost(tmp_path: Path) -> None:
    rented(tmp_path, "id1")
    account = Account(machine(1))
    account.errors = [BROKEN]
    said, told = back(account, tmp_path)
    assert isinstance(said, Gone)
    assert told[0] == "the instances at Lambda: Lambda is busy or broken (HTTP 500)"
    assert state(tmp_path) == "gone"


def test_what_cannot_be_asked_is_not_said_to_be_gone(tmp_path: Path) -> None:
    rented(tmp_path, "id1")
    account = Account(machine(1))
    account.errors = [BROKEN] * 1000
    said, told = back(account, tmp_path, 60)
    assert said == StillThere(("id1",), str(BROKEN))
    assert len(told) <= 6
    assert state(tmp_path) == "lost"


def test_a_launch_of_which_nothing_is_known_is_told_loudly_too(tmp_path: Path) -> None:
    rented(tmp_path, minutes=0)
    account = Account()
    account.errors = [BROKEN] * 1000
    said, _ = back(account, tmp_path, 30)
    assert str(said).startswith("a machine may still be running and cost money: the instances at Lambda")
    assert state(tmp_path) == "lost"


def test_a_machine_under_another_name_is_not_ended_and_not_forgotten(tmp_path: Path) -> None:
    rented(tmp_path, "id1")
    account = Account(machine(1, "mine now"))
    said, _ = back(account, tmp_path, 30)
    assert isinstance(said, StillThere)
    assert said.why == "id1 is active, under the name 'mine now', which is not ours, so that we do not end it"
    assert account.ended == []


def test_a_full_disk_keeps_no_machine_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rented(tmp_path, "id1")
    (tmp_path / ledger.FILE).chmod(0o600)

    def refuse(*_: object) -> None:
        raise RemoteError("no space left on device")

    account = Account(machine(1), machine(2))
    monkeypatch.setattr(ledger, "append", refuse)
    said, told = back(account, tmp_path)
    assert isinstance(said, Gone)
    assert account.ended == [["id1", "id2"]]
    assert told.count("no space left on device") == 3


def test_a_name_that_was_never_rented_is_told(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="nothing was rented under 'kanjiprep-a-0a0a0a'"):
        back(Account(), tmp_path)


def test_one_that_comes_back_from_the_dead_is_ended_again(tmp_path: Path) -> None:
    rented(tmp_path, "id1")
    assert isinstance(back(Account(), tmp_path)[0], Gone)
    account = Account(machine(1))
    account.ends_after_s = None
    assert isinstance(back(account, tmp_path, 30)[0], StillThere)
    assert state(tmp_path) == "lost"
    assert (tmp_path / ledger.FILE).read_text().count('"launched"') == 2


def test_leftovers_are_found_and_named(tmp_path: Path) -> None:
    first = rented(tmp_path, "id1", "id2")
    rented(tmp_path, "id4", name="kanjiprep-b-0b0b0b")
    account = Account(
        machine(1),
        machine(2, "renamed"),
        machine(3, NAME),
        machine(4, "kanjiprep-b-0b0b0b-12345678-head", "terminated"),
        machine(5, "kanjiprep-c-0c0c0c"),
        machine(6, "somebody-elses"),
    )
    found = leftovers.find_leftovers(account, tmp_path, account.clock)
    assert [(one.instance.id, one.whose) for one in found] == [
        ("id1", "ours"),
        ("id2", "renamed"),
        ("id3", "adopted"),
        ("id5", "unknown"),
    ]
    assert found[0].rental is not None
    assert found[0].rental.ids == (*first.ids, "id3")
    assert found[3] == Leftover(machine(5, "kanjiprep-c-0c0c0c"), None, "unknown")
    again = leftovers.find_leftovers(account, tmp_path, account.clock)
    assert [one.whose for one in again] == ["ours", "renamed", "ours", "unknown"]
    assert account.ended == []


def test_of_two_names_that_fit_the_longer_one_owns_the_machine(tmp_path: Path) -> None:
    longer = f"{NAME}-0b0b0b"
    rented(tmp_path)
    rented(tmp_path, name=longer)
    book = leftovers.adopt(Account(machine(1, f"{longer}-12345678-head")), tmp_path)
    assert [(rental.name, rental.ids) for rental in book.rentals] == [(NAME, ()), (longer, ("id1",))]
