"""Pushes through faults: whatever fails and whenever, the Hub is as before or as pushed, and the message is true."""

from __future__ import annotations

import functools
import random
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import psutil
import pytest

from kanjiprep.publishing.hub import patience
from tests import pushes
from tests.hub_faults import ALWAYS, Kind
from tests.hub_server import Hub
from tests.pushes import PARQUET, REPO, Desk

pytestmark = pytest.mark.slow

GRACE_S: Final = 6.0
"""For the work before the first request, and for a last look after the deadline."""
_WAITS_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8)

NOTHING: Final = "Nothing was sent"
EMPTY: Final = "An empty repository was made, and so far nothing else"
AS_BEFORE: Final = "So far nothing has changed there"
UNTAGGED: Final = "and only the tag is missing"
UNKNOWN_TAG: Final = "and whether the tag does is not known"
NOT_COMPARED: Final = "It was sent, and could not be compared"
OTHER: Final = "holds other files"
_ARRIVED: Final = (UNTAGGED, UNKNOWN_TAG, NOT_COMPARED, OTHER)

ENDPOINTS: Final[Mapping[str, tuple[str, str]]] = {
    "whoami": ("GET", "/whoami-v2$"),
    "look": ("GET", "/revision/main$"),
    "tree": ("GET", "/tree/"),
    "refs": ("GET", "/refs$"),
    "card": ("*", "/resolve/.*/README.md$"),
    "create": ("POST", "/repos/create$"),
    "yaml": ("POST", "/validate-yaml$"),
    "preupload": ("POST", "/preupload/main$"),
    "token": ("GET", "/xet-write-token/"),
    "xorb": ("POST", "/v1/xorbs/"),
    "shard": ("POST", "/v1/shards$"),
    "batch": ("POST", "/objects/batch$"),
    "put": ("PUT", "/lfs-storage/"),
    "stored": ("POST", "/lfs-storage/.*/verify$"),
    "commit": ("POST", "/commit/main$"),
    "tag": ("POST", "/tag/"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, and what a push through it says: nothing if it succeeds.

    Attributes:
        at: One of ``ENDPOINTS``.
        kind: Of fault.
        says: Of the state of the Hub; empty if the push gets through.
        times: How often it strikes.
        skip: How many requests it lets pass before.
        how: Options of the fault.
        is_there: Whether somebody's repository with a card is there before.
        options: Of the push.
        cas: Whether hf_xet stores over HTTP.
    """

    at: str
    kind: Kind
    says: str = ""
    times: int = 1
    skip: int = 0
    how: Mapping[str, Any] = field(default_factory=dict)
    is_there: bool = False
    options: tuple[str, ...] = ()
    cas: Literal["local", "http"] = "local"

    @property
    def deadline_s(self) -> float:
        """Short where it will be waited for."""
        return 5 if self.kind == "hang" or self.times == ALWAYS else 30

    def __str__(self) -> str:
        code = str(self.how.get("code", ""))
        more = (f"after {self.skip}" if self.skip else "", "always" if self.times == ALWAYS else "")
        where = ("there" if self.is_there else "", "" if self.cas == "local" else "http", *self.options)
        return " ".join(filter(None, (self.at, self.kind, code, *more, *where)))


def status(at: str, code: int, says: str = "", headers: Mapping[str, str] | None = None, **more: Any) -> Case:
    how = {"code": code, **({"headers": headers} if headers else {})}
    return Case(at, "status", says, how=how, **more)


def page(at: str, code: int) -> Case:
    """A status with a page that is no JSON, as a proxy sends it."""
    return Case(at, "status", how={"code": code, "body": "<html>Bad Gateway</html>"})


always = functools.partial(Case, times=ALWAYS)
SOON: Final = {"Retry-After": "1"}
THERE: Final[dict[str, Any]] = {"is_there": True}
HTTP: Final[dict[str, Any]] = {"cas": "http"}
PLAIN: Final[dict[str, Any]] = {"options": ("--no-xet",)}

CASES: Final = (
    # whose token it is
    status("whoami", 401, NOTHING),
    status("whoami", 429, headers=SOON),
    page("whoami", 502),
    Case("whoami", "hang"),
    status("whoami", 500, NOTHING, times=ALWAYS),
    # what stands there
    status("look", 404, NOTHING),
    status("look", 503),
    Case("look", "reset"),
    Case("look", "html"),
    always("look", "hang", NOTHING),
    status("refs", 403, NOTHING, **THERE),
    status("card", 403, NOTHING, **THERE),
    Case("card", "torn", skip=1, **THERE),
    Case("card", "html", **THERE),
    # a repository is made
    status("create", 403, NOTHING),
    status("create", 500),
    Case("create", "drop_early"),
    Case("create", "lost_reply"),
    always("create", "html", NOTHING),
    always("create", "lost_reply"),
    status("tree", 404, EMPTY),
    Case("tree", "torn"),
    # the card is validated, and the Hub is asked what it has
    status("yaml", 500),
    Case("yaml", "html"),
    status("preupload", 403, EMPTY),
    status("preupload", 413, AS_BEFORE, **THERE),
    Case("preupload", "reset"),
    Case("preupload", "hang"),
    status("preupload", 503, EMPTY, times=ALWAYS),
    # the content is stored
    status("token", 401, EMPTY),
    status("token", 404, EMPTY),
    status("xorb", 403, EMPTY, **HTTP),
    status("xorb", 500, **HTTP),
    always("xorb", "hang", EMPTY, **HTTP),
    status("shard", 400, EMPTY, **HTTP),
    Case("shard", "reset", **HTTP),
    status("batch", 403, EMPTY, **PLAIN),
    status("put", 500, **PLAIN),
    Case("stored", "drop_early", **PLAIN),
    # the commit
    status("commit", 403, AS_BEFORE, **THERE),
    status("commit", 413, EMPTY),
    status("commit", 409),
    status("commit", 412),
    status("commit", 429, headers=SOON),
    page("commit", 502),
    Case("commit", "drop_early"),
    Case("commit", "reset"),
    Case("commit", "torn"),
    Case("commit", "html"),
    Case("commit", "lost_reply"),
    Case("commit", "lost_reply", **PLAIN),
    Case("commit", "slow", how={"seconds": 1}),
    status("commit", 412, AS_BEFORE, times=ALWAYS, **THERE),
    status("commit", 500, EMPTY, times=ALWAYS),
    always("commit", "hang", AS_BEFORE, **THERE),
    always("commit", "lost_reply"),
    # everything is compared
    status("look", 404, NOT_COMPARED, skip=2),
    Case("look", "hang", skip=2),
    status("look", 500, NOT_COMPARED, skip=2, times=ALWAYS),
    Case("tree", "wrong_hash", OTHER, skip=1, how={"path": PARQUET}),
    # the tag
    status("tag", 403, UNTAGGED),
    status("tag", 409, UNTAGGED),
    Case("tag", "html", UNTAGGED),
    Case("tag", "lost_reply"),
    status("tag", 500, UNTAGGED, times=ALWAYS),
    status("refs", 500),
    status("refs", 403, UNKNOWN_TAG, times=ALWAYS),
)


@pytest.fixture
def hub(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Hub]:
    case: Case | None = getattr(request.node, "callspec", None) and request.node.callspec.params.get("case")
    with Hub(tmp_path / "hub", cas=case.cas if case else "local") as open_hub:
        yield open_hub


def commits(desk: Desk) -> list[str]:
    """The commits that changed something since there is a repository."""
    key = ("dataset", REPO)
    return [one.oid for one in pushes.changes(desk.repo)] if key in desk.hub.state.repos else []


def assert_pushed(desk: Desk, built: Path, before: list[str]) -> None:
    """All of it stands on the Hub, sent in exactly one commit, and is told of by the receipt."""
    repo, receipt = desk.repo, desk.receipt
    assert pushes.rows_there(repo.files()) == pushes.rows(built)
    assert receipt is not None
    assert receipt.commit == repo.head()
    assert {path: repo.commit_of("main").tree[path].sha256 for path in receipt.sha256} == receipt.sha256
    assert commits(desk)[1:] == before


def assert_refused(desk: Desk, said: pushes.Said, stood: Mapping[Any, Any], before: list[str]) -> None:
    """The Hub is as before or as pushed, as the line says, and there is no receipt."""
    assert said.code == 5
    assert desk.receipt is None
    if NOTHING in said.line or AS_BEFORE in said.line:
        assert pushes.state(desk.hub) == stood
    elif EMPTY in said.line:
        assert (stood, list(desk.repo.files()), desk.repo.tags) == ({}, [".gitattributes"], {})
    else:
        assert any(one in said.line for one in _ARRIVED), said.line
        assert commits(desk)[1:] == before
        assert "v1" not in desk.repo.tags or UNKNOWN_TAG in said.line


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_leaves_the_hub_as_before_or_as_pushed_and_the_message_is_true(
    desk: Desk, hub: Hub, built: Path, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    monkeypatch.setattr(patience, "_WAITS_S", _WAITS_S)
    if case.is_there:
        hub.create("dataset", REPO)
        hub.commit("dataset", REPO, {"README.md": pushes.CARD, "notes.txt": b"mine"})
    stood, before = pushes.state(hub), commits(desk)
    fault = hub.fail(*ENDPOINTS[case.at], case.kind, skip=case.skip, times=case.times, **case.how)
    began = time.monotonic()
    said = desk.push("--tag", "v1", "--deadline-s", case.deadline_s, *case.options)
    assert time.monotonic() - began < case.deadline_s + GRACE_S
    assert fault.met
    assert desk.left_behind == []
    if case.says:
        assert case.says in said.line
        assert_refused(desk, said, stood, before)
    else:
        assert said.document["status"] == "pushed"
        assert_pushed(desk, built, before)
        assert desk.repo.tags == {"v1": desk.repo.head()}

    stands = commits(desk)
    hub.clear()
    again = desk.push("--tag", "v1", *case.options).document
    assert_pushed(desk, built, before)
    assert desk.repo.tags == {"v1": again["commit"]}
    if len(stands) > len(before):
        assert (again["status"], again["commit"]) == ("unchanged", stands[0])


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (status("commit", 403, skip=1), "Some files arrived"),
        (status("commit", 403), EMPTY),
        (status("commit", 500), ""),
        (Case("commit", "lost_reply"), ""),
        (Case("commit", "lost_reply", skip=1), ""),
    ],
    ids=str,
)
def test_raw_files_get_their_captions_last_through_faults(
    desk: Desk, hub: Hub, built: Path, monkeypatch: pytest.MonkeyPatch, fault: Case, says: str
) -> None:
    monkeypatch.setattr(patience, "_WAITS_S", _WAITS_S)
    hub.fail(*ENDPOINTS[fault.at], fault.kind, skip=fault.skip, **fault.how)
    said = desk.push("--layout", "files")
    if says:
        assert (said.code, desk.receipt) == (5, None)
        assert says in said.line
        assert not {"metadata.csv", "README.md"} & desk.repo.files().keys()
    else:
        assert said.document["status"] == "pushed"
    assert desk.push("--layout", "files").document["status"] == ("pushed" if says else "unchanged")
    assert pushes.rows_there(desk.repo.files()) == pushes.rows(built)
    assert len(commits(desk)) == 2


def test_the_reply_of_a_busy_hub_is_told_when_there_is_no_more_time(desk: Desk, hub: Hub) -> None:
    hub.fail("POST", "/commit/", "status", code=429, times=ALWAYS)
    line = desk.push("--deadline-s", 3).line
    assert EMPTY in line
    assert "429" in line


def test_a_hub_that_asks_for_more_time_than_there_is_is_not_waited_for(desk: Desk, hub: Hub) -> None:
    hub.fail("GET", "/revision/", "status", code=429, headers={"Retry-After": "600"}, times=ALWAYS)
    began = time.monotonic()
    said = desk.push("--deadline-s", 30)
    assert time.monotonic() - began < 5
    assert "the Hub is busy (429), for 600 s" in said.line


def test_a_tag_that_somebody_else_sets_meanwhile_is_told(desk: Desk, hub: Hub) -> None:
    hub.create("dataset", REPO)
    first = desk.repo.head()
    hub.fail("POST", "/tag/", "meanwhile", do=lambda: desk.repo.tags.update(v1=first))
    said = desk.push("--tag", "v1")
    assert said.code == 5
    assert f"the tag 'v1' was put on another commit, {first[:12]}, meanwhile" in said.line
    assert (len(commits(desk)), desk.repo.tags, desk.receipt) == (1, {"v1": first}, None)


def test_a_hub_that_shows_a_wrong_hash_before_is_sent_nothing_twice(desk: Desk, hub: Hub, built: Path) -> None:
    first = desk.push().document
    hub.fail("GET", "/tree/", "wrong_hash", path=PARQUET)
    again = desk.push().document
    assert (again["commit"], list(again["sent"])) == (first["commit"], [PARQUET])
    assert_pushed(desk, built, [])


# Killed outright ----------------------------------------------------------------------------------------------------

PAUSE_S: Final = 0.08
_REQUESTS: Final = 13
"""That a push to a new repository makes."""
_DICE: Final = random.Random(20261126)  # noqa: S311
KILLS: Final = tuple(
    (number, round(_DICE.uniform(0, PAUSE_S), 3), is_whole)
    for is_whole in (False, True)
    for number in sorted(_DICE.sample(range(_REQUESTS), 5))
)


def assert_nobody_is_left(desk: Desk) -> None:
    """No process with the settings of this desk lives on for long."""
    until = time.monotonic() + 10
    while left := [one for one in psutil.process_iter() if _home_of(one) == str(desk.home / "hf")]:
        assert time.monotonic() < until, left
        time.sleep(0.02)


def _home_of(process: psutil.Process) -> str:
    try:
        return process.environ().get("HF_HOME", "")
    except psutil.Error:
        return ""


@pytest.mark.parametrize(("number", "more_s", "is_whole"), KILLS)
def test_a_push_killed_at_any_moment_is_finished_by_the_next(
    desk: Desk, hub: Hub, built: Path, number: int, more_s: float, is_whole: bool
) -> None:
    hub.fail("*", "", "slow", seconds=PAUSE_S, times=ALWAYS)
    victim = pushes.start("push", desk.dataset, REPO, "--tag", "v1")
    pushes.await_true(lambda: len(hub.requests) >= number, victim)
    time.sleep(more_s)
    children = psutil.Process(victim.pid).children() if is_whole else []
    for one in [psutil.Process(victim.pid), *children]:
        one.kill()
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    assert_nobody_is_left(desk)
    assert desk.receipt is None
    hub.clear()
    assert desk.push("--tag", "v1").code == 0
    assert_pushed(desk, built, [])
    assert desk.repo.tags == {"v1": desk.repo.head()}
    assert desk.left_behind == []
