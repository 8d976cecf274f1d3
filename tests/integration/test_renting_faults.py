"""Renting over real HTTP with whatever can go wrong: no machine is left that costs money without a loud word."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import Interrupted, KanjiprepError, RemoteError
from kanjiprep.training.remote import holdings, renting, returning
from kanjiprep.training.remote.cloud import ledger
from kanjiprep.training.remote.cloud.api import CONSOLE
from kanjiprep.training.remote.cloud.gone import Gone
from kanjiprep.training.remote.offers import Offer
from kanjiprep.training.remote.renting import Rented
from kanjiprep.training.remote.returning import Shop, StillBilling
from kanjiprep.training.remote.sky.child import Engine
from kanjiprep.training.remote.sky.task import Task
from kanjiprep.training.remote.skypilot import MARK as MARK_VARIABLE
from kanjiprep.training.remote.skypilot import SkyPilot
from tests.lambda_cloud import ALWAYS, LAUNCH, TERMINATE, Box, LambdaCloud
from tests.renting_shop import MARK, OTHER_REGION, REGION, SSH_KEY, TYPE, Sky, account, hurried_clock, offer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RUN = Path("/runs/try")
LIST = r"GET /api/v1/instances$"
ONE = r"GET /api/v1/instances/"
ANY = r"/instance"


@dataclass(slots=True)
class World:
    cloud: LambdaCloud
    sky: Sky
    shop: Shop
    zero: float
    patch: pytest.MonkeyPatch
    told: list[str] = field(default_factory=list)
    offer: Offer = field(default_factory=offer)

    @property
    def name(self) -> str:
        return renting.name_of(self.shop, RUN)

    def box(self) -> Box:
        """The machine that is ours."""
        return next(box for box in self.cloud.instances.values() if box.ssh_key == SSH_KEY)

    def rent(self) -> Rented:
        return renting.rent(self.shop, self.offer, RUN, self.told.append)

    def back(self) -> object:
        return returning.give_back(self.shop, self.name, self.told.append)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with LambdaCloud() as cloud:
        cloud.ssh_keys[SSH_KEY] = {"id": "1", "name": SSH_KEY, "public_key": "ssh-ed25519 AAAA"}
        cloud.capacity["gpu_1x_a100_sxm4"] = (REGION, OTHER_REGION)
        zero, sky = time.time(), Sky(cloud.url)
        yield World(cloud, sky, Shop(account(cloud.url), sky, tmp_path, hurried_clock(zero)), zero, monkeypatch)


def fault(kind: Any, where: str, times: int = ALWAYS, phase: str = "", ssh: bool = True, **how: Any) -> Act:
    """A fault of Lambda's, from the beginning or from a phase of the launch on."""

    def act(world: World) -> None:
        world.sky.has_ssh = ssh
        if "hang" in kind:
            world.sky.timeout_s = 0.2
            world.shop = replace(world.shop, cloud=account(world.cloud.url, 0.2))
        plan = partial(world.cloud.fail, kind, where, times=times, **how)
        if phase:
            world.sky.at[phase] = plan
        else:
            plan()

    return act


def when(phase: str, act: Callable[[World], object], **changes: Any) -> Act:
    """Something that happens in a phase of the launch, or to SkyPilot from the beginning."""

    def prepare(world: World) -> None:
        world.sky.at[phase] = lambda: act(world)
        changed(**changes)(world)

    return prepare


def changed(**changes: Any) -> Act:
    def act(world: World) -> None:
        for name, value in changes.items():
            setattr(world.sky, name, value)

    return act


def both(*acts: Act) -> Act:
    def act(world: World) -> None:
        for one in acts:
            one(world)

    return act


def turned(status: str) -> Callable[[World], None]:
    return lambda world: world.cloud.turn(world.box().id, status)


def raising(error: BaseException) -> Callable[[World], None]:
    def act(_: World) -> None:
        raise error

    return act


def boots_for_ever(world: World) -> None:
    world.cloud.boot_s, world.sky.limit_s = 1e9, 0.1


def moves(world: World) -> None:
    world.box().ip = "127.0.0.9"


def is_full(after: int) -> Act:
    """A disk that takes so many events and no more."""

    def act(world: World) -> None:
        append, left = ledger.append, [after]

        def full(folder: Path, *events: ledger.Event) -> None:
            left[0] -= len(events)
            if events and left[0] < 0:
                raise RemoteError("the list of what is rented cannot be written: no space left on device", "disk")
            append(folder, *events)

        world.patch.setattr(ledger, "append", full)

    return act


def loses_key(world: World) -> None:
    world.cloud.key = "secret_another"


