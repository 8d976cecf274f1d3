from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import HubError, Interrupted
from kanjiprep.publishing import delivery, destination
from kanjiprep.publishing.delivery import Delivered
from kanjiprep.publishing.destination import Wish
from kanjiprep.publishing.hub.fault import Fault, Kind
from kanjiprep.publishing.parcel import Parcel
from tests.fake_hub import FakeHub, parcel_of, patient

FILES = {"README.md": b"card", "data/1.parquet": b"one"}
OLD = {"README.md": b"old card", "data/0.parquet": b"zero", "theirs.txt": b"theirs"}


def deliver(hub: FakeHub, parcel: Parcel, said: list[str] | None = None, **more: Any) -> Delivered:
    there = destination.find(hub, patient(), Wish("me/kanji", "dataset", **more), Path())
    hub.asked.clear()
    return delivery.deliver(hub, patient(said=said), there, parcel)


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
def packed(tmp_path: Path) -> Parcel:
    return parcel_of(tmp_path / "out", FILES)


def test_a_new_repository_is_made_filled_compared_and_tagged(hub: FakeHub, packed: Parcel) -> None:
    done = deliver(hub, packed, tag="v1")
    head = hub.head("me/kanji")
    assert (done.status, done.commit, done.created, done.removed) == ("pushed", head, True, ())
    assert done.sent == {"README.md": 4, "data/1.parquet": 3}
    assert hub.asked == ["create", "look", "send", "look", "tag", "tags"]
    assert hub.repos["me/kanji"]["tags"] == {"v1": head}


def test_the_same_again_sends_nothing(hub: FakeHub, packed: Parcel) -> None:
    first = deliver(hub, packed, tag="v1")
    again = deliver(hub, packed, tag="v1")
    assert (again.status, again.commit, again.sent, again.created) == ("unchanged", first.commit, {}, False)
    assert hub.asked == []
    deliver(hub, packed, tag="v2")
    assert hub.asked == ["tag", "tags"]


def test_what_an_earlier_push_left_goes_and_what_others_put_there_stays(hub: FakeHub, packed: Parcel) -> None:
    hub.has("me/kanji", OLD)
    head = hub.head("me/kanji")
    done = deliver(hub, packed)
    assert (done.removed, done.created, hub.parents) == (("data/0.parquet",), False, [head])
    assert set(hub.repos["me/kanji"]["branches"]["main"]) == {*FILES, "theirs.txt"}


def test_a_branch_is_made_where_it_is_missing(hub: FakeHub, packed: Parcel) -> None:
    hub.has("me/kanji", OLD)
    deliver(hub, packed, revision="next")
    assert hub.asked == ["branch", "look", "send", "look"]
    assert hub.repos["me/kanji"]["branches"]["main"] == OLD


def test_a_card_that_somebody_wrote_meanwhile_is_not_written_over(packed: Parcel) -> None:
    class Busy(FakeHub):
        def _create(self, repo_id: str, repo_type: str, private: bool) -> str:
            self.has(repo_id, {"README.md": b"theirs"})
            return repo_id

    hub = Busy()
    with pytest.raises(HubError, match="somebody else wrote its card meanwhile, and nothing of yours was sent"):
        deliver(hub, packed)
    assert hub.repos["me/kanji"]["branches"]["main"] == {"README.md": b"theirs"}


def test_a_dry_run_sends_nothing_and_refuses_what_would_be_refused(hub: FakeHub, packed: Parcel) -> None:
    patience = patient()
    there = destination.find(hub, patience, Wish("me/kanji", "dataset", tag="v1"), Path())
    done = delivery.deliver(hub, patience, there, packed, dry_run=True)
    assert (done.status, done.commit, hub.repos) == ("dry run", "", {})
    hub.has("me/kanji", OLD)
    hub.repos["me/kanji"]["tags"]["v1"] = hub.head("me/kanji")
    there = destination.find(hub, patience, Wish("me/kanji", "dataset", tag="v1"), Path())
    with pytest.raises(HubError, match="the tag 'v1' stands at another commit"):
        delivery.deliver(hub, patience, there, packed, dry_run=True)


def test_a_tag_that_stands_elsewhere_is_refused_before_anything_is_sent(hub: FakeHub, packed: Parcel) -> None:
    hub.has("me/kanji", OLD)
    hub.repos["me/kanji"]["tags"]["v1"] = hub.head("me/kanji")
    with pytest.raises(
        HubError, match=r"the tag 'v1' stands at another commit, \w{12}, already. Nothing was sent; give"
    ):
        deliver(hub, packed, tag="v1")
    assert hub.asked == []


