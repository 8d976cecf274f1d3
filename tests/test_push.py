"""What ``push`` lays out and decides; that it goes through the real client is in the integration tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kanjiprep import metadata, receipt
from kanjiprep.dataset import build as building
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.errors import DatasetError, HubError
from kanjiprep.progress import silent
from kanjiprep.publishing import layouts, merging, push
from kanjiprep.publishing.destination import Wish
from kanjiprep.publishing.push import Pushed, PushRequest
from tests.fake_hub import FakeHub, patient

TOKEN = "hf_" + "q" * 34
MARKED = f"# Mine\n\n{merging.BEGIN}\n\nold\n\n{merging.END}\n\nAfter.\n"
Push = Callable[..., Pushed]


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
def dataset(request_of: Callable[..., BuildRequest], place: Place) -> Path:
    return building.build(request_of(), place, silent).folder


@pytest.fixture
def push_it(hub: FakeHub, dataset: Path, tmp_path: Path) -> Push:
    request = PushRequest(dataset, Wish("me/kanji", "dataset"), "parquet", False, False, 1, tmp_path / "cache", {})

    def make(**more: Any) -> Pushed:
        try:
            return push.push(replace(request, **more), hub, patient())
        finally:
            assert not list((tmp_path / "cache").glob("*")), "nothing is left"

    return make


def card(hub: FakeHub) -> str:
    return str(hub.repos["me/kanji"]["branches"]["main"]["README.md"].decode())


def test_what_stands_there_afterwards_and_what_is_receipted(hub: FakeHub, dataset: Path, push_it: Push) -> None:
    done = push_it()
    names = {"README.md", "build.json", "SHA256SUMS", "skipped.csv", "data/train-00000-of-00001.parquet"}
    samples = {
        f"samples/{ord(one):05x}.png" for one in "休亜一" if (dataset / f"{one}_kanji_{ord(one):05x}.png").exists()
    }
    assert samples
    there = set(hub.repos["me/kanji"]["branches"]["main"]) - {".gitattributes"}
    assert names < there
    assert samples <= there
    assert all(name in names or name.startswith("samples/") for name in there)
    given = receipt.read(dataset)
    assert given is not None
    assert (given.commit, given.digest, set(given.sha256)) == (done.commit, receipt.digest_of(dataset), there)
    assert (done.status, done.pinned, done.in_one_commit) == ("pushed", f"me/kanji@{done.commit}", True)
    assert push_it().status == "unchanged"


def test_a_dry_run_sends_and_writes_nothing(hub: FakeHub, dataset: Path, push_it: Push) -> None:
    done = push_it(dry_run=True)
    assert (done.status, done.commit, done.receipt, hub.repos) == ("dry run", "", None, {})
    assert set(done.sent) > {"README.md"}
    assert not (dataset / receipt.NAME).exists()


def test_another_layout_leaves_nothing_of_the_first(hub: FakeHub, dataset: Path, push_it: Push) -> None:
    first = push_it()
    second = push_it(layout="files")
    assert {path for path in first.sent if path.startswith(("data/", "samples/"))} == set(second.removed)
    assert {path.name for path in dataset.iterdir()} - {receipt.NAME} <= set(
        hub.repos["me/kanji"]["branches"]["main"]
    )
    assert not second.in_one_commit
    assert set(push_it().removed) > {"metadata.csv", "characters.jsonl"}


def test_a_word_in_the_folders_own_card_goes_along_and_one_on_the_hub_wins(
    hub: FakeHub, dataset: Path, push_it: Push
) -> None:
    (dataset / "README.md").write_text(MARKED)
    push_it()
    assert card(hub).index("# Mine") < card(hub).index(merging.BEGIN) < card(hub).index("After.")
    assert "\nold\n" not in card(hub)
    (dataset / "README.md").write_text("# Another\n")
    assert push_it().status == "unchanged"


def test_a_card_that_a_build_wrote_is_renewed_whole(hub: FakeHub, push_it: Push) -> None:
    push_it()
    assert card(hub).count("# Kanji with English meanings") == 1


def test_a_dataset_that_nobody_built_says_so_and_has_its_card_kept(
    hub: FakeHub, dataset: Path, push_it: Push
) -> None:
    for name in ("build.json", "SHA256SUMS", "skipped.csv", "characters.jsonl"):
        (dataset / name).unlink()
    (dataset / "README.md").write_text("---\nlicense: mit\n---\n# My own\n")
    done = push_it()
    assert done.digest.startswith("metadata.csv ")
    assert "license: mit" in card(hub)
    assert "# My own" in card(hub)
    assert "How they were made is not on record" in card(hub)
    assert any("the generated part stands below it" in note for note in done.notes)


def test_a_dataset_without_a_card_is_pushed_with_one(hub: FakeHub, dataset: Path, push_it: Push) -> None:
    (dataset / "README.md").unlink()
    push_it()
    assert "license: cc-by-sa-4.0" in card(hub)


def test_a_card_that_is_no_text_or_cannot_be_read_is_told(dataset: Path, push_it: Push) -> None:
    (dataset / "README.md").write_bytes(b"caf\xe9")
    with pytest.raises(DatasetError, match="README.md: not UTF-8 text at byte 3; save it as UTF-8"):
        push_it()
    (dataset / "README.md").unlink()
    (dataset / "README.md").mkdir()
    with pytest.raises(DatasetError, match="README.md: cannot be read: is a directory"):
        push_it(force=True)


def test_an_unfit_dataset_is_pushed_only_by_force(dataset: Path, hub: FakeHub, push_it: Push) -> None:
    rows = [(name, "NA") for name, _ in metadata.read_rows(dataset / "metadata.csv")]
    (dataset / "metadata.csv").write_bytes(metadata.to_csv(rows))
    says = (
        r"is not fit to train on: captions are read as something else .*: 3 \(.*\). Nothing was sent; .*give --force"
    )
    with pytest.raises(DatasetError, match=says):
        push_it()
    assert hub.repos == {}
    assert push_it(force=True).status == "pushed"


def test_several_kinds_of_problem_are_counted(dataset: Path, push_it: Push) -> None:
    pictures = sorted(dataset.glob("*.png"))
    pictures[0].unlink()
    (dataset / "stranger.png").write_bytes(pictures[1].read_bytes())
    with pytest.raises(DatasetError, match=r"\(and 1 more kinds of problem\)"):
        push_it()


@pytest.mark.parametrize("where", ["build.json", "skipped.csv"])
def test_a_secret_anywhere_in_the_folder_stays_here(dataset: Path, hub: FakeHub, push_it: Push, where: str) -> None:
    text = (dataset / where).read_text("utf-8")
    (dataset / where).write_text(text.replace("kanjiprep", TOKEN, 1) if where == "build.json" else text + TOKEN)
    with pytest.raises(
        DatasetError, match=f"{where} holds a token of the Hub; take it out; nothing was sent"
    ) as caught:
        push_it()
    assert TOKEN not in str(caught.value)
    assert hub.repos == {}


def test_the_value_of_a_secret_variable_stays_here(dataset: Path, push_it: Push) -> None:
    (dataset / "skipped.csv").write_text("literal,codepoint,reason\nx,00078,my-wandb-key\n")
    with pytest.raises(DatasetError, match="skipped.csv holds the value of WANDB_API_KEY"):
        push_it(environ={"WANDB_API_KEY": "my-wandb-key"})


def test_a_folder_without_a_place_for_the_receipt_is_told_before_the_work(
    dataset: Path, hub: FakeHub, push_it: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or Path(path) != dataset)
    with pytest.raises(DatasetError, match="must not be written, and the receipt of the push goes there"):
        push_it()
    assert hub.asked == []
    assert push_it(dry_run=True).status == "dry run"


def test_a_card_on_the_hub_that_cannot_be_read_is_not_overwritten(hub: FakeHub, push_it: Push) -> None:
    hub.has("me/kanji", {"README.md": b"---\na: [\n---\n"})
    with pytest.raises(HubError, match="README.md of me/kanji:.*mend the front matter by hand"):
        push_it()
    assert set(hub.repos["me/kanji"]["branches"]["main"]) == {"README.md"}


def test_too_many_pictures_for_one_folder_are_told(
    dataset: Path, push_it: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layouts, "_MOST_ENTRIES", 102)
    with pytest.raises(DatasetError, match="has 3 pictures, and the Hub takes 102 files in a folder; push it with"):
        push_it(layout="files")


def test_rows_without_a_picture_cannot_be_sent_as_files_even_by_force(dataset: Path, push_it: Push) -> None:
    next(dataset.glob("*.png")).unlink()
    with pytest.raises(DatasetError, match="is no picture beside it"):
        push_it(layout="files", force=True)
