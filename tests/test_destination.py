from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import HubError
from kanjiprep.publishing import destination
from kanjiprep.publishing.destination import Wish
from kanjiprep.publishing.hub.fault import Fault
from tests.fake_hub import ME, FakeHub, patient


def find(hub: FakeHub, scratch: Path, repo_id: str = "me/kanji", **more: Any) -> destination.Destination:
    return destination.find(hub, patient(), Wish(repo_id, "dataset", **more), scratch)


def test_a_repository_that_is_not_there_is_a_destination(tmp_path: Path) -> None:
    found = find(FakeHub(), tmp_path)
    assert (found.remote.exists, found.card, found.url) == (False, None, "https://hub.test/datasets/me/kanji")


def test_a_bare_name_is_in_ones_own_namespace(tmp_path: Path) -> None:
    assert find(FakeHub(), tmp_path, "kanji").wish.repo_id == "me/kanji"
    model = destination.find(FakeHub(), patient(), Wish("lora", "model"), tmp_path)
    assert model.url == "https://hub.test/me/lora"


def test_what_stands_there_is_looked_at_with_its_card_and_tags(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.has("club/kanji", {"README.md": b"theirs", "data/1.parquet": b"1"})
    hub.repos["club/kanji"]["tags"]["v1"] = "c0ffee"
    found = find(hub, tmp_path, "club/kanji", tag="v2")
    assert (found.card, found.remote.tags, found.remote.private) == ("theirs", {"v1": "c0ffee"}, False)
    assert found.remote.files["data/1.parquet"].sha256
    assert not found.remote.files["README.md"].sha256


def test_a_branch_that_is_not_there_has_no_head_and_begins_with_what_is_on_main(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.has("me/kanji", {"README.md": b"theirs"}, private=True)
    found = find(hub, tmp_path, revision="next")
    assert (found.remote.exists, found.remote.head, found.remote.private) == (True, "", True)
    assert (found.card, set(found.remote.files)) == ("theirs", {"README.md"})
    assert found.url == "https://hub.test/datasets/me/kanji/tree/next"


def test_a_tag_that_stands_elsewhere_is_told_before_the_work(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.has("me/kanji", {})
    hub.repos["me/kanji"]["tags"]["v1"] = "c0ffee"
    with pytest.raises(HubError, match="the tag 'v1' stands at another commit, c0ffee, already. Nothing was sent"):
        find(hub, tmp_path, tag="v1")


@pytest.mark.parametrize(
    ("identity", "repo_id", "says"),
    [
        (
            {"role": "read"},
            "me/kanji",
            "the token 'laptop' of me can only read; make one with write access at https://h",
        ),
        ({}, "you/kanji", "'you' is no namespace of yours; yours are me, club, readers"),
        ({}, "readers/kanji", "you may only read in 'readers'; ask for write access there"),
        (
            {"role": "fineGrained", "token": "", "scopes": {"me/other": ["repo.write"], "me": ["repo.content.read"]}},
            "me/kanji",
            "the token of me may not write here",
        ),
    ],
)
def test_a_token_that_cannot_write_there_is_refused_before_the_work(
    tmp_path: Path, identity: dict[str, Any], repo_id: str, says: str
) -> None:
    hub = FakeHub({**ME, **identity})
    with pytest.raises(HubError, match=says):
        find(hub, tmp_path, repo_id)
    assert hub.asked == ["identity"]


@pytest.mark.parametrize("scopes", [{}, {"me": ["repo.write"]}, {"me/kanji": ["repo.content.read", "repo.write"]}])
def test_a_fine_grained_token_that_may_write_there_is_taken(tmp_path: Path, scopes: dict[str, list[str]]) -> None:
    find(FakeHub({**ME, "role": "fineGrained", "scopes": scopes}), tmp_path)


def test_what_was_to_be_private_does_not_become_public(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.has("me/kanji", {})
    with pytest.raises(HubError, match="is public already, and --private was asked for"):
        find(hub, tmp_path, private=True)


@pytest.mark.parametrize(
    ("call", "fault", "says"),
    [
        (
            "identity",
            Fault("no token"),
            "https://hub.test: there is no token. Nothing was sent; make one .* run hf auth login",
        ),
        (
            "look",
            Fault("forbidden", "No.", 403),
            r"me/kanji: the token must not do this \(403\): No. Nothing was sent",
        ),
        ("content", Fault("gated", "Ask.", 403), r"me/kanji: is gated \(403\): Ask. Nothing was sent"),
    ],
)
def test_a_fault_is_told_with_what_helps(tmp_path: Path, call: str, fault: Fault, says: str) -> None:
    hub = FakeHub()
    hub.has("me/kanji", {"README.md": b"x"})
    hub.faults[call] = [fault]
    with pytest.raises(HubError, match=says):
        find(hub, tmp_path)


@pytest.mark.parametrize("more", [{"revision": "a b"}, {"tag": "a b"}, {"repo_id": "me/my kanji"}])
def test_names_are_looked_at_before_anybody_is_asked(tmp_path: Path, more: dict[str, str]) -> None:
    hub = FakeHub()
    with pytest.raises(HubError, match="is no name"):
        find(hub, tmp_path, **more)
    assert hub.asked == []


def test_a_card_that_is_no_text_is_told_and_not_written_over(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.has("me/kanji", {"README.md": b"caf\xe9"})
    with pytest.raises(HubError, match="README.md of me/kanji: is not UTF-8 text at byte 3; mend it there by hand"):
        find(hub, tmp_path)


@pytest.mark.parametrize("endpoint", ["hub.test", "https://me:secret@hub.test", "ftp://hub.test"])
def test_an_address_that_is_none_is_told_and_not_repeated(tmp_path: Path, endpoint: str) -> None:
    hub = FakeHub()
    hub.endpoint = endpoint
    with pytest.raises(
        HubError, match="HF_ENDPOINT: is no address of a Hub, or holds a password; give it as"
    ) as caught:
        find(hub, tmp_path)
    assert "secret" not in str(caught.value)
