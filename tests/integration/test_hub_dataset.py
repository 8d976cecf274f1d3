"""``--dataset REPO_ID@REV`` through the command line, with the real client, against a Hub on loopback."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from kanjiprep import metadata
from kanjiprep.publishing.hub import patience
from tests import pushes
from tests.hub_accounts import OTHER_TOKEN, token
from tests.hub_faults import ALWAYS
from tests.hub_server import Hub
from tests.pushes import PARQUET, REPO, Desk, Said

pytestmark = pytest.mark.slow

NOT_COMPARED = {"README.md", "push.json"}
"""Of a folder: the Hub's own card, and the receipt of whoever pushed or fetched it."""


@pytest.fixture
def pushed(desk: Desk, hub: Hub) -> str:
    """The commit of a dataset that was pushed as v1."""
    commit: str = desk.push("--tag", "v1").document["commit"]
    hub.clear()
    return commit


def plan(desk: Desk, dataset: object) -> Said:
    """What came of a plan with that dataset."""
    return Said(*desk.run("plan", "tiny-cpu", "--dataset", dataset, "--json"))


def fetched(desk: Desk) -> list[Path]:
    """The datasets of the Hub that are kept; nothing half is beside them."""
    store = desk.home / "data" / "kanjiprep" / "datasets"
    assert list(store.glob(".fetching/*")) == []
    return sorted(store.glob("[!.]*"))


def files(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.name not in NOT_COMPARED}


