"""``kanjiprep push`` through the command line, with the real client, against a Hub on loopback."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from PIL import Image, PngImagePlugin

from kanjiprep import __version__, metadata, receipt
from kanjiprep.publishing import staging
from kanjiprep.publishing.layouts import SAMPLES
from tests import hub_card, pushes
from tests.hub_accounts import ONE_REPO_TOKEN, OTHER_TOKEN, READ_TOKEN, WRITE_TOKEN, token
from tests.hub_server import Hub
from tests.pushes import PARQUET, REPO, Desk, Run

SECRET = token("q")
ALWAYS = 10**9
LOAD = """
import hashlib, json, sys
from datasets import Image, load_dataset

def digest(picture):
    return hashlib.sha256(picture["bytes"] or open(picture["path"], "rb").read()).hexdigest()

def rows(**which):
    found = load_dataset(sys.argv[1], split="train", **which).cast_column("image", Image(decode=False))
    return [[digest(row["image"]), row["text"]] for row in found]

print(json.dumps([rows(), *(rows(revision=one) for one in sys.argv[2:])]))
"""


@pytest.fixture(scope="module")
def reworded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pictures with other captions."""
    folder = tmp_path_factory.mktemp("reworded")
    template = folder / "other.j2"
    template.write_text("The kanji {{ literal }}, which means {{ meanings | join(' or ') }}, in black ink.")
    return pushes.build(folder / "dataset", str(template))


def steps(hub: Hub) -> list[str]:
    """What the Hub was asked for, in short."""
    names = ("whoami", "create", "revision", "tree", "refs", "resolve", "validate-yaml", "preupload")
    known = (*names, "xet-write-token", "batch", "commit", "branch", "tag")
    return [next((name for name in known if f"/{name}" in one.path), one.path) for one in hub.requests]


