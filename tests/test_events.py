from __future__ import annotations

import json
import typing
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.training.running import events
from kanjiprep.training.running.events import (
    Alert,
    Attempt,
    Checkpoint,
    Entry,
    Event,
    Exit,
    Stage,
    Step,
    Validation,
)
from kanjiprep.training.running.moments import Moment
from kanjiprep.training.running.processes import Identity

BOOT: Final = "0a1b2c3d"
TRAINER: Final = Identity(4242, 99, BOOT)


def moment(up_s: float = 0.0, boot: str = BOOT, day_s: float | None = None) -> Moment:
    """A moment ``up_s`` after the machine was switched on; ``day_s`` after a certain midnight, or as much."""
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=up_s if day_s is None else day_s)
    return Moment(at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), up_s, boot)


def attempt(**changes: Any) -> Attempt:
    return replace(Attempt(1, "start", 0, 0, 100, "output", TRAINER, 0, 0, "", 1e-4), **changes)


def step(number: int, loss: float | None = 0.5, gradient: float | None = 0.01, **changes: Any) -> Step:
    return replace(Step(number, loss, gradient, 1e-4, 2.0, 1.0), **changes)


ONE_OF_EACH: Final[tuple[Event, ...]] = (
    attempt(),
    Stage("caching pictures", 3, 24),
    step(7),
    Checkpoint(8, "output/checkpoint-8", 1024),
    Validation(8, "亜", "output/validation_images/step_8_亜_0_256x256.png", ("black", "noise")),
    Alert("explosion", "error", 9, "the gradient is up to 30.0 times its usual level", 4),
    Exit("rolled back", -15, "as said", 9),
)


def _values(kind: Any) -> st.SearchStrategy[Any]:
    if kind in events.KINDS.values() or kind is Identity:
        hints = typing.get_type_hints(kind)
        values = {one.name: _values(hints[one.name]) for one in fields(kind)}
        if kind is Attempt:
            values["output"] = st.sampled_from(["output", "attempt-2/output", "attempt-17/output"])
        return st.builds(kind, **values)
    if typing.get_origin(kind) is typing.Literal:
        return st.sampled_from(typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return st.lists(st.text(), max_size=3).map(tuple)
    if type(None) in typing.get_args(kind):
        return st.none() | _values(next(one for one in typing.get_args(kind) if one is not type(None)))
    return {
        int: st.integers(-(10**15), 10**15),
        float: st.floats(-1e15, 1e15),
        str: st.text(),
    }[kind]


_MOMENTS: Final = st.builds(
    Moment,
    st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    st.floats(0, 1e9),
    st.text("0123456789abcdef", max_size=8),
)
_ENTRIES: Final = st.builds(Entry, _MOMENTS, st.one_of([_values(kind) for kind in events.KINDS.values()]))


@given(_ENTRIES)
def test_every_event_is_one_line_that_gives_it_back(entry: Entry) -> None:
    line = events.line(entry)
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    assert events.entry(line) == entry


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: event.kind)
def test_every_kind_is_written_with_its_name_first_and_its_moment(event: Event) -> None:
    line = events.line(Entry(moment(5.25), event))
    table = json.loads(line)
    assert list(table)[:4] == ["kind", "at", "up_s", "boot"]
    assert (table["kind"], table["up_s"]) == (event.kind, 5.25)
    assert events.entry(line) == Entry(moment(5.25), event)


def test_the_list_of_kinds_is_closed_and_whole() -> None:
    assert sorted(events.KINDS) == ["alert", "attempt", "checkpoint", "exit", "stage", "step", "validation"]
    assert set(events.KINDS.values()) == set(typing.get_args(Event))


def test_what_is_not_ascii_is_written_as_it_is() -> None:
    assert "亜".encode() in events.line(Entry(moment(), ONE_OF_EACH[4]))


def table_of(event: Event, **changes: object) -> bytes:
    table = json.loads(events.line(Entry(moment(), event)))
    kept = {name: value for name, value in (table | changes).items() if value != "left out"}
    return json.dumps(kept).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}",
        b"[]",
        b"null",
        b'"step"',
        b"7",
        b"\x00\xff",
        b"[" * 100_000,
        events.line(Entry(moment(), step(1)))[:-5],
        events.line(Entry(moment(), step(1))) * 2,
        table_of(step(1), kind="stride"),
        table_of(step(1), kind=["step"]),
        table_of(step(1), kind="left out"),
        table_of(step(1), kind="stage"),
        table_of(step(1), at="left out"),
        table_of(step(1), at=12),
        table_of(step(1), at="yesterday"),
        table_of(step(1), at="2026-01-01T00:00:00"),
        table_of(step(1), up_s="12"),
        table_of(step(1), up_s=None),
        table_of(step(1), boot=None),
        table_of(step(1), loss="left out"),
        table_of(step(1), loss="0.5"),
        table_of(step(1), loss=True),
        table_of(step(1), loss=float("nan")),
        table_of(step(1), gradient=float("inf")),
        table_of(step(1), seconds=float("-inf")),
        table_of(step(1)).replace(b"0.5", b"1e999"),
        table_of(step(1), step=1.0),
        table_of(step(1), step=None),
        table_of(step(1), colour="red"),
        table_of(attempt(), learning_rate=float("nan")),
        table_of(attempt(), trainer={"pid": 1, "started": 2}),
        table_of(attempt(), why="because"),
        table_of(Exit("failed", 1, "", 3), status="well"),
        table_of(ONE_OF_EACH[4], faults="black"),
        table_of(ONE_OF_EACH[4], faults=[1]),
        table_of(ONE_OF_EACH[5], severity="fatal"),
    ],
)
def test_a_line_that_is_none_of_ours_is_none(line: bytes) -> None:
    assert events.entry(line) is None


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: event.kind)
def test_a_field_too_few_or_too_many_makes_a_line_none_of_ours(event: Event) -> None:
    for one in fields(event):
        assert events.entry(table_of(event, **{one.name: "left out"})) is None
    assert events.entry(table_of(event, another=1)) is None
    assert events.entry(table_of(event)) == Entry(moment(), event)


@given(st.binary())
def test_no_bytes_are_more_than_it_can_take(data: bytes) -> None:
    assert events.entry(data) is None


@given(st.sampled_from(ONE_OF_EACH), st.data())
def test_no_line_with_bytes_changed_is_more_than_it_can_take(event: Event, data: st.DataObject) -> None:
    line = bytearray(events.line(Entry(moment(1.5), event)))
    for _ in range(3):
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    entry = events.entry(bytes(line[: data.draw(st.integers(0, len(line)))]))
    assert entry is None or events.entry(events.line(entry)) == entry


@pytest.mark.parametrize(
    "changes",
    [
        {"output": "../elsewhere"},
        {"output": "/etc"},
        {"output": "a\0b"},
        {"total_steps": 10**400},
        {"log_from": -(10**16)},
    ],
)
def test_an_attempt_that_no_run_can_have_is_not_understood(changes: dict[str, Any]) -> None:
    table = json.loads(events.line(Entry(moment(), attempt()))) | changes
    assert events.entry(json.dumps(table).encode()) is None
