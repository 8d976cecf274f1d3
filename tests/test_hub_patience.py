from __future__ import annotations

import pytest

from kanjiprep.progress import silent
from kanjiprep.publishing.hub import patience
from kanjiprep.publishing.hub.courier import HubFault
from kanjiprep.publishing.hub.fault import Fault
from tests.fake_hub import FakeHub, patient


def test_a_deadline_has_shares_for_answers() -> None:
    long, short = patience.within(1800, print, silent), patience.within(8, print, silent)
    assert (long.call_s, long.silence_s) == (60, 180)
    assert (short.call_s, round(short.silence_s, 2)) == (2, 2.67)
    assert 0 < short.left_s() <= 8


def test_a_wait_that_would_outlast_the_deadline_is_not_begun() -> None:
    hub, said = FakeHub(), list[str]()
    hub.faults["identity"] = [Fault("busy", retry_after_s=200)]
    with pytest.raises(HubFault, match="busy"):
        patience.ask(hub, patient(said=said), "identity")
    assert said == []


def test_faults_that_stay_end_it_after_six_attempts_with_longer_and_longer_waits() -> None:
    hub, said = FakeHub(), list[str]()
    hub.faults["identity"] = [Fault("network")] * 9
    with pytest.raises(HubFault):
        patience.ask(hub, patient(said=said), "identity")
    assert [line.split("waiting ")[1].split(" s")[0] for line in said] == ["1", "2", "4", "8", "16"]
    assert len(hub.asked) == 6


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("busy", status=429), "the Hub is busy (429)"),
        (Fault("server", status=502), "the Hub has trouble (502)"),
        (Fault("timeout"), "the Hub does not answer"),
        (Fault("broken", "panic"), "panic"),
    ],
)
def test_a_fault_in_a_few_words(fault: Fault, words: str) -> None:
    assert patience.short(fault) == words


def test_bytes_are_reported_in_thousands() -> None:
    heard: list[tuple[str, int, int | None]] = []
    report = patience.reporter(patience.within(1, print, lambda *state: heard.append(state)), "send (kB)")
    report(5000, 10_000)
    report(5, 0)
    assert heard == [("send (kB)", 5, 10), ("send (kB)", 0, None)]