def table(path: Path, rows: list[dict[str, object]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)
    return path.read_bytes()


# Fetched ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["parquet", "files"])
def test_a_plan_fetches_the_very_folder_that_was_pushed(desk: Desk, built: Path, layout: str) -> None:
    commit = desk.push("--layout", layout, "--tag", "v1").document["commit"]
    said = plan(desk, f"{REPO}@v1").document
    (folder,) = fetched(desk)
    assert folder.name == f"me--kanji@{commit[:12]}"
    assert files(folder) == files(built)
    digest = json.loads((built / "build.json").read_bytes())["digest"]
    assert (said["hub"], said["digest"], said["dataset"]) == (f"{REPO}@{commit}", digest, str(folder))


def test_a_plan_says_where_the_dataset_stands(desk: Desk, pushed: str) -> None:
    code, out, err = desk.run("plan", "tiny-cpu", "--dataset", f"{REPO}@v1")
    assert code == 0
    assert f"on the Hub: {REPO}@{pushed}" in out
    assert err.splitlines()[-1].endswith(f"kanjiprep launch-simpletuner tiny-cpu --dataset {REPO}@v1")
    assert f"dataset: {fetched(desk)[0]}" in err.splitlines()


@pytest.mark.parametrize("revision", ["", "@main", "@v1", "@COMMIT"])
def test_every_way_to_name_it_gives_the_same_folder(desk: Desk, pushed: str, revision: str) -> None:
    said = plan(desk, REPO + revision.replace("COMMIT", pushed)).document
    assert said["hub"] == f"{REPO}@{pushed}"
    assert [one.name for one in fetched(desk)] == [f"me--kanji@{pushed[:12]}"]


def test_a_second_time_it_is_only_looked_at_and_with_a_full_commit_not_even_that(
    desk: Desk, hub: Hub, pushed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = plan(desk, f"{REPO}@v1").document
    hub.clear()
    assert plan(desk, f"{REPO}@v1").document == first
    assert [(one.method, "/resolve/" in one.path) for one in hub.requests] == [("GET", False)] * len(hub.requests)
    hub.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert plan(desk, f"{REPO}@{pushed}").document == first
    assert hub.requests == []


def test_the_pushed_folder_names_the_commit_by_its_receipt_until_it_changes(
    desk: Desk, hub: Hub, pushed: str
) -> None:
    assert plan(desk, desk.dataset).document["hub"] == f"{REPO}@{pushed}"
    assert hub.requests == []
    path = desk.dataset / metadata.NAME
    (desk.dataset / "build.json").unlink()
    path.write_bytes(path.read_bytes().replace(b"thing 3", b"thing 4"))
    assert plan(desk, desk.dataset).document["hub"] == ""


def test_a_path_wins_over_a_repository(
    desk: Desk, hub: Hub, built: Path, pushed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.home / "me").mkdir()
    (desk.home / REPO).symlink_to(built)
    monkeypatch.chdir(desk.home)
    said = plan(desk, REPO).document
    assert (said["hub"], fetched(desk), hub.requests) == ("", [], [])


def test_a_newer_commit_is_kept_beside_the_older(desk: Desk, hub: Hub, pushed: str) -> None:
    plan(desk, REPO)
    hub.commit("dataset", REPO, {"notes.txt": b"more"})
    assert plan(desk, REPO).document["hub"] == f"{REPO}@{desk.repo.head()}"
    assert plan(desk, f"{REPO}@v1").document["hub"] == f"{REPO}@{pushed}"
    assert len(fetched(desk)) == 2


def test_a_fetched_folder_that_was_changed_is_not_trained_on_as_if_it_were_the_hubs(desk: Desk, pushed: str) -> None:
    plan(desk, f"{REPO}@{pushed}")
    (folder,) = fetched(desk)
    table = folder / metadata.NAME
    table.write_bytes(table.read_bytes().replace(b"thing 3", b"thing 4"))
    said = plan(desk, f"{REPO}@{pushed}")
    assert said.code == 4
    assert f"{folder}: is no longer as it was fetched" in said.line


def test_a_private_one_is_fetched_by_its_owner(desk: Desk) -> None:
    desk.push("--private")
    assert plan(desk, REPO).document["hub"] == f"{REPO}@{desk.repo.head()}"


def test_a_public_one_is_fetched_without_a_token(desk: Desk, pushed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert plan(desk, REPO).document["hub"] == f"{REPO}@{pushed}"


def test_a_dataset_of_somebody_else_is_taken_with_its_own_names(desk: Desk, hub: Hub, built: Path) -> None:
    pictures = [data for _, _, data in pushes.rows(built)]
    rows: list[dict[str, object]] = [{"image": {"bytes": one, "path": None}, "caption": "a sign"} for one in pictures]
    hub.create("dataset", REPO)
    hub.commit("dataset", REPO, {"data/train.parquet": table(desk.home / "x.parquet", rows)})
    assert plan(desk, REPO).document["hub"] == f"{REPO}@{desk.repo.head()}"
    (folder,) = fetched(desk)
    assert [(caption, data) for _, caption, data in pushes.rows(folder)] == [("a sign", one) for one in pictures]


# Faults that pass ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind", "how"),
    [
        ("/revision/", "status", {"code": 503}),
        ("/tree/", "html", {}),
        ("/resolve/.*parquet", "status", {"code": 500}),
        ("/resolve/.*parquet", "torn", {}),
        ("/resolve/.*parquet", "reset", {}),
        ("/resolve/.*build.json", "html", {}),
        ("/resolve/.*csv", "drop_early", {}),
    ],
)
def test_a_fault_that_passes_is_waited_for(
    desk: Desk, hub: Hub, pushed: str, built: Path, monkeypatch: pytest.MonkeyPatch, path: str, kind: str, how: object
) -> None:
    monkeypatch.setattr(patience, "_WAITS_S", (0.1, 0.2, 0.4))
    options: dict[str, object] = how  # type: ignore[assignment]
    fault = hub.fail("GET", path, kind, **options)  # type: ignore[arg-type]
    assert plan(desk, f"{REPO}@v1").document["hub"] == f"{REPO}@{pushed}"
    assert fault.met
    assert [files(one) for one in fetched(desk)] == [files(built)]


# Refused ------------------------------------------------------------------------------------------------------------

Prepare = Callable[[Desk, pytest.MonkeyPatch], None]


def with_token(name: str | None) -> Prepare:
    def prepare(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        desk.hub.create("dataset", REPO, private=True)
        if name is None:
            monkeypatch.delenv("HF_TOKEN")
        else:
            monkeypatch.setenv("HF_TOKEN", name)

    return prepare


def with_files(**data: bytes) -> Prepare:
    def prepare(desk: Desk, _: pytest.MonkeyPatch) -> None:
        desk.hub.create("dataset", REPO)
        desk.hub.commit("dataset", REPO, {name.replace("_", "."): one for name, one in data.items()})

    return prepare


def with_other_columns(desk: Desk, _: pytest.MonkeyPatch) -> None:
    desk.hub.create("dataset", REPO)
    rows: list[dict[str, object]] = [{"question": "why", "answer": 42}]
    desk.hub.commit("dataset", REPO, {PARQUET: table(desk.home / "x.parquet", rows)})


def with_wrong_hashes(desk: Desk, _: pytest.MonkeyPatch) -> None:
    assert desk.push().code == 0
    desk.hub.fail("GET", "/tree/", "wrong_hash", path=PARQUET, times=ALWAYS)


def with_another_certificate(desk: Desk, _: pytest.MonkeyPatch) -> None:
    assert desk.push().code == 0
    text = desk.repo.files()["build.json"].decode()
    digest = json.loads(text)["digest"]
    desk.hub.commit("dataset", REPO, {"build.json": text.replace(digest, "0" * 64).encode()})


def with_no_space(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.push().code == 0
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))


def with_a_file_for_a_store(desk: Desk, _: pytest.MonkeyPatch) -> None:
    assert desk.push().code == 0
    (desk.home / "data").write_text("")


def with_nobody_there(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_WAITS_S", (0.1,) * 5)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


def with_a_login_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_WAITS_S", (0.1,) * 5)
    desk.hub.fail("*", "", "html", times=ALWAYS)


def nothing(desk: Desk, _: pytest.MonkeyPatch) -> None:
    """Leave the Hub empty."""


def pushed_before(desk: Desk, _: pytest.MonkeyPatch) -> None:
    assert desk.push().code == 0


def offline(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.push().code == 0
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


REFUSED: dict[str, tuple[Prepare, str, int, tuple[str, ...]]] = {
    "unknown repository": (
        nothing,
        REPO,
        5,
        (f"{REPO}: is neither a folder here nor a dataset on the Hub", "check the name"),
    ),
    "unknown revision": (pushed_before, f"{REPO}@v9", 5, (f"{REPO}: has no revision 'v9'", "give a branch")),
    "unknown commit": (pushed_before, f"{REPO}@{'0' * 40}", 5, (f"{REPO}: has no revision '{'0' * 40}'",)),
    "private, no token": (with_token(None), REPO, 5, (REPO, "hf auth login")),
    "private, of somebody else": (with_token(OTHER_TOKEN), REPO, 5, (f"{REPO}: is neither a folder here nor a",)),
    "wrong token": (with_token(token("x")), REPO, 5, (REPO, "the token is refused (401)", "/settings/tokens")),
    "bad name": (nothing, "me/ka--nji", 5, ("'me/ka--nji' is no name of a repository",)),
    "bad revision": (pushed_before, f"{REPO}@a..b", 5, ("'a..b' is no name for a revision",)),
    "address": (nothing, f"https://huggingface.co/datasets/{REPO}", 2, ("is an address", f"give {REPO}, or {REPO}@")),
    "no pictures": (with_files(notes_txt=b"x"), REPO, 4, (f"{REPO}: holds neither parquet files nor pictures",)),
    "nothing in it": (with_files(README_md=pushes.CARD), REPO, 4, (f"{REPO}: holds neither parquet files",)),
    "other columns": (with_other_columns, REPO, 4, ("train-00000-of-00001.parquet", "question")),
    "wrong hashes": (with_wrong_hashes, REPO, 5, (f"{REPO}: {PARQUET} did not arrive as the Hub says it is",)),
    "another certificate": (with_another_certificate, REPO, 4, ("does not hold what was pushed", "build.json")),
    "no space": (with_no_space, REPO, 5, ("has 0 MB free", "free some space")),
    "no store": (with_a_file_for_a_store, REPO, 4, ("not a directory",)),
    "nobody there": (with_nobody_there, REPO, 5, (REPO, "cannot be reached", "HF_ENDPOINT")),
    "login page": (with_a_login_page, REPO, 5, (REPO, "answers, but not as a Hub does")),
    "offline": (offline, REPO, 5, (REPO, "HF_HUB_OFFLINE is set", "unset it")),
    "no folder": (nothing, "./me/kanji", 4, ("me/kanji/metadata.csv: cannot be read",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_had_is_told_in_one_line_and_nothing_half_is_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    prepare, dataset, code, words = REFUSED[case]
    prepare(desk, monkeypatch)
    monkeypatch.chdir(desk.home)
    said = plan(desk, dataset)
    assert said.code == code
    assert [word for word in words if word not in said.line] == [], said.line
    assert ".fetching" not in said.line or case == "no space", "that folder is gone"
    assert fetched(desk) == []


# Killed -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT])
def test_what_is_killed_in_the_middle_leaves_nothing_half_and_goes_on(
    desk: Desk, hub: Hub, built: Path, pushed: str, way: signal.Signals
) -> None:
    stuck = hub.fail("GET", "/resolve/.*parquet", "slow", seconds=20, trickle=True)
    victim = pushes.start("plan", "tiny-cpu", "--dataset", REPO, "--json")
    pushes.await_true(lambda: stuck.met, victim)
    children = psutil.Process(victim.pid).children()
    assert children
    victim.send_signal(way)
    out, err = victim.communicate(timeout=30)
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert list((desk.home / "data" / "kanjiprep" / "datasets").glob("[!.]*")) == [], "nothing looks whole"
    if way == signal.SIGINT:
        assert (victim.returncode, out, err) == (130, "", "error: interrupted; run the same command again\n")
        assert fetched(desk) == []
    hub.clear()
    assert plan(desk, REPO).document["hub"] == f"{REPO}@{pushed}"
    assert [files(one) for one in fetched(desk)] == [files(built)]