def is_told_to_end(*numbers: int) -> Callable[[World], None]:
    def act(_: World) -> None:
        for number in numbers:
            os.kill(os.getpid(), number)

    return act


def takes_ledger_away(world: World) -> None:
    (world.shop.folder / ledger.FILE).unlink()


def full_everywhere(world: World) -> None:
    world.cloud.full = {REGION, OTHER_REGION}


def full_here(world: World) -> None:
    world.cloud.full = {REGION}


def slow_end(world: World) -> None:
    world.cloud.end_s, world.sky.has_ssh = 0.2, False


Act = Callable[[World], object]
GIVEN_BACK, REFUSED, GONE, LOUD = "rented, given back", "refused, nothing asked for", "failed, gone", "loud"
BACK_LOUD = "rented, then loud"
NO_SSH = changed(has_ssh=False)

FAULTS: dict[str, tuple[Act, str]] = {
    "nothing": (lambda _: None, GIVEN_BACK),
    "429 twice before": (fault("status", ANY, 2, code=429), GIVEN_BACK),
    "429 for ever before": (fault("status", ANY, code=429), REFUSED),
    "500 twice before": (fault("status", ANY, 2, code=500), GIVEN_BACK),
    "500 for ever before": (fault("status", ANY, code=500), REFUSED),
    "hang before": (fault("hang", ANY, seconds=1), REFUSED),
    "answer of another shape before": (fault("status", LIST, code=200, body={"data": {}}), REFUSED),
    "invalid key before": (loses_key, REFUSED),
    "disk full before": (is_full(0), REFUSED),
    "price rises": (changed(usd_most=1.0), REFUSED),
    "429 at the launch": (fault("status", LAUNCH, code=429), GONE),
    "500 at the launch": (fault("status", LAUNCH, code=500), GONE),
    "500 at the launch, made": (fault("worked", LAUNCH, code=500), GONE),
    "502 without a word at the launch, made": (fault("worked", LAUNCH, code=502, body={}), GONE),
    "launch dropped": (fault("drop", LAUNCH), GONE),
    "launch dropped, made": (fault("worked_drop", LAUNCH), GONE),
    "launch hangs": (fault("hang", LAUNCH, seconds=1), GONE),
    "launch hangs, made": (fault("worked_hang", LAUNCH, seconds=1), GONE),
    "launch is a lie": (fault("lie", LAUNCH), GONE),
    "quota": (lambda world: setattr(world.cloud, "most", 0), GONE),
    "no capacity in one region": (full_here, GIVEN_BACK),
    "no capacity anywhere": (full_everywhere, GONE),
    "429 while it boots": (fault("status", ONE, 3, "posted", code=429), GONE),
    "500 while it boots": (fault("status", ONE, 3, "posted", code=500), GONE),
    "hang while it boots": (fault("hang", ONE, 1, "posted", seconds=1), GONE),
    "429 for ever while it boots": (fault("status", ANY, ALWAYS, "posted", code=429), LOUD),
    "500 for ever while it boots": (fault("status", ANY, ALWAYS, "posted", code=500), LOUD),
    "hang for ever while it boots": (fault("hang", ANY, ALWAYS, "posted", seconds=1), LOUD),
    "invalid key while it boots": (when("posted", loses_key), LOUD),
    "invalid key when it is ready": (when("ready", loses_key), BACK_LOUD),
    "never active": (boots_for_ever, GONE),
    "unhealthy": (when("posted", turned("unhealthy"), limit_s=0.1), GONE),
    "preempted while it boots": (when("posted", turned("preempted"), limit_s=0.1), GONE),
    "preempted when it is ready": (when("ready", turned("preempted")), GONE),
    "ended by another when it is ready": (when("ready", turned("terminating")), GONE),
    "vanishes while it boots": (when("posted", lambda world: world.cloud.vanish(world.box().id)), GONE),
    "vanishes when it is ready": (when("ready", lambda world: world.cloud.vanish(world.box().id)), GONE),
    "address changes": (when("ready", moves), GIVEN_BACK),
    "cannot be looked at when it is ready": (fault("status", ANY, 6, "ready", code=500), GIVEN_BACK),
    "SSH never reachable": (NO_SSH, GONE),
    "SkyPilot crashes": (when("active", raising(KeyError("head"))), GONE),
    "SkyPilot tells no id": (changed(shown=lambda one: replace(one, instance_ids=())), GONE),
    "SkyPilot tells no login": (changed(shown=lambda one: replace(one, logins=())), GONE),
    "SkyPilot does not give back": (when("down", raising(RemoteError("no")), has_ssh=False), GONE),
    "SkyPilot crashes giving back": (when("down", raising(KeyError("head")), has_ssh=False), GONE),
    "terminate is a lie once": (fault("lie", TERMINATE, 1, ssh=False), GONE),
    "terminate is a lie for ever": (fault("lie", TERMINATE, ssh=False), LOUD),
    "terminate is slow": (slow_end, GONE),
    "429 at terminate": (fault("status", TERMINATE, 2, ssh=False, code=429), GONE),
    "500 at terminate": (fault("status", TERMINATE, 2, ssh=False, code=500), GONE),
    "500 at terminate, done": (fault("worked", TERMINATE, 2, ssh=False, code=500), GONE),
    "500 for ever at terminate": (fault("status", TERMINATE, ssh=False, code=500), LOUD),
    "terminate hangs": (fault("hang", TERMINATE, 2, ssh=False, seconds=1), GONE),
    "terminate hangs, done": (fault("worked_hang", TERMINATE, 2, ssh=False, seconds=1), GONE),
    "429 while its end is seen": (fault("status", ANY, 4, "down", ssh=False, code=429), GONE),
    "500 for ever while its end is seen": (fault("status", ANY, ALWAYS, "down", ssh=False, code=500), LOUD),
    "hang while its end is seen": (fault("hang", ANY, 4, "down", ssh=False, seconds=1), GONE),
    "disk full after it was asked for": (is_full(1), GONE),
    "disk full after it was launched": (both(is_full(2), when("ready", turned("preempted"))), GONE),
    "list taken away, no SSH": (when("active", takes_ledger_away, has_ssh=False), GONE),
    "list taken away": (when("ready", takes_ledger_away), GONE),
    "Ctrl-C before the launch": (when("launch", is_told_to_end(signal.SIGINT)), REFUSED),
    "Ctrl-C while it boots": (when("posted", is_told_to_end(signal.SIGINT)), GONE),
    "SIGTERM while it boots": (when("posted", is_told_to_end(signal.SIGTERM)), GONE),
    "SIGHUP when it is ready": (when("ready", is_told_to_end(signal.SIGHUP)), GONE),
    "SIGTERM twice": (
        both(when("posted", is_told_to_end(signal.SIGTERM)), when("down", is_told_to_end(signal.SIGTERM))),
        GONE,
    ),
    "in a hurry": (
        both(
            when("posted", is_told_to_end(signal.SIGINT)),
            when("down", is_told_to_end(signal.SIGINT, signal.SIGINT)),
        ),
        LOUD,
    ),
}


