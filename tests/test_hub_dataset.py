from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kanjiprep import receipt
from kanjiprep.errors import DatasetError, HubError, UsageError
from kanjiprep.progress import silent
from kanjiprep.publishing import hub_dataset, hub_fetch, push, staging
from kanjiprep.publishing.destination import Wish
from kanjiprep.publishing.hub.fault import Fault
from kanjiprep.publishing.hub_fetch import Wanted
from kanjiprep.publishing.layouts import Layout
from kanjiprep.publishing.push import Pushed, PushRequest
from kanjiprep.training import pictures
from tests.fake_hub import FakeHub, patient

Push = Callable[..., Pushed]


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
def pushed(hub: FakeHub, dataset: Path, tmp_path: Path) -> Push:
    def push_it(layout: Layout = "parquet", **more: Any) -> Pushed:
        request = PushRequest(dataset, Wish("me/kanji", "dataset"), layout, False, False, 1, tmp_path / "staging", {})
        return push.push(replace(request, **more), hub, patient())

    return push_it


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("me/kanji", Wanted("me/kanji")),
        ("me/kanji@v1.0", Wanted("me/kanji", "v1.0")),
        ("me/kanji@release/1", Wanted("me/kanji", "release/1")),
        ("dataset", None),
        ("dataset/", None),
        ("./me/kanji", None),
        ("../me", None),
        ("/me/kanji", None),
        ("~/kanji", None),
        ("a/b/c", None),
        ("runs/sd35-large-lroa", None),
        ("loras/kanji.safetensors", None),
    ],
)
def test_a_repository_is_told_from_a_path(text: str, wanted: Wanted | None) -> None:
    assert hub_fetch.parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "help_"),
    [
        ("https://huggingface.co/datasets/me/kanji", "give me/kanji, or me/kanji@ with a tag or commit"),
        ("datasets/me/kanji", "give me/kanji, or"),
        ("hf://x", "give REPO_ID, or"),
    ],
)
def test_an_address_is_no_repository(text: str, help_: str) -> None:
    with pytest.raises(UsageError, match=f"--dataset: {text!r} is an address; {help_}"):
        hub_fetch.parse(text)


def test_a_folder_that_is_there_wins_over_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me" / "kanji@v1").mkdir(parents=True)
    assert hub_fetch.parse("me/kanji@v1") is None
    assert hub_fetch.parse("me/kanji") is not None


@pytest.mark.parametrize("layout", ["parquet", "files"])
def test_what_was_pushed_comes_back_byte_for_byte(
    hub: FakeHub, dataset: Path, pushed: Push, tmp_path: Path, layout: Layout
) -> None:
    done = pushed(layout)
    folder = hub_dataset.fetch(hub, patient(), Wanted("me/kanji"), tmp_path / "store")
    names = sorted(path.name for path in dataset.iterdir())
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in set(names) - {"README.md", receipt.NAME}:
        assert (folder / name).read_bytes() == (dataset / name).read_bytes(), name
    assert pictures.read(folder, silent).hub == f"me/kanji@{done.hub.commit}"
    assert {path.name for path in (tmp_path / "store").iterdir()} == {folder.name, ".fetching"}
    assert list((tmp_path / "store" / ".fetching").iterdir()) == []


def test_a_commit_that_is_here_is_not_asked_for(hub: FakeHub, pushed: Push, tmp_path: Path) -> None:
    done = pushed()
    first = hub_dataset.fetch(hub, patient(), Wanted("me/kanji"), tmp_path / "store")
    hub.asked.clear()
    assert hub_dataset.fetch(hub, patient(), Wanted("me/kanji"), tmp_path / "store") == first
    assert hub.asked == ["look"]
    assert hub_dataset.fetch(hub, patient(), Wanted("me/kanji", done.hub.commit), tmp_path / "store") == first
    assert hub.asked == ["look"]


def fetch(hub: FakeHub, store: Path, revision: str = "main", repo_id: str = "me/kanji") -> Path:
    return hub_dataset.fetch(hub, patient(), Wanted(repo_id, revision), store)


def test_what_is_not_there_is_told(hub: FakeHub, pushed: Push, tmp_path: Path) -> None:
    pushed()
    with pytest.raises(HubError, match="you/kanji: is neither a folder here nor a dataset on the Hub that the token"):
        fetch(hub, tmp_path, repo_id="you/kanji")
    with pytest.raises(HubError, match="me/kanji: has no revision 'v9'; give a branch, tag or commit of it"):
        fetch(hub, tmp_path, "v9")
    hub.faults["look"] = [Fault("unauthorized", "Bad.", 401)]
    with pytest.raises(HubError, match=r"me/kanji \(no folder here\): the token is refused \(401\): Bad"):
        fetch(hub, tmp_path)


@pytest.mark.parametrize("files", [{"README.md": b"x"}, {"metadata.csv": b"file_name,text\n"}, {"a.png": b"x"}])
def test_a_repository_without_pictures_and_captions_is_told(
    hub: FakeHub, tmp_path: Path, files: dict[str, bytes]
) -> None:
    hub.has("me/kanji", files)
    with pytest.raises(DatasetError, match="holds neither parquet files nor pictures beside a metadata.csv"):
        fetch(hub, tmp_path / "store")


