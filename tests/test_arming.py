from __future__ import annotations

from pathlib import Path

import pytest

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote import skypilot
from kanjiprep.training.remote.shops import Missing
from kanjiprep.training.remote.sky import engine
from kanjiprep.training.remote.sky.answers import Standing
from kanjiprep.training.remote.sky.child import Engine
from kanjiprep.training.remote.skypilot import SkyPilot

SKY = SkyPilot(Engine(Path("python"), Path("home"), Path("cache")))


class Machine:
    """What SkyPilot says of a machine, and how often it was asked to arm it."""

    def __init__(self, *, ends_by_itself: bool, heeds: bool = True) -> None:
        self.ends, self.heeds, self.armed = ends_by_itself, heeds, 0

    def status(self, _engine: Engine, _cluster: str) -> Standing:
        return Standing("UP", self.ends, "us-east-1", (), ("id1",))

    def autostop(self, _engine: Engine, _cluster: str, idle_minutes: int) -> None:
        assert idle_minutes == skypilot.IDLE_MIN
        self.armed += 1
        self.ends = self.heeds


def arm(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "status", machine.status)
    monkeypatch.setattr(engine, "autostop", machine.autostop)
    SKY.arm("kanjiprep-try-0a0a0a")


def test_a_machine_that_gives_itself_back_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(ends_by_itself=True)
    arm(machine, monkeypatch)
    assert machine.armed == 0


def test_one_that_would_not_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(ends_by_itself=False)
    arm(machine, monkeypatch)
    assert machine.armed == 1


def test_one_that_does_not_heed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(ends_by_itself=False, heeds=False)
    with pytest.raises(RemoteError, match="would not give itself back if this machine were off"):
        arm(machine, monkeypatch)
    assert machine.armed == 2


def test_without_skypilot_nothing_is_armed() -> None:
    with pytest.raises(RemoteError, match="is not set up"):
        Missing(RemoteError("is not set up")).arm("kanjiprep-try-0a0a0a")
