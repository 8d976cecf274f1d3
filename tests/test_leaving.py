"""Whoever watches a run goes: by a signal, by Ctrl-C, with the terminal."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import pytest

from kanjiprep.cli import leaving, talk
from tests.conftest import Run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_is_heard_as_ctrl_c_is_and_no_longer_than_that(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match=number.name), leaving.heard():
        signal.raise_signal(number)
    assert signal.getsignal(number) == before


def test_what_is_done_on_the_way_out_is_not_broken_off_by_a_second_hangup() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt, match="SIGHUP"), leaving.heard():
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            signal.raise_signal(signal.SIGHUP)
            done.append("all")
    assert done == ["all"]


def test_what_nohup_has_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with leaving.heard():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_hears_nothing_and_does_not_fail() -> None:
    seen: list[object] = []

    def listen() -> None:
        with leaving.heard():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_a_command_that_is_told_to_end_says_so_and_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("kanjiprep.dataset.build.build", told)
    assert run("build") == (130, "", "error: told to end by SIGTERM; run the same command again\n")


def test_a_terminal_that_is_gone_keeps_nobody_from_leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(talk, "say", gone)
    left = leaving.Leaving(Path("runs/mine"), "mine", pytest.fail)
    assert leaving.after(left, leaving.Told("SIGHUP"), as_json=False) is False
    monkeypatch.setattr(sys, "stdout", None)
    assert leaving.after(left, leaving.Told("SIGHUP"), as_json=True) is False