def test_a_download_that_fails_leaves_nothing(hub: FakeHub, pushed: Push, tmp_path: Path) -> None:
    pushed()
    hub.faults["download"] = [Fault("network"), Fault("forbidden", "No.", 403)]
    with pytest.raises(HubError, match="the token must not do this"):
        fetch(hub, tmp_path / "store")
    assert list((tmp_path / "store" / ".fetching").iterdir()) == []


class _Liar(FakeHub):
    def _download(
        self, repo_id: str, repo_type: str, commit: str, folder: str, files: list[str] | None, total: int
    ) -> None:
        super()._download(repo_id, repo_type, commit, folder, files, total)
        (Path(folder) / "build.json").write_text("{}")


def test_a_file_that_is_not_what_the_hub_says_is_refused(pushed: Push, hub: FakeHub, tmp_path: Path) -> None:
    pushed()
    liar = _Liar()
    liar.repos = hub.repos
    with pytest.raises(HubError, match="me/kanji: build.json did not arrive as the Hub says it is; run the same"):
        fetch(liar, tmp_path / "store")
    assert list((tmp_path / "store" / ".fetching").iterdir()) == []


def test_too_little_space_is_told_before_the_download(
    hub: FakeHub, pushed: Push, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(9, 9, 9))
    with pytest.raises(HubError, match="has 0 MB free, and what is to come takes 0; free some space"):
        fetch(hub, tmp_path / "store")
    assert "download" not in hub.asked


def test_a_place_that_cannot_be_written_is_told(hub: FakeHub, pushed: Push, tmp_path: Path) -> None:
    pushed()
    (tmp_path / "store").touch()
    with pytest.raises(DatasetError, match="cannot be read: not a directory"):
        fetch(hub, tmp_path / "store")


def test_a_folder_that_was_changed_since_is_not_believed(hub: FakeHub, pushed: Push, tmp_path: Path) -> None:
    done = pushed()
    folder = fetch(hub, tmp_path / "store")
    next(folder.glob("*.png")).write_bytes(b"another")
    for revision in ("main", done.hub.commit):
        with pytest.raises(DatasetError, match="is no longer as it was fetched; copy it elsewhere"):
            fetch(hub, tmp_path / "store", revision)


def test_another_commit_with_the_same_beginning_is_another(hub: FakeHub, pushed: Push, tmp_path: Path) -> None:
    done = pushed()
    fetch(hub, tmp_path / "store")
    other = done.hub.commit[:12] + "0" * 28
    with pytest.raises(HubError, match=f"has no revision '{other}'"):
        fetch(hub, tmp_path / "store", other)


def test_a_revision_that_is_none_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="'..' is no name for a revision"):
        fetch(hub, tmp_path, "..")


def test_a_damaged_file_is_told_by_its_path_in_the_repository(hub: FakeHub, pushed: Push, tmp_path: Path) -> None:
    pushed()
    branch = hub.repos["me/kanji"]["branches"]["main"]
    branch["data/train-00000-of-00001.parquet"] = b"PAR1 no more"
    with pytest.raises(DatasetError, match="^data/train-00000-of-00001.parquet of me/kanji: ") as caught:
        fetch(hub, tmp_path / "store")
    assert "fetching" not in str(caught.value)
    branch["build.json"] = branch["build.json"].replace(b'"digest": "', b'"digest": "0')
    pushed_files = {**branch}
    hub.has("me/kanji", pushed_files)
    with pytest.raises(DatasetError, match="me/kanji: "):
        fetch(hub, tmp_path / "store")


def test_an_option_that_only_push_has_is_no_remedy(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults["look"] = [Fault("broken", "panic")]
    with pytest.raises(HubError, match="panic; run the same command again$"):
        fetch(hub, tmp_path)


def test_what_is_in_the_way_is_not_removed(hub: FakeHub, pushed: Push, tmp_path: Path) -> None:
    done = pushed()
    taken = tmp_path / "store" / f"me--kanji@{done.hub.commit[:12]}"
    taken.mkdir(parents=True)
    (taken / "mine").touch()
    with pytest.raises(DatasetError, match="cannot be put here: directory not empty; move away what is"):
        fetch(hub, tmp_path / "store")
    assert (taken / "mine").exists()


def test_another_fetch_of_the_same_may_end_first(
    hub: FakeHub, pushed: Push, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed()
    opened = staging.opened

    @contextmanager
    def after_another(cache: Path, key: str, wait: bool = False) -> Iterator[Path]:
        monkeypatch.setattr(staging, "opened", opened)
        first = fetch(hub, tmp_path / "store")
        hub.asked.clear()
        with opened(cache, key, wait) as scratch:
            yield scratch
        assert first.exists()

    monkeypatch.setattr(staging, "opened", after_another)
    assert (fetch(hub, tmp_path / "store") / receipt.NAME).exists()
    assert hub.asked == []
