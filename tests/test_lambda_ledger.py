from __future__ import annotations

import fcntl
import json
import os
import stat
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote.cloud import ledger
from kanjiprep.training.remote.cloud.ledger import Asked, Ending, Event, Gone, Launched, Lost, stamp

START = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)


def at(minutes: float) -> str:
    return stamp(START + timedelta(minutes=minutes))


def asked(name: str = "kanjiprep-a-0a0a0a", minutes: float = 0, **changes: object) -> Asked:
    one = Asked(name, at(minutes), "/runs/a", "gpu_1x_h100_sxm5", 4.29, 10, 42.9)
    return replace(one, **changes)  # type: ignore[arg-type]


ASKED = asked()
NAME = ASKED.name


def test_no_ledger_is_an_empty_one(tmp_path: Path) -> None:
    assert ledger.read(tmp_path / "none") == ledger.Book((), 0)


def test_nothing_is_written_for_nothing(tmp_path: Path) -> None:
    ledger.append(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_rental_is_told_from_what_happened(tmp_path: Path) -> None:
    ledger.append(tmp_path, ASKED)
    (rental,) = ledger.read(tmp_path).open_rentals
    assert (rental.state, rental.ids, rental.asked_at) == ("asked", (), START)
    assert rental.ends_at == START + timedelta(hours=10)
    for event, state in (
        (Launched(NAME, at(1), "id1"), "launched"),
        (Launched(NAME, at(2), "id2"), "launched"),
        (Launched(NAME, at(2), "id1"), "launched"),
        (Ending(NAME, at(3)), "ending"),
        (Lost(NAME, at(4), "id1", "Lambda is broken"), "lost"),
    ):
        ledger.append(tmp_path, event)
        (rental,) = ledger.read(tmp_path).open_rentals
        assert rental.state == state
    assert (rental.ids, rental.why) == (("id1", "id2"), "Lambda is broken")
    ledger.append(tmp_path, Gone(NAME, at(5)))
    book = ledger.read(tmp_path)
    assert book.open_rentals == ()
    (rental,) = book.rentals
    assert (rental.state, rental.gone_at, rental.is_open, rental.why) == (
        "gone",
        START + timedelta(minutes=5),
        False,
        "",
    )


def test_what_is_gone_stays_gone_until_it_is_seen_again() -> None:
    gone: list[Event] = [ASKED, Launched(NAME, at(1), "id1"), Gone(NAME, at(2))]
    later = [*gone, Ending(NAME, at(3)), Lost(NAME, at(3), "id1", "x"), Gone(NAME, at(4))]
    (rental,) = ledger.fold(later)
    assert (rental.state, rental.gone_at) == ("gone", START + timedelta(minutes=2))
    (rental,) = ledger.fold([*gone, Launched(NAME, at(9), "id1")])
    assert (rental.state, rental.gone_at, rental.ids) == ("launched", None, ("id1",))


def test_a_name_that_was_given_back_can_be_rented_again() -> None:
    first, second = ledger.fold([ASKED, Launched(NAME, at(1), "id1"), Gone(NAME, at(2)), asked(minutes=60)])
    assert (first.state, first.ids, second.state, second.ids) == ("gone", ("id1",), "asked", ())
    assert ledger.Book((first, second), 0).of(NAME) is second
    assert ledger.Book((first, second), 0).of("other") is None


def test_one_that_is_asked_for_again_keeps_its_time_its_ids_and_the_dearer_price() -> None:
    again = asked(minutes=5, instance_type="gpu_1x_a10", usd_per_hour=1.0)
    (rental,) = ledger.fold([ASKED, Launched(NAME, at(1), "id1"), again])
    assert (rental.asked_at, rental.ids, rental.usd_per_hour) == (START, ("id1",), 4.29)
    assert (rental.instance_type, rental.state) == ("gpu_1x_a10", "asked")


def test_what_happens_to_a_name_that_nobody_asked_for_is_no_rental() -> None:
    assert ledger.fold([Launched("x", at(0), "id1"), Gone("x", at(1))]) == ()


@pytest.mark.parametrize(
    ("ids", "minutes", "usd"),
    [(0, 0.5, 0.0715), (1, 60, 4.29), (2, 60, 8.58), (1, 60.01, 4.29 * 61 / 60), (1, -5, 0)],
)
def test_the_cost_so_far_counts_begun_minutes_of_every_machine(ids: int, minutes: float, usd: float) -> None:
    (rental,) = ledger.fold([ASKED, *(Launched(NAME, at(0), f"id{number}") for number in range(ids))])
    assert rental.cost_so_far_usd(START + timedelta(minutes=minutes)) == pytest.approx(usd)


def test_what_is_gone_costs_no_more() -> None:
    (never,) = ledger.fold([ASKED, Gone(NAME, at(2))])
    (once,) = ledger.fold([ASKED, Launched(NAME, at(1), "id1"), Gone(NAME, at(60))])
    later = START + timedelta(days=9)
    assert never.cost_so_far_usd(later) == 0
    assert once.cost_so_far_usd(later) == pytest.approx(4.29)


def test_the_ledger_is_for_its_owner_alone(tmp_path: Path) -> None:
    ledger.append(tmp_path / "new", ASKED)
    path = tmp_path / "new" / ledger.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("torn", [b'{"kind": "launched", "na', b"\x00\x00\x00", b"[" * 100_000])
def test_a_torn_line_hides_no_other(tmp_path: Path, torn: bytes) -> None:
    ledger.append(tmp_path, ASKED)
    with (tmp_path / ledger.FILE).open("ab") as file:
        file.write(torn)
    book = ledger.read(tmp_path)
    assert (len(book.open_rentals), book.unreadable) == (1, 1)
    ledger.append(tmp_path, Launched(NAME, at(1), "id1"))
    book = ledger.read(tmp_path)
    assert (book.open_rentals[0].ids, book.unreadable) == (("id1",), 1)


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "gone", "name": NAME, "at": "yesterday"},
        {"kind": "gone", "name": NAME, "at": "2026-11-27T08:00:00"},
        {"kind": "gone", "name": NAME},
        {"kind": "sold", "name": NAME, "at": at(1)},
        {"name": NAME, "at": at(1)},
        {"kind": ["gone"], "name": NAME, "at": at(1)},
        {"kind": "gone", "name": NAME, "at": "0001-01-01T00:00:00+23:59"},
        {"kind": "gone", "name": NAME, "at": "9999-12-31T23:59:59Z"},
        {"kind": "asked", "name": "a\nb", "at": at(1), "run": "", "instance_type": ""}
        | dict.fromkeys(("usd_per_hour", "max_hours", "max_usd"), 1.0),
        7,
    ],
    ids=range(10),
)
def test_a_line_that_is_not_understood_is_counted_and_ends_nothing(tmp_path: Path, line: object) -> None:
    ledger.append(tmp_path, ASKED)
    with (tmp_path / ledger.FILE).open("a") as file:
        file.write(json.dumps(line) + "\n")
    book = ledger.read(tmp_path)
    assert (len(book.open_rentals), book.unreadable) == (1, 1)


