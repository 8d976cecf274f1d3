"""The child that talks to the Hub: asked, heard, and ended."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kanjiprep.errors import HubError
from kanjiprep.publishing.hub.courier import Courier, HubFault
from tests.hub_server import Hub

earlier: set[psutil.Process] = set()


@pytest.fixture(autouse=True)
def _earlier_children_do_not_count() -> Iterator[None]:
    # A test before may have left multiprocessing's own tracker, which lives as long as this process does.
    earlier.update(psutil.Process().children(recursive=True))
    yield
    earlier.clear()


@pytest.fixture
def courier(hub: Hub, tmp_path: Path) -> Iterator[Courier]:
    with Courier({**os.environ, **hub.environment(tmp_path / "home")}) as one:
        yield one


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if child not in earlier]


def test_a_child_answers_call_after_call_and_is_gone_at_the_end(hub: Hub, tmp_path: Path) -> None:
    with Courier({**os.environ, **hub.environment(tmp_path / "home")}) as courier:
        assert courier.call("identity", 30, {})["name"] == "me"
        (first,) = children()
        assert courier.call("identity", 30, {})["endpoint"] == hub.url
        assert children() == [first]
    assert children() == []


def test_a_hub_that_says_nothing_is_waited_for_no_longer_than_agreed(hub: Hub, courier: Courier) -> None:
    courier.call("identity", 30, {})
    hub.fail("GET", "whoami", "hang")
    began = time.monotonic()
    with pytest.raises(HubFault, match="no answer within 1 s") as caught:
        courier.call("identity", 1, {})
    assert time.monotonic() - began < 5
    assert (caught.value.fault.kind, children()) == ("timeout", [])
    assert courier.call("identity", 30, {})["name"] == "me", "a new child goes on"


def test_a_child_that_dies_is_told_with_its_last_words(courier: Courier) -> None:
    courier.call("identity", 30, {})
    (one,) = children()
    one.kill()
    with pytest.raises(HubFault, match="it ended without a word") as caught:
        courier.call("identity", 30, {})
    assert caught.value.fault.kind == "died"


def test_a_child_ends_when_nobody_listens_any_more(courier: Courier) -> None:
    courier.call("identity", 30, {})
    (one,) = children()
    assert courier._process is not None
    assert courier._process.stdin is not None
    courier._process.stdin.close()
    one.wait(10)


def test_last_words_hold_no_secret(tmp_path: Path) -> None:
    (tmp_path / "huggingface_hub.py").write_text("raise SystemExit('no: ' + __import__('os').environ['HF_TOKEN'])")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "HF_TOKEN": "hf_" + "s" * 34}
    with Courier(environ) as courier, pytest.raises(HubFault) as caught:
        courier.call("identity", 30, {})
    assert caught.value.fault.what == "no: (token)"


def test_an_interrupt_ends_the_child(hub: Hub, courier: Courier, monkeypatch: pytest.MonkeyPatch) -> None:
    courier.call("identity", 30, {})

    class Interrupting:
        def get(self, timeout: float) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(courier, "_lines", Interrupting())
    with pytest.raises(KeyboardInterrupt):
        courier.call("identity", 30, {})
    assert children() == []


def test_a_python_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Courier(os.environ) as courier, pytest.raises(HubError, match="cannot be started: no such file"):
        courier.call("identity", 30, {})


def test_the_token_is_in_no_list_of_processes(hub: Hub, courier: Courier, tmp_path: Path) -> None:
    courier.call("identity", 30, {})
    (one,) = children()
    assert hub.environment(tmp_path)["HF_TOKEN"] not in " ".join(one.cmdline())