def outcome(world: World, expected: str) -> str:
    world.shop = replace(world.shop, patience_s=120 if "loud" in expected else 4000)
    try:
        rented = world.rent()
    except StillBilling as error:
        return LOUD if CONSOLE in str(error) and error.exit_code == 7 else "not loud enough"
    except (KanjiprepError, KeyError):
        return GONE if world.cloud.asked(LAUNCH) else REFUSED
    assert rented.login.ip == world.box().ip
    assert rented.rental.ids == (world.box().id,)
    said = world.back()
    assert isinstance(said, Gone) or CONSOLE in str(said)
    return GIVEN_BACK if isinstance(said, Gone) else BACK_LOUD


@pytest.mark.parametrize("what", FAULTS)
def test_no_machine_costs_money_without_a_loud_word(world: World, what: str) -> None:
    prepare, expected = FAULTS[what]
    others = [
        world.cloud.add(name)
        for name in ("mine", f"my-{world.name}", f"{world.name[:-1]}-{MARK}-head", f"{world.name}0-{MARK}-head")
    ]
    prepare(world)
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    said = outcome(world, expected)
    assert all(one.met for one in world.cloud.faults)
    running = [box.name for box in world.cloud.billing() if box not in others]
    assert (said, bool(running) and "loud" not in said) == (expected, False), "\n".join(world.told)
    assert {"active"} == {box.status for box in others}
    assert before == [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


@pytest.mark.parametrize("what", [what for what, (_, expected) in FAULTS.items() if "loud" in expected])
def test_what_was_said_loudly_can_be_given_back_when_the_world_is_well_again(world: World, what: str) -> None:
    prepare, expected = FAULTS[what]
    prepare(world)
    key = world.cloud.key
    assert outcome(world, expected) == expected
    line = holdings.reminder(world.shop.folder, world.shop.clock.now())
    assert line is not None
    assert world.name in line
    world.cloud.faults.clear()
    world.cloud.key = key
    world.sky.at.clear()
    world.shop = replace(world.shop, patience_s=8000)
    assert isinstance(world.back(), Gone)
    assert world.cloud.billing() == []
    assert holdings.reminder(world.shop.folder, world.shop.clock.now()) is None


def test_what_went_wrong_first_is_what_is_raised(world: World) -> None:
    world.sky.has_ssh = False
    with pytest.raises(RemoteError, match=r"it went wrong \(ssh\)"):
        world.rent()
    world.sky.at["posted"] = lambda: os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted, match="told to end by SIGTERM"):
        world.rent()
    assert world.cloud.billing() == []