@pytest.mark.parametrize("kind", ["busy", "server", "network", "no hub", "timeout", "died", "conflict"])
def test_a_fault_that_passes_is_waited_out_and_said(hub: FakeHub, packed: Parcel, kind: Kind) -> None:
    hub.faults["send"] = [Fault(kind), Fault(kind, retry_after_s=7)]
    said: list[str] = []
    assert deliver(hub, packed, said).status == "pushed"
    assert len(said) == 2
    assert "waiting 1 s, then attempt 2 of 6" in said[0]
    assert "waiting 7 s, as it asks, then attempt 3 of 6" in said[1]


@pytest.mark.parametrize("kind", ["network", "timeout", "conflict", "server"])
def test_a_reply_that_was_lost_is_no_failure_and_no_second_commit(hub: FakeHub, packed: Parcel, kind: Kind) -> None:
    hub.faults["send"], hub.lost = [Fault(kind)], {"send"}
    assert deliver(hub, packed).commit == hub.head("me/kanji")
    assert hub.asked == ["create", "look", "send", "look", "look"]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("forbidden", "the token must not do this"),
        ("too large", "the Hub finds it too large"),
        ("invalid", "the client refuses it"),
        ("no xet", "does not know the uploads of hf_xet. So far .*; give --no-xet"),
    ],
)
def test_a_fault_for_good_is_told_at_once_with_how_things_stand(
    hub: FakeHub, packed: Parcel, kind: Kind, says: str
) -> None:
    hub.has("me/kanji", OLD)
    hub.faults["send"] = [Fault(kind)]
    with pytest.raises(HubError, match=says) as caught:
        deliver(hub, packed)
    assert "So far nothing has changed there" in str(caught.value)
    assert hub.repos["me/kanji"]["branches"]["main"] == OLD


def test_an_end_of_patience_says_whether_anything_arrived(hub: FakeHub, packed: Parcel) -> None:
    hub.faults["send"] = [Fault("server", "Oops.", 503)] * 6
    with pytest.raises(
        HubError, match=r"trouble \(503\): Oops. An empty repository was made, and so far nothing else"
    ):
        deliver(hub, packed)
    assert hub.asked.count("send") == 6


def test_when_the_hub_tells_nothing_neither_do_we(hub: FakeHub, packed: Parcel) -> None:
    hub.has("me/kanji", OLD)
    hub.faults["send"] = [Fault("forbidden")]
    hub.faults["look"] = [None, Fault("network"), Fault("network")]
    with pytest.raises(
        HubError, match="Whether anything arrived is not known; the same command looks before it sends"
    ):
        deliver(hub, packed)


class _Meddler(FakeHub):
    """Somebody else changes the repository just before we send."""

    def call(self, name: str, *arguments: Any, **more: Any) -> Any:
        if name == "send":
            self.repos["me/kanji"]["branches"]["main"]["other.txt"] = b"meanwhile"
        return super().call(name, *arguments, **more)


def test_a_change_of_somebody_else_meanwhile_is_told(packed: Parcel) -> None:
    hub = _Meddler()
    hub.has("me/kanji", OLD)
    hub.faults["send"] = [Fault("conflict", status=412)]
    with pytest.raises(
        HubError, match="somebody else has changed it meanwhile, and nothing of yours arrived; run the"
    ):
        deliver(hub, packed)
    assert hub.asked.count("send") == 1


def test_files_that_differ_from_what_was_sent_are_told(hub: FakeHub, packed: Parcel, tmp_path: Path) -> None:
    (tmp_path / "out" / "data" / "1.parquet").write_bytes(b"two")
    with pytest.raises(
        HubError, match=r"holds other files at \w{12} than were sent: data/1.parquet; do not use that"
    ):
        deliver(hub, packed)


@pytest.mark.parametrize("call", ["create", "branch", "tag"])
def test_what_was_made_though_the_hub_said_no_was_made(hub: FakeHub, packed: Parcel, call: str) -> None:
    hub.faults[call], hub.lost = [Fault("network")] * 9, {call}
    if call == "branch":
        hub.has("me/kanji", OLD)
    done = deliver(hub, packed, tag="v1", revision="next" if call == "branch" else "main")
    assert hub.repos["me/kanji"]["tags"] == {"v1": done.commit}


@pytest.mark.parametrize("call", ["create", "branch"])
def test_when_nobody_knows_whether_something_was_made_that_is_said(hub: FakeHub, packed: Parcel, call: str) -> None:
    looks: list[Fault | None] = [None, None] if call == "branch" else [None]
    hub.faults = {call: [Fault("forbidden")], "look": [*looks, Fault("network")]}
    if call == "branch":
        hub.has("me/kanji", OLD)
    with pytest.raises(HubError, match="No file was sent, and whether more was made is not known"):
        deliver(hub, packed, revision="next" if call == "branch" else "main")


