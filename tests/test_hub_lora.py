"""An adapter of the Hub, fetched once and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import HubError, UsageError
from kanjiprep.publishing import hub_fetch, hub_lora, staging
from kanjiprep.publishing.hub.fault import Fault
from kanjiprep.publishing.hub_fetch import Wanted
from kanjiprep.training.running.attempts import WEIGHTS
from tests.fake_hub import FakeHub, patient

LORA = {"README.md": b"x", WEIGHTS: b"weights", "comfyui/workflow.json": b"{}"}


@pytest.fixture
def hub() -> FakeHub:
    found = FakeHub()
    found.has("me/kanji-lora", LORA)
    return found


def fetch(hub: FakeHub, store: Path, revision: str = "main") -> Path:
    return hub_lora.fetch(hub, patient(), Wanted("me/kanji-lora", revision, "model"), store)


def test_an_adapter_is_fetched_alone_and_once(hub: FakeHub, tmp_path: Path) -> None:
    folder = fetch(hub, tmp_path)
    assert folder == tmp_path / f"me--kanji-lora@{hub.head('me/kanji-lora')[:12]}"
    assert [(one.name, one.read_bytes()) for one in folder.iterdir()] == [(WEIGHTS, b"weights")]
    assert list((tmp_path / ".fetching").iterdir()) == []
    hub.asked.clear()
    assert fetch(hub, tmp_path) == folder
    assert fetch(hub, tmp_path, hub.head("me/kanji-lora")) == folder
    assert hub.asked == ["look"], "a commit that is here is not asked for"


def test_a_file_with_another_name_is_taken_if_it_is_the_only_one(hub: FakeHub, tmp_path: Path) -> None:
    hub.has("me/kanji-lora", {"my.safetensors": b"mine", "old/x.safetensors": b"x"})
    assert (fetch(hub, tmp_path) / WEIGHTS).read_bytes() == b"mine"


def test_a_repository_without_one_adapter_is_told(hub: FakeHub, tmp_path: Path) -> None:
    hub.has("me/kanji-lora", {"b.safetensors": b"b", "a.safetensors": b"a"})
    with pytest.raises(HubError, match=f"holds several files of weights and none of the name {WEIGHTS}: a.safe"):
        fetch(hub, tmp_path)
    hub.has("me/kanji-lora", {"README.md": b"x"})
    with pytest.raises(HubError, match=f"me/kanji-lora: holds no {WEIGHTS}; give the repository of a LoRA"):
        fetch(hub, tmp_path)


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        HubError, match="me/kanji-lora: is neither a folder here nor a model on the Hub that the token"
    ):
        fetch(FakeHub(), tmp_path)


def test_a_name_that_is_none_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(HubError):
        hub_lora.fetch(hub, patient(), Wanted("me/..", "main", "model"), tmp_path)
    assert hub.asked == []


def test_a_download_that_fails_leaves_nothing(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults["download"] = [Fault("forbidden", "No.", 403)]
    with pytest.raises(HubError, match="the token must not do this"):
        fetch(hub, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".fetching"]
    assert list((tmp_path / ".fetching").iterdir()) == []


def test_another_that_was_faster_is_believed(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = staging.opened

    @contextmanager
    def after_another(*arguments: Any, **options: Any) -> Iterator[Path]:
        monkeypatch.setattr(staging, "opened", opened)
        fetch(hub, tmp_path)
        hub.asked.clear()
        with opened(*arguments, **options) as scratch:
            yield scratch

    monkeypatch.setattr(staging, "opened", after_another)
    assert (fetch(hub, tmp_path) / WEIGHTS).is_file()
    assert hub.asked == []


def test_what_is_in_the_way_is_told(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / f"me--kanji-lora@{hub.head('me/kanji-lora')[:12]}").write_text("mine", "utf-8")
    with pytest.raises(HubError, match="cannot be put here: not a directory; move away what is there"):
        fetch(hub, tmp_path)


def test_an_address_of_a_model_is_told_without_the_option_of_datasets() -> None:
    with pytest.raises(UsageError, match="is an address; give me/kanji-lora, or me/kanji-lora@ with a tag or commit"):
        hub_fetch.parse("https://huggingface.co/me/kanji-lora", "model")