def test_what_another_version_writes_beside_what_we_know_makes_no_rental_vanish(tmp_path: Path) -> None:
    ledger.append(tmp_path, ASKED)
    path = tmp_path / ledger.FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "region": "", "new": 1}) + "\n")
    book = ledger.read(tmp_path)
    assert (len(book.open_rentals), book.unreadable) == (1, 0)


@pytest.mark.parametrize(
    "event", [asked(max_usd=float("inf")), asked(usd_per_hour=float("nan")), asked(max_hours=0), Gone(NAME, "now")]
)
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, event: Event) -> None:
    with pytest.raises(RemoteError, match="would not be understood"):
        ledger.append(tmp_path, ASKED, event)
    assert not (tmp_path / ledger.FILE).exists()


def test_a_run_folder_with_any_name_is_kept(tmp_path: Path) -> None:
    ledger.append(tmp_path, asked(run="/runs/漢字\udc80\n"))
    assert ledger.read(tmp_path).rentals[0].run == "/runs/漢字\udc80\n"


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    ledger.append(tmp_path, ASKED)
    other = os.open(tmp_path / ledger.FILE, os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    thread = threading.Thread(target=ledger.append, args=(tmp_path, Gone(NAME, at(1))))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    assert len(ledger.read(tmp_path).open_rentals) == 1
    os.close(other)
    thread.join(10)
    assert ledger.read(tmp_path).open_rentals == ()


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    names = [f"kanjiprep-{number}-0a0a0a" for number in range(20)]
    threads = [threading.Thread(target=ledger.append, args=(tmp_path, asked(name))) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    book = ledger.read(tmp_path)
    assert (sorted(rental.name for rental in book.rentals), book.unreadable) == (sorted(names), 0)


def test_a_ledger_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RemoteError, match="before anything is rented") as caught:
        ledger.append(tmp_path / "file", ASKED)
    assert caught.value.exit_code == 7
    with pytest.raises(RemoteError, match="cannot be read or written"):
        ledger.read(tmp_path / "file")


def test_a_link_to_another_file_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / ledger.FILE).symlink_to(tmp_path / "mine")
    with pytest.raises(RemoteError, match=ledger.FILE):
        ledger.append(tmp_path, ASKED)
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_ledger_that_grew_beyond_reason_is_told(tmp_path: Path) -> None:
    with (tmp_path / ledger.FILE).open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(RemoteError, match="larger than 64 MiB"):
        ledger.read(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ledger.FILE)
    with pytest.raises(RemoteError, match="is no file"):
        ledger.read(tmp_path)
    with pytest.raises(RemoteError, match="cannot be read or written"):
        ledger.append(tmp_path, ASKED)


def test_the_ledger_is_with_the_users_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert ledger.default_folder() == tmp_path / "kanjiprep"