def load(hub: Hub, home: Path, *revisions: str) -> list[list[list[str]]]:
    """SHA-256 and caption of every row that the datasets library gives, of main and of other revisions."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, REPO, *revisions],
        env={**os.environ, **pushes.settings(hub, home, None)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[list[list[str]]] = json.loads(done.stdout)
    return found


def rows_here(folder: Path) -> list[list[str]]:
    return [[hashlib.sha256(data).hexdigest(), caption] for _, caption, data in pushes.rows(folder)]


# Pushing ------------------------------------------------------------------------------------------------------------


def test_a_dataset_arrives_in_one_commit_with_a_card_and_a_receipt(desk: Desk, hub: Hub, built: Path) -> None:
    said = desk.push("--tag", "v1").document
    repo = desk.repo
    assert [one.message for one in repo.commits()] == ["Push 20 pictures with kanjiprep", "initial commit"]
    assert pushes.rows_there(repo.files()) == pushes.rows(built)
    assert {path for path in repo.files() if not path.startswith(f"{SAMPLES}/")} == {
        ".gitattributes",
        "README.md",
        "SHA256SUMS",
        "build.json",
        "skipped.csv",
        PARQUET,
    }
    assert (said["status"], said["repo_id"], said["commit"]) == ("pushed", REPO, repo.head())
    assert (said["created"], said["private"], said["who"], said["pictures"]) == (True, False, "me", 20)
    assert (said["pinned"], said["in_one_commit"], said["removed"]) == (f"{REPO}@v1", True, [])
    assert said["url"] == f"{hub.url}/datasets/{REPO}"
    assert said["sent"] == {path: len(data) for path, data in repo.files().items() if path != ".gitattributes"}
    assert repo.tags == {"v1": repo.head()}
    assert desk.left_behind == []


def test_the_receipt_names_the_commit_and_every_file(desk: Desk, hub: Hub) -> None:
    said = desk.push("--tag", "v1", "--private").document
    kept = desk.receipt
    assert kept is not None
    assert said["receipt"] == str(desk.dataset / "push.json")
    assert (kept.endpoint, kept.repo_id, kept.commit) == (hub.url, REPO, desk.repo.head())
    assert (kept.revision, kept.tag, kept.layout, kept.private, kept.pictures) == ("main", "v1", "parquet", True, 20)
    assert (kept.digest, kept.tool) == (said["digest"], f"kanjiprep {__version__}")
    tree = desk.repo.commit_of("main").tree
    assert kept.sha256 == {path: one.sha256 for path, one in tree.items() if path != ".gitattributes"}
    assert receipt.of(desk.dataset) == kept
    assert WRITE_TOKEN not in (desk.dataset / "push.json").read_text()


def test_what_is_said_names_the_outcome_and_the_next_step(desk: Desk) -> None:
    code, out, err = desk.run("push", desk.dataset, REPO, "--tag", "v1")
    lines = err.splitlines()
    assert (code, out) == (0, "")
    head = desk.repo.head()[:12]
    megabytes = sum(map(len, desk.repo.files().values())) / 1e6
    assert lines[-6:] == [
        f"{REPO}: a public dataset, made for it, as me",
        f"sent: 13 files, {megabytes:,.1f} MB, as {head}, every file compared",
        f"tag: v1 stands at {head}",
        f"receipt: {desk.dataset / 'push.json'}",
        f"Look at it: {desk.hub.url}/datasets/{REPO}",
        f"Next: kanjiprep plan sd35-large-lora --dataset {REPO}@v1",
    ]
    assert WRITE_TOKEN not in err
    code, _, err = desk.run("push", desk.dataset, REPO, "--tag", "v1")
    assert (code, err.splitlines()[-5]) == (0, f"unchanged: all files stand there already, as {head}")


def test_an_existing_repository_is_pushed_onto(desk: Desk, hub: Hub, built: Path) -> None:
    hub.create("dataset", REPO, private=True)
    said = desk.push().document
    assert (said["created"], said["private"]) == (False, True), "it stays as private as it is"
    assert "create" not in steps(hub)
    assert len(pushes.changes(desk.repo)) == 1
    assert pushes.rows_there(desk.repo.files()) == pushes.rows(built)


def test_a_bare_name_goes_to_ones_own_namespace(desk: Desk) -> None:
    said = desk.push("--tag", "v1", repo_id="kanji").document
    assert (said["repo_id"], said["pinned"]) == (REPO, f"{REPO}@v1")
    assert list(desk.hub.state.repos) == [("dataset", REPO)]


def test_an_organisation_where_one_may_write_is_pushed_to(desk: Desk) -> None:
    assert desk.push(repo_id="club/kanji").document["repo_id"] == "club/kanji"


def test_a_private_one_is_made_private(desk: Desk) -> None:
    assert desk.push("--private").document["private"] is True
    assert desk.repo.private


@pytest.mark.parametrize("exists", [False, True])
def test_a_branch_is_made_where_it_is_missing(desk: Desk, hub: Hub, built: Path, exists: bool) -> None:
    if exists:
        hub.create("dataset", REPO)
        hub.commit("dataset", REPO, {"notes.txt": b"mine"})
    main = desk.repo.head() if exists else None
    said = desk.push("--revision", "dev").document
    assert said["commit"] == desk.repo.branches["dev"]
    assert pushes.rows_there(desk.repo.files("dev")) == pushes.rows(built)
    assert list(desk.repo.files()) == [".gitattributes", *(["notes.txt"] if exists else [])]
    assert desk.repo.commits("dev")[1].oid == (main or desk.repo.head())
    assert desk.push("--revision", "dev").document["status"] == "unchanged"


def test_a_branch_may_have_a_slash_in_its_name(desk: Desk, built: Path) -> None:
    assert desk.push("--revision", "try/one", "--tag", "v1/one").document["status"] == "pushed"
    assert pushes.rows_there(desk.repo.files("try/one")) == pushes.rows(built)
    assert desk.repo.tags == {"v1/one": desk.repo.branches["try/one"]}


def test_the_tag_comes_last_and_after_the_comparison(desk: Desk, hub: Hub) -> None:
    assert desk.push("--tag", "v1").code == 0
    made = steps(hub)
    assert made.index("commit") < made.index("tree", made.index("commit")) < made.index("tag")
    assert not {"commit", "preupload", "create"} & set(made[made.index("tag") :])


def test_a_dataset_that_did_not_arrive_as_it_is_gets_no_tag(desk: Desk, hub: Hub) -> None:
    hub.fail("GET", "/tree/", "wrong_hash", skip=1, times=ALWAYS, path=PARQUET)
    said = desk.push("--tag", "v1")
    assert said.code == 5
    assert f"{REPO}: holds other files at {desk.repo.head()[:12]} than were sent: {PARQUET}" in said.line
    assert (desk.repo.tags, desk.receipt) == ({}, None)


def test_a_tag_that_stands_there_already_is_left_alone(desk: Desk, hub: Hub) -> None:
    desk.push("--tag", "v1")
    hub.clear()
    assert desk.push("--tag", "v1").document["status"] == "unchanged"
    assert "tag" not in steps(hub)


def test_plain_http_does_without_xet(desk: Desk, hub: Hub, built: Path) -> None:
    assert desk.push("--no-xet").document["status"] == "pushed"
    assert "batch" in steps(hub)
    assert "xet-write-token" not in steps(hub)
    assert len(pushes.changes(desk.repo)) == 1
    assert pushes.rows_there(desk.repo.files()) == pushes.rows(built)


def test_both_cards_pass_the_validation_of_the_hub(desk: Desk) -> None:
    for layout in ("parquet", "files"):
        desk.push("--layout", layout)
        card = desk.repo.files()["README.md"].decode()
        verdict = hub_card.check_card(card, "dataset")
        assert (verdict.errors, verdict.warnings) == ((), ())
        assert f"kanjiprep launch-simpletuner sd35-large-lora --dataset {REPO}" in card


# Dry runs -----------------------------------------------------------------------------------------------------------


def nothing(desk: Desk) -> None:
    """Leave the Hub without the repository."""


def there(desk: Desk) -> None:
    desk.hub.create("dataset", REPO)


def carded(desk: Desk) -> None:
    there(desk)
    desk.hub.commit("dataset", REPO, {"README.md": pushes.CARD, "notes.txt": b"mine"})


def pushed(desk: Desk) -> None:
    assert desk.push("--tag", "v0").code == 0


def pushed_as_files(desk: Desk) -> None:
    assert desk.push("--layout", "files").code == 0


@pytest.mark.parametrize(
    ("before", "options"),
    [
        (nothing, ()),
        (nothing, ("--tag", "v1", "--private")),
        (nothing, ("--revision", "dev")),
        (nothing, ("--layout", "files", "--tag", "v1")),
        (there, ("--tag", "v1")),
        (there, ("--revision", "dev", "--tag", "v1")),
        (carded, ()),
        (pushed, ("--tag", "v0")),
        (pushed, ("--tag", "v1")),
        (pushed, ("--layout", "files")),
        (pushed_as_files, ()),
    ],
)
def test_a_dry_run_sends_nothing_and_promises_what_is_made(
    desk: Desk, hub: Hub, before: Callable[[Desk], None], options: tuple[str, ...]
) -> None:
    before(desk)
    (desk.dataset / "push.json").unlink(missing_ok=True)
    stood = pushes.state(hub)
    hub.clear()
    dry = desk.push(*options, "--dry-run").document
    assert (pushes.state(hub), desk.receipt, desk.left_behind) == (stood, None, [])
    assert {one.method for one in hub.requests} <= {"GET", "HEAD"}
    asked = len(hub.requests)
    hub.clear()
    made = desk.push(*options).document
    assert len(hub.requests) - asked == dry["requests"]
    assert made == dry | {
        "status": made["status"],
        "commit": made["commit"],
        "pinned": made["pinned"],
        "receipt": made["receipt"],
    }
    assert (dry["status"], dry["commit"], dry["receipt"]) == ("dry run", "", None)


def test_a_dry_run_says_what_would_go_and_come(desk: Desk) -> None:
    pushed(desk)
    code, out, err = desk.run("push", desk.dataset, REPO, "--layout", "files", "--dry-run")
    assert code == 0
    assert f"{len(desk.repo.files()['README.md']):>12,}  README.md" not in out, "it would be another one"
    assert f"        goes  {PARQUET}" in out
    assert "and 11 more files" in out
    assert "would send 23 files, 0.0 MB, in several commits, the captions in the last, with" in err


def test_a_dry_run_needs_no_leave_to_write_a_receipt(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda _, mode: mode != os.W_OK)
    assert desk.push("--dry-run").document["status"] == "dry run"


# Again --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["parquet", "files"])
def test_the_same_push_again_changes_nothing(desk: Desk, hub: Hub, layout: str) -> None:
    first = desk.push("--layout", layout).document
    stood = pushes.state(hub)
    hub.clear()
    again = desk.push("--layout", layout).document
    assert pushes.state(hub) == stood
    assert (again["status"], again["commit"], again["sent"]) == ("unchanged", first["commit"], {})
    assert {one.method for one in hub.requests} == {"GET", "HEAD"}
    assert desk.receipt is not None


def test_other_captions_make_one_more_commit(desk: Desk, hub: Hub, reworded: Path) -> None:
    desk.push()
    said = desk.push(dataset=reworded).document
    assert (said["status"], len(pushes.changes(desk.repo))) == ("pushed", 2)
    assert not {path for path in said["sent"] if path.startswith(SAMPLES)}, "the pictures are the same"
    assert pushes.rows_there(desk.repo.files()) == pushes.rows(reworded)
    (reworded / "push.json").unlink()


def test_stale_files_go_in_the_same_commit_and_those_of_others_stay(desk: Desk, hub: Hub, built: Path) -> None:
    desk.push()
    theirs = {"notes.txt": b"mine", "data/test.parquet": b"theirs", "pictures/a.png": b"theirs"}
    stale = {"data/train-00007-of-00009.parquet": b"old", "samples/0ffff.png": b"old", "x_kanji_0ffff.png": b"old"}
    hub.commit("dataset", REPO, theirs | stale)
    said = desk.push().document
    assert sorted(said["removed"]) == sorted(stale)
    files = desk.repo.files()
    assert {path: files[path] for path in theirs} == theirs
    assert not files.keys() & stale.keys()
    assert len(pushes.changes(desk.repo)) == 3
    del files["data/test.parquet"]
    assert pushes.rows_there(files) == pushes.rows(built)


def test_a_dataset_of_somebody_else_is_only_replaced_by_force(desk: Desk, hub: Hub, built: Path) -> None:
    hub.create("dataset", REPO)
    hub.commit("dataset", REPO, {PARQUET: b"theirs", "README.md": pushes.CARD})
    stood = pushes.state(hub)
    said = desk.push()
    assert (said.code, pushes.state(hub)) == (5, stood)
    assert f"{REPO}: holds a dataset that kanjiprep did not push ({PARQUET}). Nothing was sent" in said.line
    assert "--force to replace it" in said.line
    assert desk.push("--force").document["status"] == "pushed"
    assert pushes.rows_there(desk.repo.files()) == pushes.rows(built)


def test_a_switch_of_the_layout_leaves_nothing_of_the_other(desk: Desk, built: Path) -> None:
    desk.push()
    before = desk.repo.files()
    assert desk.push("--layout", "files").document["removed"]
    files = desk.repo.files()
    assert not [path for path in files if path.startswith(("data/", SAMPLES))]
    assert {path for path in files if path != ".gitattributes"} == {one.name for one in built.iterdir()}
    assert pushes.rows_there(files) == pushes.rows(built)
    desk.push()
    assert desk.repo.files() == before
    assert len(desk.repo.commits()) == len(pushes.changes(desk.repo)) + 1


def test_raw_files_load_and_their_captions_come_last(desk: Desk, hub: Hub, tmp_path: Path, built: Path) -> None:
    said = desk.push("--layout", "files").document
    assert said["in_one_commit"] is False
    *earlier, last = [set(one.tree) for one in reversed(pushes.changes(desk.repo))]
    assert earlier
    assert all(metadata.NAME not in paths and "README.md" not in paths for paths in earlier)
    assert {one.name for one in built.glob("*.png")} <= earlier[-1]
    assert {metadata.NAME, "README.md"} <= last
    (found,) = load(hub, tmp_path / "reader")
    assert sorted(found) == sorted(rows_here(built))


def test_a_push_onto_what_somebody_else_changed_meanwhile_is_refused(desk: Desk, hub: Hub) -> None:
    hub.create("dataset", REPO)
    theirs = functools.partial(hub.commit, "dataset", REPO, {"notes.txt": b"theirs"})
    hub.fail("POST", "/commit/", "meanwhile", do=theirs)
    said = desk.push()
    assert said.code == 5
    assert f"{REPO}: somebody else has changed it meanwhile, and nothing of yours arrived" in said.line
    assert list(desk.repo.files()) == [".gitattributes", "notes.txt"]
    assert desk.push().document["status"] == "pushed"
    assert desk.repo.files()["notes.txt"] == b"theirs"


# Cards --------------------------------------------------------------------------------------------------------------


def test_a_card_of_somebody_else_is_merged_and_then_left_alone(desk: Desk, hub: Hub) -> None:
    carded(desk)
    said = desk.push().document
    card = desk.repo.files()["README.md"].decode()
    assert "# My kanji\n\nA word of mine.\n" in card
    assert "- mine\n" in card
    assert "license: cc-by-sa-4.0\n" in card
    assert "the card said license: mit; it says cc-by-sa-4.0 now, as the files are" in said["notes"]
    stood = pushes.state(hub)
    assert desk.push().document["status"] == "unchanged"
    assert pushes.state(hub) == stood


def test_a_word_written_around_our_part_stays(desk: Desk, hub: Hub, reworded: Path) -> None:
    desk.push()
    card = desk.repo.files()["README.md"] + b"\n## Thanks\n\nTo Ulrich.\r\n"
    hub.commit("dataset", REPO, {"README.md": card})
    assert desk.push().document["status"] == "unchanged"
    desk.push(dataset=reworded)
    (reworded / "push.json").unlink()
    assert desk.repo.files()["README.md"].endswith(b"\n## Thanks\n\nTo Ulrich.\r\n")


def test_a_card_that_was_never_ours_and_files_that_never_were_are_no_hindrance(desk: Desk, hub: Hub) -> None:
    carded(desk)
    assert desk.push().document["removed"] == []
    assert desk.repo.files()["notes.txt"] == b"mine"


def test_a_card_written_by_hand_in_the_folder_goes_along(desk: Desk) -> None:
    (desk.dataset / "build.json").unlink()
    (desk.dataset / "README.md").write_text("---\nlanguage: de\n---\n\n# Meine Kanji\n", "utf-8")
    desk.push()
    card = desk.repo.files()["README.md"].decode()
    assert "# Meine Kanji\n" in card
    assert hub_card.metadata(card)["language"] == "de"


# What is refused ----------------------------------------------------------------------------------------------------

Prepare = Callable[[Desk, pytest.MonkeyPatch], None]


def with_setting(name: str, value: str | None) -> Prepare:
    def prepare(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)

    return prepare


def with_file(name: str, data: bytes) -> Prepare:
    def prepare(desk: Desk, _: pytest.MonkeyPatch) -> None:
        (desk.dataset / name).write_bytes(data)

    return prepare


def with_card(card: bytes) -> Prepare:
    def prepare(desk: Desk, _: pytest.MonkeyPatch) -> None:
        there(desk)
        desk.hub.commit("dataset", REPO, {"README.md": card})

    return prepare


def with_own_card(card: bytes) -> Prepare:
    """A dataset that was not built by us, with a card that its owner wrote."""

    def prepare(desk: Desk, _: pytest.MonkeyPatch) -> None:
        (desk.dataset / "build.json").unlink()
        (desk.dataset / "README.md").write_bytes(card)

    return prepare


def recaption(desk: Desk, text: str) -> None:
    """Give the first picture another caption; without a certificate nobody minds."""
    (desk.dataset / "build.json").unlink()
    path = desk.dataset / metadata.NAME
    (name, _), *others = metadata.read_rows(path)
    path.write_bytes(metadata.to_csv([(name, text), *others]))


def with_caption(text: str) -> Prepare:
    return lambda desk, _: recaption(desk, text)


def with_a_card_that_leads_to_itself(desk: Desk, _: pytest.MonkeyPatch) -> None:
    (desk.dataset / "README.md").unlink()
    (desk.dataset / "README.md").symlink_to("README.md")


def without_a_picture(desk: Desk, _: pytest.MonkeyPatch) -> None:
    (desk.dataset / "亜_kanji_04e9c.png").unlink()


def with_one_more_picture(desk: Desk, _: pytest.MonkeyPatch) -> None:
    shutil.copy(desk.dataset / "亜_kanji_04e9c.png", desk.dataset / "more.png")


def with_a_secret_in_a_picture(desk: Desk, _: pytest.MonkeyPatch) -> None:
    (desk.dataset / "build.json").unlink()
    path, chunk = desk.dataset / "亜_kanji_04e9c.png", PngImagePlugin.PngInfo()
    chunk.add_text("Comment", f"made with {SECRET}")
    Image.open(path).save(path, pnginfo=chunk)


def with_own_path(desk: Desk, _: pytest.MonkeyPatch) -> None:
    recaption(desk, f"as in {desk.dataset}/x")


def with_a_secret_in_a_side_file(desk: Desk, _: pytest.MonkeyPatch) -> None:
    """A table of the build, renewed together with the sums and the certificate."""
    skipped, sums, certificate = (desk.dataset / name for name in ("skipped.csv", "SHA256SUMS", "build.json"))
    before = hashlib.sha256(skipped.read_bytes()).hexdigest()
    skipped.write_bytes(skipped.read_bytes() + f"x,4e00,{SECRET}\n".encode())
    digest = hashlib.sha256(sums.read_bytes()).hexdigest()
    sums.write_text(
        sums.read_text("utf-8").replace(before, hashlib.sha256(skipped.read_bytes()).hexdigest()), "utf-8"
    )
    now = hashlib.sha256(sums.read_bytes()).hexdigest()
    certificate.write_text(certificate.read_text("utf-8").replace(digest, now), "utf-8")


def with_public_repo(desk: Desk, _: pytest.MonkeyPatch) -> None:
    there(desk)


def with_tag_elsewhere(desk: Desk, _: pytest.MonkeyPatch) -> None:
    there(desk)
    desk.repo.tags["v1"] = desk.repo.head()


def with_repo_of_mine(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    there(desk)
    monkeypatch.setenv("HF_TOKEN", OTHER_TOKEN)


def with_login_page(desk: Desk, _: pytest.MonkeyPatch) -> None:
    desk.hub.fail("*", "", "html", times=ALWAYS)


def with_no_space(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))


def with_a_file_for_a_cache(desk: Desk, _: pytest.MonkeyPatch) -> None:
    (desk.home / "cache").write_text("")


def with_no_leave_to_write(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda _, mode: mode != os.W_OK)


BROKEN = b"---\nlicense: [mit\n---\n# Kanji\n"
LOGIN = "hf auth login"
TOKENS = "/settings/tokens and set HF_TOKEN to it"
SOON = ("--deadline-s", "4")
REFUSED: dict[str, tuple[Prepare, tuple[str, ...], int, tuple[str, ...]]] = {
    "wrong token": (with_setting("HF_TOKEN", token("x")), (), 5, ("the token is refused (401)", TOKENS)),
    "no token": (with_setting("HF_TOKEN", None), (), 5, ("there is no token", LOGIN)),
    "read-only token": (with_setting("HF_TOKEN", READ_TOKEN), (), 5, (REPO, "of me can only read", TOKENS)),
    "token for another repository": (
        with_setting("HF_TOKEN", ONE_REPO_TOKEN),
        (),
        5,
        (f"{REPO}: the token 'a token' of me may not write here", TOKENS),
    ),
    "token of somebody else": (
        with_repo_of_mine,
        (),
        5,
        (f"{REPO}: 'me' is no namespace of yours; yours are you",),
    ),
    "offline": (with_setting("HF_HUB_OFFLINE", "1"), (), 5, ("HF_HUB_OFFLINE is set", "unset it")),
    "nobody there": (with_setting("HF_ENDPOINT", "http://127.0.0.1:9"), SOON, 5, ("127.0.0.1:9: cannot be reached",)),
    "login page": (with_login_page, SOON, 5, ("answers, but not as a Hub does", "a network's login page")),
    "bad branch": (with_public_repo, ("--revision", "a..b"), 5, ("'a..b' is no name for --revision",)),
    "bad tag": (with_public_repo, ("--tag", "v 1"), 5, ("'v 1' is no name for --tag",)),
    "public though private is wanted": (
        with_public_repo,
        ("--private",),
        5,
        (f"{REPO}: is public already, and --private was asked for",),
    ),
    "tag elsewhere": (
        with_tag_elsewhere,
        ("--tag", "v1"),
        5,
        (f"{REPO}: the tag 'v1' stands at another commit", "give another --tag"),
    ),
    "no space": (with_no_space, (), 5, ("has 0 MB free", "free some space")),
    "no cache": (with_a_file_for_a_cache, (), 5, ("cannot be written",)),
    "caption NA": (with_caption("NA"), (), 4, ("is not fit to train on", "亜_kanji_04e9c.png: read as nan")),
    "picture missing": (without_a_picture, (), 4, ("not there: 1 (亜_kanji_04e9c.png)", "restore")),
    "picture too many": (with_one_more_picture, (), 4, ("have no row", "1 (more.png)", "--force")),
    "secret in a caption": (
        with_caption(f"a {SECRET}"),
        (),
        4,
        ("dataset: metadata.csv:2 holds a token of the Hub", "take it out"),
    ),
    "secret in a side file": (
        with_a_secret_in_a_side_file,
        (),
        4,
        ("dataset: skipped.csv:2 holds a token of the Hub",),
    ),
    "secret in a picture": (
        with_a_secret_in_a_picture,
        (),
        4,
        ("dataset: 亜_kanji_04e9c.png holds a token of the Hub",),
    ),
    "own token in the card": (
        with_file("README.md", f"# Kanji\n{WRITE_TOKEN}\n".encode()),
        (),
        4,
        ("dataset: README.md:2 holds a token of the Hub",),
    ),
    "path of this machine": (with_own_path, (), 4, ("metadata.csv:2 holds a path of this machine",)),
    "own card of bad YAML": (
        with_own_card(BROKEN),
        (),
        4,
        ("dataset/README.md:2: front matter that is not plain YAML", "mend the front matter by hand"),
    ),
    "own card of no UTF-8": (with_own_card(b"\xff\xfe"), (), 4, ("dataset/README.md: not UTF-8 text at byte 0",)),
    "own card that leads to itself": (
        with_a_card_that_leads_to_itself,
        (),
        4,
        ("dataset/README.md: cannot be read: too many levels of symbolic links",),
    ),
    "their card of bad YAML": (
        with_card(BROKEN),
        (),
        5,
        (f"README.md of {REPO}:2: front matter that is not plain YAML", "mend the front matter by hand"),
    ),
    "their card of no UTF-8": (
        with_card(b"# Kanji \xff\n"),
        (),
        5,
        (f"README.md of {REPO}: is not UTF-8 text at byte 8", "mend it there by hand"),
    ),
    "secret in their card": (
        with_card(f"# Kanji\n{SECRET}\n".encode()),
        (),
        5,
        (f"README.md of {REPO}", "holds a token of the Hub"),
    ),
    "their card with half of our marks": (
        with_card(b"# Kanji\n<!-- kanjiprep: end -->\n"),
        (),
        5,
        (f"README.md of {REPO}:2: has the kanjiprep marks end", "take out"),
    ),
    "folder that must not be written": (
        with_no_leave_to_write,
        (),
        4,
        ("dataset: must not be written", "change its permissions"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_pushed_is_told_in_one_line_and_nothing_is_sent(
    desk: Desk, hub: Hub, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    prepare, options, code, words = REFUSED[case]
    prepare(desk, monkeypatch)
    stood = pushes.state(hub)
    began = time.monotonic()
    said = desk.push(*options)
    assert said.code == code
    assert [word for word in words if word not in said.line] == [], said.line
    assert SECRET not in said.line
    assert "/kanjiprep/push/" not in said.line or case in ("no space", "no cache"), "that folder is gone"
    assert time.monotonic() - began < 15
    assert pushes.state(hub) == stood
    assert not {one.method for one in hub.requests} - {"GET", "HEAD"}
    assert desk.left_behind == []
    assert not (desk.dataset / "push.json").exists()


@pytest.mark.parametrize(
    ("repo_id", "says"),
    [
        ("nobody/kanji", "'nobody' is no namespace of yours; yours are me, club, readers"),
        ("readers/kanji", "readers/kanji: you may only read in 'readers'; ask for write access there"),
        ("me/my kanji", "'me/my kanji' is no name of a repository; give it as NAMESPACE/NAME"),
        ("me/kanji/more", "'me/kanji/more' is no name of a repository"),
        ("me/ka--nji", "'me/ka--nji' is no name of a repository"),
        ("", "'' is no name of a repository"),
        ("https://huggingface.co/datasets/me/kanji", "give it as me/kanji"),
    ],
)
def test_a_repository_that_cannot_be_is_told(desk: Desk, hub: Hub, repo_id: str, says: str) -> None:
    said = desk.push(repo_id=repo_id)
    assert (said.code, hub.state.repos, desk.left_behind, desk.receipt) == (5, {}, [], None)
    assert says in said.line


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "nowhere/metadata.csv: cannot be read: no such file or directory; run kanjiprep build"),
        ("empty", "empty/metadata.csv: cannot be read: no such file or directory; run kanjiprep build"),
        ("dataset/metadata.csv", "metadata.csv: is a file, not the folder of a dataset; give the folder"),
    ],
)
def test_a_folder_that_is_no_dataset_is_told_before_the_hub_is_asked(
    desk: Desk, hub: Hub, name: str, says: str
) -> None:
    (desk.home / "empty").mkdir()
    said = desk.push(dataset=desk.home / name)
    assert (said.code, hub.requests) == (4, [])
    assert says in said.line


def test_arguments_the_wrong_way_round_are_told(desk: Desk, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.home)
    said = desk.push(dataset=Path(REPO), repo_id="dataset")
    assert (said.code, hub.requests) == (2, [])
    assert f"{REPO}: is no folder, and the dataset comes first; kanjiprep push dataset {REPO}" in said.line


def test_an_empty_tag_is_no_tag(desk: Desk, hub: Hub) -> None:
    said = desk.push("--tag", "")
    assert (said.code, hub.requests) == (5, [])
    assert "'' is no name for --tag" in said.line


def test_a_wrong_option_is_told(desk: Desk) -> None:
    said = desk.push("--layout", "zip")
    assert said.code == 2
    assert "'zip' is not one of 'parquet', 'files'" in said.line


def test_an_unfit_dataset_may_be_forced(desk: Desk) -> None:
    recaption(desk, "NA")
    assert desk.push("--force").document["status"] == "pushed"
    assert pushes.rows_there(desk.repo.files())[0][1] == "NA"


def test_a_push_beside_another_of_the_same_is_refused(desk: Desk, hub: Hub) -> None:
    with staging.opened(desk.home / "cache" / "kanjiprep" / "push", f"{desk.dataset} {REPO}"):
        said = desk.push()
    assert (said.code, hub.requests) == (5, [])
    assert "another kanjiprep is at the same work; wait for it or stop it" in said.line


def test_a_receipt_that_cannot_be_written_is_told_with_the_commit(desk: Desk, hub: Hub) -> None:
    hub.fail("POST", "/commit/", "meanwhile", do=(desk.dataset / "push.json").mkdir)
    said = desk.push()
    assert said.code == 4
    assert f"{REPO} is pushed as {desk.repo.head()}, but its receipt cannot be written" in said.line
    assert not list(desk.dataset.glob(".push.json*"))
    hub.clear()
    said = desk.push()
    assert (said.code, hub.requests) == (4, [])
    assert "push.json: is a folder, and the receipt goes there; move it away" in said.line
    (desk.dataset / "push.json").rmdir()
    assert desk.push().document["status"] == "unchanged"


def test_no_secret_is_left_anywhere(desk: Desk, tmp_path: Path) -> None:
    assert desk.push("--tag", "v1").code == 0
    mine = (path for path in tmp_path.rglob("*") if path.is_file() and "hub" not in path.relative_to(tmp_path).parts)
    assert not [path for path in mine if WRITE_TOKEN.encode() in path.read_bytes()]
    assert not [path for path, data in desk.repo.files().items() if WRITE_TOKEN.encode() in data]


# Waiting ------------------------------------------------------------------------------------------------------------


def test_a_wait_is_shown_and_is_as_long_as_the_hub_asks(desk: Desk, hub: Hub) -> None:
    hub.fail("GET", "/revision/", "status", code=429, headers={"Retry-After": "2"})
    began = time.monotonic()
    code, _, err = desk.run("push", desk.dataset, REPO)
    assert (code, time.monotonic() - began > 2) == (0, True)
    assert "the Hub is busy (429); waiting 2 s, as it asks, then attempt 2 of 6" in err.splitlines()


def test_ctrl_c_ends_a_push_in_a_line_and_leaves_nothing(desk: Desk, hub: Hub) -> None:
    stuck = hub.fail("POST", "/commit/", "hang", times=ALWAYS)
    victim = pushes.start("push", desk.dataset, REPO, "--json")
    pushes.await_true(lambda: stuck.met, victim)
    children = psutil.Process(victim.pid).children(recursive=True)
    assert children
    assert not [one for one in children if WRITE_TOKEN in " ".join(one.cmdline())]
    began = time.monotonic()
    victim.send_signal(signal.SIGINT)
    out, err = victim.communicate(timeout=60)
    assert time.monotonic() - began < 5
    line = f"error: interrupted while sending to {REPO}; whether it arrived is not known; run the same command again"
    assert (victim.returncode, out, err) == (130, "", f"{line}: it looks before it sends\n")
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert (desk.left_behind, desk.receipt, pushes.changes(desk.repo)) == ([], None, [])


# The whole of it ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole real dataset."""
    out = tmp_path_factory.mktemp("whole") / "dataset"
    command = [sys.executable, "-m", "kanjiprep", "build", str(out), "--workers", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
@pytest.mark.slow
def test_the_whole_real_dataset_goes_up_in_one_commit_and_comes_back_byte_for_byte(
    hub: Hub, whole: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in pushes.settings(hub, tmp_path).items():
        monkeypatch.setenv(name, value)
    said = pushes.Said(*run("push", whole, REPO, "--tag", "v1", "--json")).document
    assert said["pictures"] >= 6_400
    assert [one.message for one in hub.repo("dataset", REPO).commits()][1:] == ["initial commit"]
    assert len(hub.requests) <= 15, steps(hub)
    here = rows_here(whole)
    assert len(here) == said["pictures"]
    assert load(hub, tmp_path / "reader", "v1") == [here, here]