def test_of_two_who_rent_at_once_the_second_is_refused(world: World) -> None:
    posted, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        posted.set()
        go_on.wait(10)

    world.sky.at["posted"] = wait
    first: list[Rented] = []
    thread = threading.Thread(target=lambda: first.append(world.rent()))
    thread.start()
    try:
        assert posted.wait(10)
        with pytest.raises(RemoteError, match="another process rents a machine for this run right now"):
            world.rent()
    finally:
        go_on.set()
        thread.join()
    with pytest.raises(RemoteError, match="a machine is rented for this run already"):
        world.rent()
    assert len(world.cloud.billing()) == len(first) == len(world.cloud.asked(LAUNCH)) == 1
    assert isinstance(world.back(), Gone)
    assert isinstance(world.back(), Gone)
    assert world.cloud.billing() == []


KILLED = {
    "launch": "before it is asked for",
    "posted": "when it is asked for",
    "active": "when it is active",
    "ready": "before it is written down",
    "torn": "while it is written down",
    "look": "when it is written down",
    "rented": "when it works",
    "down": "when SkyPilot gives it back",
    "end": "when we give it back",
    "ended": "when it was given back",
}


@pytest.mark.parametrize("phase", KILLED)
def test_what_was_rented_by_one_who_was_killed_is_told_of_and_given_back(world: World, phase: str) -> None:
    words = [world.cloud.url, str(world.shop.folder), str(world.zero), phase]
    done = subprocess.run([sys.executable, "-m", "tests.renting_shop", *words], check=False, cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL
    line = holdings.reminder(world.shop.folder, world.shop.clock.now())
    assert line is not None
    assert world.name in line
    assert "1.99 USD an hour" in line
    held = holdings.standing(world.shop)
    assert [one.name for one in held] == ([world.name] if phase != "ended" else [])
    assert [one for each in held for one in each.ids] == [box.id for box in world.cloud.billing()]
    if world.cloud.billing():
        with pytest.raises(RemoteError, match="is rented for this run already"):
            world.rent()
    assert isinstance(world.back(), Gone)
    assert world.cloud.billing() == []
    assert holdings.reminder(world.shop.folder, world.shop.clock.now()) is None
    assert holdings.standing(world.shop) == ()


@pytest.mark.parametrize("ignores", [False, True])
def test_a_launch_that_outlived_the_one_who_asked_is_cut_off(tmp_path: Path, ignores: bool) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    line = [sys.executable, "-c", code if ignores else code.replace("SIG_IGN", "SIG_DFL")]
    ours, other = (
        subprocess.Popen(line, env={MARK_VARIABLE: name}, stdout=subprocess.PIPE)
        for name in ("kanjiprep-try-0a0a0a", "kanjiprep-try-0a0a0b")
    )
    sky = SkyPilot(Engine(Path("python"), tmp_path, tmp_path), 0.3)
    with ours, other:
        try:
            assert [one.stdout and one.stdout.readline() for one in (ours, other)] == [b"up\n", b"up\n"]
            assert sky.cut_off("kanjiprep-try-0a0a0a")
            assert ours.wait(10) == -(signal.SIGKILL if ignores else signal.SIGTERM)
            assert other.poll() is None
            assert not sky.cut_off("kanjiprep-try-0a0a0a")
        finally:
            ours.kill()
            other.kill()


def test_a_launch_bears_the_mark_by_which_it_is_found(tmp_path: Path) -> None:
    done: dict[str, Any] = {"cluster": "c", "user": "u", "ips": ["127.0.0.1"], "key_file": "k", "region": REGION}
    done |= {"instance_ids": ["i"], "usd_per_hour": 1.99}
    python = tmp_path / "python"
    answer = json.dumps({"done": done})
    python.write_text(f"#!/bin/sh\ncat > asked\necho \"$KANJIPREP_RENTAL\" > mark\necho '{answer}'\n")
    python.chmod(0o755)
    sky = SkyPilot(Engine(python, tmp_path, tmp_path / "cache"))
    assert sky.launch(Task("kanjiprep-try-0a0a0a", TYPE, 1.99, 1)).instance_ids == ("i",)
    assert (tmp_path / "mark").read_text() == "kanjiprep-try-0a0a0a\n"
    assert sky.down("kanjiprep-try-0a0a0a")
    assert (tmp_path / "mark").read_text() == "\n"
    assert json.loads((tmp_path / "asked").read_text())["verb"] == "down"
