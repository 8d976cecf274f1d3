"""What ``push`` lays out and decides; that it goes through the real client is in the integration tests."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kanjiprep import metadata, receipt
from kanjiprep.dataset import folder
from kanjiprep.errors import DatasetError, HubError, UsageError
from kanjiprep.progress import silent
from kanjiprep.publishing import hub_dataset, layouts, merging, push
from kanjiprep.publishing.destination import Wish
from kanjiprep.publishing.hub_fetch import Wanted
from kanjiprep.publishing.push import Pushed, PushRequest
from kanjiprep.training import pictures
from tests.fake_hub import FakeHub, patient

TOKEN = "hf_" + "q" * 34
MARKED = f"# Mine\n\n{merging.BEGIN}\n\nold\n\n{merging.END}\n\nAfter.\n"
Push = Callable[..., Pushed]


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


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
    assert (given.commit, set(given.sha256)) == (done.hub.commit, there)
    assert given.digest == done.digest == receipt.certified_digest(dataset)
    assert receipt.of(dataset) == given
    assert (done.hub.status, done.pinned, done.hub.in_one_commit) == ("pushed", f"me/kanji@{done.hub.commit}", True)
    assert push_it().hub.status == "unchanged"


def test_a_dry_run_sends_and_writes_nothing(hub: FakeHub, dataset: Path, push_it: Push) -> None:
    done = push_it(dry_run=True)
    assert (done.hub.status, done.hub.commit, done.receipt, hub.repos) == ("dry run", "", None, {})
    assert set(done.hub.sent) > {"README.md"}
    assert not (dataset / receipt.NAME).exists()


def test_another_layout_leaves_nothing_of_the_first(hub: FakeHub, dataset: Path, push_it: Push) -> None:
    first = push_it()
    second = push_it(layout="files")
    assert {path for path in first.hub.sent if path.startswith(("data/", "samples/"))} == set(second.hub.removed)
    assert {path.name for path in dataset.iterdir()} - {receipt.NAME} <= set(
        hub.repos["me/kanji"]["branches"]["main"]
    )
    assert not second.hub.in_one_commit
    assert set(push_it().hub.removed) > {"metadata.csv", "characters.jsonl"}


def test_a_word_in_the_folders_own_card_goes_along_and_one_on_the_hub_wins(
    hub: FakeHub, dataset: Path, push_it: Push
) -> None:
    (dataset / "README.md").write_text(MARKED)
    push_it()
    assert card(hub).index("# Mine") < card(hub).index(merging.BEGIN) < card(hub).index("After.")
    assert "\nold\n" not in card(hub)
    (dataset / "README.md").write_text("# Another\n")
    assert push_it().hub.status == "unchanged"


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
    assert done.digest == ""
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
    with pytest.raises(DatasetError, match="README.md: is no file; move it away"):
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
    assert push_it(force=True).hub.status == "pushed"


def test_several_kinds_of_problem_are_counted(dataset: Path, push_it: Push) -> None:
    pictures = sorted(dataset.glob("*.png"))
    pictures[0].unlink()
    (dataset / "stranger.png").write_bytes(pictures[1].read_bytes())
    with pytest.raises(DatasetError, match=r", and 1 more of kanjiprep check. Nothing was sent; restore them$"):
        push_it()


def sealed(dataset: Path) -> None:
    """Have a changed folder count as built."""
    digests = {
        name: folder.sha256_of(dataset / name)
        for name in folder.listed(dataset)
        if name not in ("build.json", "SHA256SUMS")
    }
    (dataset / "SHA256SUMS").write_bytes(folder.sums(digests))
    certificate = json.loads((dataset / "build.json").read_text("utf-8"))
    certificate["digest"] = folder.sha256_of(dataset / "SHA256SUMS")
    (dataset / "build.json").write_text(json.dumps(certificate), "utf-8")


def test_a_secret_in_what_goes_along_stays_here_and_is_told_with_its_line(
    dataset: Path, hub: FakeHub, push_it: Push
) -> None:
    lines = (dataset / "skipped.csv").read_text("utf-8")
    (dataset / "skipped.csv").write_text(f"{lines}{TOKEN}\n", "utf-8")
    sealed(dataset)
    says = f"skipped.csv:{lines.count(chr(10)) + 1} holds a token of the Hub; take it out; nothing was sent"
    with pytest.raises(DatasetError, match=says) as caught:
        push_it()
    assert TOKEN not in str(caught.value)
    assert hub.repos == {}


def test_the_value_of_a_secret_variable_in_a_caption_stays_here(dataset: Path, push_it: Push) -> None:
    rows = [(name, f"my-wandb-key {text}") for name, text in metadata.read_rows(dataset / "metadata.csv")]
    (dataset / "metadata.csv").write_bytes(metadata.to_csv(rows))
    with pytest.raises(DatasetError, match="metadata.csv:2 holds the value of WANDB_API_KEY"):
        push_it(environ={"WANDB_API_KEY": "my-wandb-key"})


def test_what_does_not_go_along_may_hold_anything(dataset: Path, push_it: Push) -> None:
    (dataset / ".env").write_text(f"HF_TOKEN={TOKEN}")
    assert push_it().hub.status == "pushed"


def test_a_dataset_that_was_changed_goes_without_its_certificate(
    dataset: Path, hub: FakeHub, push_it: Push, tmp_path: Path
) -> None:
    rows = [(name, f"{text} Indeed.") for name, text in metadata.read_rows(dataset / "metadata.csv")]
    (dataset / "metadata.csv").write_bytes(metadata.to_csv(rows))
    done = push_it()
    assert done.digest == ""
    assert any("metadata.csv was changed" in note and "without SHA256SUMS and digest" in note for note in done.notes)
    there = hub.repos["me/kanji"]["branches"]["main"]
    assert "SHA256SUMS" not in there
    assert json.loads(there["build.json"])["digest"] == ""
    assert "changed by hand since then" in card(hub)
    fetched = hub_dataset.fetch(hub, patient(), Wanted("me/kanji"), tmp_path / "store")
    assert (fetched / "metadata.csv").read_bytes() == (dataset / "metadata.csv").read_bytes()
    assert pictures.read(fetched, silent).hub == done.pinned == pictures.read(dataset, silent).hub
    assert pictures.read(fetched, silent).digest == ""
    hub.has("me/again", {})
    push_it(dataset=fetched, wish=Wish("me/again", "dataset"))
    assert "copyright Ulrich Apel" in hub.repos["me/again"]["branches"]["main"]["README.md"].decode()


def test_a_dataset_that_was_changed_after_its_push_is_not_taken_for_it(dataset: Path, push_it: Push) -> None:
    push_it()
    rows = [(name, f"{text} Indeed.") for name, text in metadata.read_rows(dataset / "metadata.csv")]
    (dataset / "metadata.csv").write_bytes(metadata.to_csv(rows))
    assert pictures.read(dataset, silent).hub == ""


def test_a_folder_in_the_place_of_the_receipt_is_told_before_the_work(
    dataset: Path, hub: FakeHub, push_it: Push
) -> None:
    (dataset / "push.json").mkdir()
    with pytest.raises(DatasetError, match="push.json: is a folder, and the receipt goes there; move it away"):
        push_it()
    assert hub.asked == []


def test_a_very_long_caption_is_shown_in_part(dataset: Path, hub: FakeHub, push_it: Push) -> None:
    rows = [(name, "long " * 20_000) for name, _ in metadata.read_rows(dataset / "metadata.csv")]
    (dataset / "metadata.csv").write_bytes(metadata.to_csv(rows))
    push_it()
    assert len(card(hub)) < 20_000


def test_two_drawings_of_one_character_are_both_shown_and_neither_is_touched(
    dataset: Path, hub: FakeHub, push_it: Push
) -> None:
    lines = (dataset / "characters.jsonl").read_text("utf-8").splitlines()
    same = [json.dumps(json.loads(line) | {"character": "亜"}, ensure_ascii=False) for line in lines]
    (dataset / "characters.jsonl").write_text("\n".join(same) + "\n", "utf-8")
    before = {path.name: path.read_bytes() for path in dataset.iterdir()}
    push_it()
    assert {name: (dataset / name).read_bytes() for name in before} == before
    there = hub.repos["me/kanji"]["branches"]["main"]
    shown = [there[path] for path in there if path.startswith("samples/")]
    assert len(set(shown)) == len(lines)


@pytest.mark.parametrize("layout", ["parquet", "files"])
def test_pictures_that_are_links_are_sent_as_what_they_lead_to(
    dataset: Path, hub: FakeHub, push_it: Push, layout: Any
) -> None:
    first = sorted(dataset.glob("*.png"))[0]
    data = first.read_bytes()
    first.rename(dataset.parent / "real.png")
    first.symlink_to(Path("..") / "real.png")
    push_it(layout=layout)
    there = hub.repos["me/kanji"]["branches"]["main"]
    assert data in there.values() or any(data in one for one in there.values())


def test_a_dataset_of_somebody_else_is_not_pushed_over(dataset: Path, hub: FakeHub, push_it: Push) -> None:
    theirs = {"metadata.csv": b"file_name,text\ncat.png,a cat\n", "cat.png": b"cat", "README.md": b"# Cats\n"}
    hub.has("me/kanji", theirs)
    with pytest.raises(
        HubError, match=r"holds a dataset that kanjiprep did not push \(metadata.csv\). Nothing was sent"
    ):
        push_it()
    assert hub.repos["me/kanji"]["branches"]["main"] == theirs
    assert push_it(force=True).hub.removed == ("metadata.csv",)
    assert {"cat.png", "README.md"} < set(hub.repos["me/kanji"]["branches"]["main"])


def test_a_branch_that_is_made_keeps_the_card_of_main(dataset: Path, hub: FakeHub, push_it: Push) -> None:
    hub.has("me/kanji", {"README.md": b"# Mine\n"})
    push_it(wish=Wish("me/kanji", "dataset", "next"))
    assert "# Mine" in hub.repos["me/kanji"]["branches"]["next"]["README.md"].decode()


def test_the_card_of_an_earlier_build_gives_way(dataset: Path, hub: FakeHub, push_it: Push) -> None:
    text = (dataset / "README.md").read_text("utf-8")
    (dataset / "README.md").write_text(text.replace("<!-- kanjiprep", "<!-- was"), "utf-8")
    assert any("an earlier build's" in note for note in push_it().notes)
    assert "<!-- was" not in card(hub)


def test_words_below_the_card_of_a_build_go_along(dataset: Path, hub: FakeHub, push_it: Push) -> None:
    with (dataset / "README.md").open("a", encoding="utf-8") as stream:
        stream.write("\n## My notes\n")
    push_it()
    assert card(hub).endswith("\n## My notes\n")
    assert card(hub).count("## How it was made") == 1


def test_what_is_no_folder_of_a_dataset_is_told_before_the_hub_is_asked(
    dataset: Path, hub: FakeHub, push_it: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatasetError, match="metadata.csv: is a file, not the folder of a dataset"):
        push_it(dataset=dataset / "metadata.csv")
    with pytest.raises(DatasetError, match="gone/metadata.csv: cannot be read: no such file"):
        push_it(dataset=dataset / "gone")
    monkeypatch.chdir(dataset.parent)
    says = "me/kanji: is no folder, and the dataset comes first; kanjiprep push dataset me/kanji"
    with pytest.raises(UsageError, match=says):
        push_it(dataset=Path("me/kanji"), wish=Wish("dataset", "dataset"))
    assert hub.asked == []


def test_a_folder_without_a_place_for_the_receipt_is_told_before_the_work(
    dataset: Path, hub: FakeHub, push_it: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or Path(path) != dataset)
    with pytest.raises(DatasetError, match="must not be written, and the receipt of the push goes there"):
        push_it()
    assert hub.asked == []
    assert push_it(dry_run=True).hub.status == "dry run"


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


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"no picture")])
def test_what_is_no_picture_cannot_be_sent_even_by_force(
    dataset: Path, push_it: Push, spoil: Callable[[Path], None]
) -> None:
    spoil(next(dataset.glob("*.png")))
    with pytest.raises(DatasetError, match=r"is not fit to train on: .*: 1 \(.*\). Nothing was sent; [^,]*$"):
        push_it(force=True)


def test_a_row_that_leads_out_of_the_folder_is_not_followed(dataset: Path, tmp_path: Path) -> None:
    (dataset.parent / "x.png").write_bytes(b"x")
    with pytest.raises(DatasetError, match="'../x.png' is no safe name of a picture"):
        layouts._link_pictures(dataset, [("../x.png", "x")], tmp_path / "out")


def test_a_secret_in_the_card_on_the_hub_is_told_of_that_card(hub: FakeHub, push_it: Push) -> None:
    hub.has("me/kanji", {"README.md": f"# Mine\n\n{TOKEN}\n".encode()})
    says = "README.md of me/kanji: holds a token of the Hub in line 3. Nothing was sent; take it out there"
    with pytest.raises(HubError, match=says) as caught:
        push_it()
    assert TOKEN not in str(caught.value)


def test_a_fetched_copy_keeps_the_receipt_of_where_it_came_from(hub: FakeHub, push_it: Push, tmp_path: Path) -> None:
    push_it()
    fetched = hub_dataset.fetch(hub, patient(), Wanted("me/kanji"), tmp_path / "store")
    before = (fetched / "push.json").read_bytes()
    assert push_it(dataset=fetched, wish=Wish("me/again", "dataset")).receipt is None
    assert (fetched / "push.json").read_bytes() == before


def test_a_damaged_receipt_gives_way_to_a_new_one(dataset: Path, push_it: Push) -> None:
    (dataset / "push.json").write_text("{")
    assert push_it().receipt == dataset / "push.json"
    assert receipt.of(dataset) is not None