def test_a_tag_that_was_put_elsewhere_meanwhile_is_told(hub: FakeHub, packed: Parcel) -> None:
    class Racing(FakeHub):
        def _tag(self, repo_id: str, repo_type: str, tag: str, commit: str) -> None:
            self.repos[repo_id]["tags"][tag] = "c0ffee"

    with pytest.raises(HubError, match=r"the tag 'v1' was put on another commit, c0ffee, meanwhile. All files stand"):
        deliver(Racing(), packed, tag="v1")


def test_a_tag_that_was_taken_and_is_not_there_is_told(hub: FakeHub, packed: Parcel) -> None:
    class Forgetting(FakeHub):
        def _tag(self, repo_id: str, repo_type: str, tag: str, commit: str) -> None:
            """Say yes, and do nothing."""

    with pytest.raises(HubError, match="it took the tag and has none. All files .*, and only the tag is missing"):
        deliver(Forgetting(), packed, tag="v1")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("create", "Nothing was sent"),
        ("branch", "Nothing was sent"),
        ("tag", r"All files stand there as \w{12}, and only the tag is missing"),
    ],
)
def test_a_failure_on_the_way_says_how_far_it_came(hub: FakeHub, packed: Parcel, call: str, says: str) -> None:
    if call == "branch":
        hub.has("me/kanji", OLD)
    hub.faults[call] = [Fault("forbidden")]
    with pytest.raises(HubError, match=says):
        deliver(hub, packed, tag="v1", revision="next" if call == "branch" else "main")


def test_a_compare_that_fails_says_that_it_was_sent(hub: FakeHub, packed: Parcel) -> None:
    hub.has("me/kanji", OLD)
    hub.faults["look"] = [None, Fault("forbidden")]
    with pytest.raises(HubError, match="It was sent, and could not be compared; the same command does that first"):
        deliver(hub, packed)


@pytest.fixture
def in_two(tmp_path: Path) -> Callable[[], Parcel]:
    from kanjiprep.progress import silent
    from kanjiprep.publishing import parcel

    def make() -> Parcel:
        parcel_of(tmp_path / "first", {"a.png": b"a"})
        parcel_of(tmp_path / "last", {"metadata.csv": b"rows"})
        return parcel.pack(
            [tmp_path / "first", tmp_path / "last"], lambda path: path.startswith("data/"), "x", silent
        )

    return make


def test_of_two_folders_the_second_takes_what_is_stale_away(hub: FakeHub, in_two: Callable[[], Parcel]) -> None:
    hub.has("me/kanji", OLD)
    done = deliver(hub, in_two())
    assert hub.asked == ["send", "send", "look"]
    assert (hub.parents, done.removed) == (["", ""], ("data/0.parquet",))


def test_a_failure_between_two_folders_says_that_some_files_arrived(
    hub: FakeHub, in_two: Callable[[], Parcel]
) -> None:
    hub.has("me/kanji", OLD)
    hub.faults["send"] = [None, Fault("forbidden")]
    with pytest.raises(HubError, match="Some files arrived, and the captions did not yet"):
        deliver(hub, in_two())


def test_what_was_to_be_private_does_not_go_where_somebody_made_it_public(packed: Parcel) -> None:
    class Public(FakeHub):
        def _create(self, repo_id: str, repo_type: str, private: bool) -> str:
            self.has(repo_id, {})
            return repo_id

    hub = Public()
    with pytest.raises(HubError, match="somebody made it public meanwhile, and --private was asked for. Nothing of"):
        deliver(hub, packed, private=True)
    assert hub.repos["me/kanji"]["branches"]["main"] == {}


def test_ctrl_c_while_sending_says_that_nobody_knows(packed: Parcel) -> None:
    class Interrupting(FakeHub):
        def _send(self, **arguments: Any) -> str:  # type: ignore[override]
            raise KeyboardInterrupt

    with pytest.raises(
        Interrupted, match="interrupted while sending to me/kanji; whether it arrived is not known; run"
    ):
        deliver(Interrupting(), packed)


def test_a_commit_that_lands_after_the_last_attempt_is_no_failure(packed: Parcel) -> None:
    class Late(FakeHub):
        late = 0

        def _look(self, **arguments: Any) -> Any:  # type: ignore[override]
            self.late += "send" in self.asked
            if self.late == 2:  # the first is the attempt's own
                self.repos["me/kanji"]["branches"]["main"] |= FILES
            return super()._look(**arguments)

    hub = Late()
    hub.faults["send"] = [Fault("refused", "Late.", 400)]
    assert deliver(hub, packed).status == "pushed"
    assert hub.asked.count("send") == 1
