"""The loopback Hub against the real client, which runs in a process of its own, and against plain HTTP."""

from __future__ import annotations

import base64
import gc
import hashlib
import http.client
import json
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from tests import hub_accounts, hub_card, hub_faults, hub_store, hub_xet
from tests.hub_accounts import ONE_REPO_TOKEN, OTHER_TOKEN, READ_TOKEN, WRITE_TOKEN
from tests.hub_server import NO_REPLY, Hub
from tests.hub_state import XET_TOKEN

CARD = b"---\nlicense: cc-by-sa-4.0\nlanguage: [en, ja]\n---\n# Kanji\n"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
CLIENT = """
import json, os, sys, warnings
import huggingface_hub as hub
from huggingface_hub import HfApi
from huggingface_hub.utils import disable_progress_bars

disable_progress_bars()
api = HfApi()
KANJI = {"repo_id": "me/kanji", "repo_type": "dataset"}

def told(call):
    # What a call gives, or the name, the status and the message of its error.
    try:
        call()
    except Exception as error:
        response = getattr(error, "response", None)
        return [type(error).__name__, getattr(response, "status_code", None), str(error)]
    return []
"""

Client = Callable[..., Any]


@pytest.fixture
def client(hub: Hub, tmp_path: Path) -> Client:
    """A function that runs a program with the real client and gives what it prints as JSON."""
    return client_of(hub, tmp_path / "home")


def client_of(hub: Hub, home: Path) -> Client:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}

    def run(program: str, *arguments: object, token: str | None = WRITE_TOKEN, **settings: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", f"{CLIENT}\n{program}", *map(str, arguments)],
            env=plain | hub.environment(home, token, **settings),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def ask(
    hub: Hub, method: str, path: str, body: Any = None, token: str | None = WRITE_TOKEN, **headers: str
) -> tuple[int, Mapping[str, str], bytes]:
    """The status, the headers and the body of a reply to a plain request."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    sent = ({"Authorization": f"Bearer {token}"} if token else {}) | headers
    connection = http.client.HTTPConnection("127.0.0.1", int(hub.url.rpartition(":")[2]), timeout=10)
    try:
        connection.request(method, path, body, sent)
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def folder_of(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def parquet(path: Path, rows: int = 20_000) -> bytes:
    """A parquet file of several chunks, of which some are compressed in each of the ways of hf_xet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = pa.array([number / 7 for number in range(rows)], pa.float32())
    columns = {"text": ["rest", "tree"] * (rows // 2), "number": numbers}
    pq.write_table(pa.table(columns), path, compression="none", use_dictionary=False)
    return path.read_bytes()


def seen(hub: Hub, text: str = "") -> list[str]:
    """The requests of which the path has a text in it, without what differs from run to run."""
    return [
        f"{one.method} {one.path.rpartition('/api/datasets/me/kanji')[2]}" for one in hub.requests if text in one.path
    ]


# Pushing ------------------------------------------------------------------------------------------------------------

PUSH = """
api.create_repo(**KANJI, private=True, exist_ok=True)
first = api.upload_folder(**KANJI, folder_path=sys.argv[1], commit_message="Publish").oid
again = api.upload_folder(**KANJI, folder_path=sys.argv[1], commit_message="Publish").oid
api.create_tag(**KANJI, tag="v1.0")
hub.snapshot_download(**KANJI, revision="v1.0", local_dir=sys.argv[2])
print(json.dumps([first, again]))
"""


@pytest.mark.parametrize("way", ["xet into a folder", "xet over HTTP", "LFS", "LFS in parts"])
def test_a_folder_is_pushed_in_one_commit_and_comes_back(tmp_path: Path, way: str) -> None:
    files = {"README.md": CARD, "亜_kanji.png": PICTURE, "data/train.parquet": parquet(tmp_path / "x.parquet")}
    source = folder_of(tmp_path / "source", files)
    cas: Literal["local", "http"] = "http" if way == "xet over HTTP" else "local"
    with Hub(tmp_path / "hub", cas=cas, part_bytes=50_000 if way == "LFS in parts" else None) as hub:
        disabled = "1" if way.startswith("LFS") else "0"
        run = client_of(hub, tmp_path / "home")
        first, again = run(PUSH, source, tmp_path / "back", HF_HUB_DISABLE_XET=disabled)
        repo = hub.repo("dataset", "me/kanji")
    assert (repo.private, first, repo.tags) == (True, again, {"v1.0": first})
    assert [commit.message for commit in repo.commits()] == ["Publish", "initial commit"]
    assert repo.commits()[0].parent == repo.commits()[1].oid
    assert {path: data for path, data in repo.files().items() if path != ".gitattributes"} == files
    assert [path for path, one in repo.commit_of("main").tree.items() if one.is_large] == [
        "data/train.parquet",
        "亜_kanji.png",
    ]
    assert {path: (tmp_path / "back" / path).read_bytes() for path in files} == files
    uploads = [one for one in hub.requests if "/v1/xorbs/" in one.path or one.method == "PUT"]
    assert len(uploads) == {"xet into a folder": 0, "xet over HTTP": 1, "LFS": 2}.get(way, 6), uploads


def test_a_push_of_three_files_asks_four_things(hub: Hub, client: Client, tmp_path: Path) -> None:
    files = {"README.md": CARD, "one.png": PICTURE, "data/train.parquet": parquet(tmp_path / "x.parquet")}
    hub.create("dataset", "me/kanji")
    push = "print(json.dumps(api.upload_folder(**KANJI, folder_path=sys.argv[1]).oid))"
    assert client(push, folder_of(tmp_path / "source", files)) == hub.repo("dataset", "me/kanji").head()
    assert seen(hub) == [
        "POST /api/validate-yaml",
        "POST /preupload/main",
        "GET /xet-write-token/main",
        "POST /commit/main",
    ]


def test_a_dataset_is_loaded_by_its_tag(hub: Hub, client: Client, tmp_path: Path) -> None:
    hub.create("dataset", "me/kanji", private=True)
    card = CARD.replace(
        b"language", b"configs: [{config_name: default, data_files: [{split: train, path: data/*}]}]\nlanguage"
    )
    data = parquet(tmp_path / "x.parquet", 10)
    oid = hub.commit("dataset", "me/kanji", {"README.md": card, "data/train.parquet": data})
    hub.repo("dataset", "me/kanji").tags["v1.0"] = oid
    hub.commit("dataset", "me/kanji", {"data/train.parquet": b"broken since"})
    load = """
import datasets
datasets.disable_progress_bars()
found = datasets.load_dataset("me/kanji", split="train", revision="v1.0")
print(json.dumps([found.column_names, found[1]["text"], len(found)]))
"""
    assert client(load) == [["text", "number"], "tree", 10]


def test_stale_files_go_in_the_same_commit(hub: Hub, client: Client, tmp_path: Path) -> None:
    hub.create("dataset", "me/kanji")
    hub.commit(
        "dataset", "me/kanji", {"data/old-1.parquet": b"old", "data/old-2.parquet": b"old", "notes/a.txt": b"a"}
    )
    push = """
api.upload_folder(**KANJI, folder_path=sys.argv[1], delete_patterns="data/*")
api.delete_folder(**KANJI, path_in_repo="notes")
print(json.dumps(told(lambda: api.delete_folder(**KANJI, path_in_repo="notes"))[:2]))
"""
    assert client(push, folder_of(tmp_path / "source", {"data/new.parquet": b"new"})) == [
        "RemoteEntryNotFoundError",
        404,
    ]
    repo = hub.repo("dataset", "me/kanji")
    assert sorted(repo.files()) == [".gitattributes", "data/new.parquet"]
    assert len(repo.commits()) == 4


def test_a_push_onto_a_head_that_moved_is_refused(hub: Hub, client: Client, tmp_path: Path) -> None:
    hub.create("dataset", "me/kanji")
    hub.fail(
        "POST", "/commit/main", "meanwhile", do=lambda: hub.commit("dataset", "me/kanji", {"other.txt": b"other"})
    )
    push = """
parent = api.repo_info(**KANJI).sha
print(json.dumps(told(lambda: api.upload_folder(**KANJI, folder_path=sys.argv[1], parent_commit=parent))))
"""
    kind, status, message = client(push, folder_of(tmp_path / "source", {"new.txt": b"new"}))
    assert (kind, status) == ("HfHubHTTPError", 412)
    assert "A commit has happened since" in message
    assert sorted(hub.repo("dataset", "me/kanji").files()) == [".gitattributes", "other.txt"]


def test_a_bad_card_stops_a_push_before_anything_is_sent(hub: Hub, client: Client, tmp_path: Path) -> None:
    hub.create("dataset", "me/kanji")
    source = folder_of(tmp_path / "source", {"README.md": b"---\nlicense: mine\n---\n", "one.png": PICTURE})
    push = "print(json.dumps(told(lambda: api.upload_folder(**KANJI, folder_path=sys.argv[1]))))"
    kind, _, message = client(push, source)
    assert (kind, message.splitlines()[0]) == ("ValueError", "Invalid metadata in README.md.")
    assert "'mine'" in message
    assert seen(hub) == ["POST /api/validate-yaml"]


# Accounts and what they may do --------------------------------------------------------------------------------------


def test_whoami_tells_the_role_and_the_organisations(hub: Hub, client: Client) -> None:
    for token, role in ((WRITE_TOKEN, "write"), (READ_TOKEN, "read"), (ONE_REPO_TOKEN, "fineGrained")):
        who = client("print(json.dumps(api.whoami()))", token=token)
        assert (who["type"], who["name"], who["auth"]["accessToken"]["role"]) == ("user", "me", role)
        assert [(org["name"], org["roleInOrg"]) for org in who["orgs"]] == [("club", "write"), ("readers", "read")]
    assert who["auth"]["accessToken"]["fineGrained"]["scoped"] == [
        {
            "entity": {"_id": "0" * 24, "type": "dataset", "name": "me/one"},
            "permissions": ["repo.content.read", "repo.write"],
        }
    ]
    assert all(len(token) == 37 for token in hub_accounts.ACCOUNTS)


TRY_ALL = """
names = {"me": "me/new", "one": "me/one", "club": "club/new", "readers": "readers/new", "you": "you/new"}
def create(name):
    return told(lambda: api.create_repo(name, repo_type="dataset"))
def write(name):
    adding = lambda: api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=name, repo_type="dataset")
    return told(adding)
def see(name):
    return told(lambda: api.repo_info(name, repo_type="dataset"))
print(json.dumps({"who": told(api.whoami), "create": [create(name)[:2] for name in names.values()],
                  "write": [write(name)[:2] for name in ("me/one", "me/two", "you/theirs")],
                  "see": [see(name)[:2] for name in ("me/two", "me/none")],
                  "why": create("you/more")}))
"""
FINE: list[Any] = []
FORBIDDEN = ["HfHubHTTPError", 403]
EXISTS = ["HfHubHTTPError", 409]
INVALID = ["HfHubHTTPError", 401]
ABSENT = ["RepositoryNotFoundError", 404]
HIDDEN = ["RepositoryNotFoundError", 401]


@pytest.mark.parametrize(
    ("token", "create", "write", "see"),
    [
        (WRITE_TOKEN, [FINE, EXISTS, FINE, FORBIDDEN, FORBIDDEN], [FINE, FINE, FORBIDDEN], [FINE, ABSENT]),
        (READ_TOKEN, [FORBIDDEN] * 5, [FORBIDDEN] * 3, [FINE, ABSENT]),
        (ONE_REPO_TOKEN, [FORBIDDEN] * 5, [FINE, ABSENT, FORBIDDEN], [ABSENT, ABSENT]),
        (OTHER_TOKEN, [FORBIDDEN] * 4 + [FINE], [FORBIDDEN, ABSENT, FINE], [ABSENT, ABSENT]),
        ("hf_" + "x" * 34, [INVALID] * 5, [INVALID] * 3, [INVALID] * 2),
        (None, [INVALID] * 5, [INVALID, HIDDEN, INVALID], [HIDDEN, HIDDEN]),
    ],
    ids=["write", "read", "one repository", "of another user", "unknown", "none"],
)
def test_each_token_may_do_what_it_may(
    hub: Hub, client: Client, token: str | None, create: Any, write: Any, see: Any
) -> None:
    hub.create("dataset", "me/one")
    hub.create("dataset", "me/two", private=True)
    hub.create("dataset", "you/theirs")
    found = client(TRY_ALL, token=token)
    assert (found["create"], found["write"], found["see"]) == (create, write, see)
    if token in {WRITE_TOKEN, READ_TOKEN}:
        assert 'rights to create a dataset under the namespace "you"' in found["why"][2]
    if create[0] == INVALID:
        assert found["who"][0] == ("LocalTokenNotFoundError" if token is None else "HfHubHTTPError")
        message = "Invalid username or password." if token is None else "Invalid credentials in Authorization header"
        assert message in found["why"][2]


@pytest.mark.parametrize("name", ["a--b", "a..b", "-a", "a.git", "ka nji", "x" * 97, ""])
def test_invalid_names_are_refused(hub: Hub, name: str) -> None:
    status, headers, _ = ask(hub, "POST", "/api/repos/create", {"name": name, "type": "dataset"})
    assert (status, headers["x-error-message"]) == (400, f"Invalid name for a dataset: {name!r}")
    assert hub.state.repos == {}


def test_a_repository_can_be_hidden_and_deleted(hub: Hub, client: Client) -> None:
    program = """
url = api.create_repo("kanji", repo_type="dataset")
api.update_repo_settings(**KANJI, visibility="private")
seen = api.repo_info(**KANJI).private
api.auth_check(**KANJI)
api.delete_repo(**KANJI)
print(json.dumps([url.repo_id, seen, told(lambda: api.delete_repo(**KANJI))[:2], api.repo_exists(**KANJI)]))
"""
    assert client(program) == ["me/kanji", True, ABSENT, False]


# Reading ------------------------------------------------------------------------------------------------------------


def test_long_trees_come_in_pages(hub: Hub, client: Client) -> None:
    hub.create("dataset", "me/kanji")
    hub.commit("dataset", "me/kanji", {f"images/{number:04}.png": b"%d" % number for number in range(2500)})
    program = """
every = list(api.list_repo_tree(**KANJI, recursive=True))
top = [one.path for one in api.list_repo_tree(**KANJI)]
some = [one.path for one in api.get_paths_info(**KANJI, paths=["images/0007.png", "images", "absent"])]
one = [one for one in every if one.path == "images/0007.png"][0]
print(json.dumps([len(every), top, some, one.blob_id, one.lfs.sha256, one.size, told(
    lambda: list(api.list_repo_tree(**KANJI, path_in_repo="absent")))[:2]]))
"""
    sha256 = hashlib.sha256(b"7").hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize 1\n".encode()
    blob = hashlib.sha1(b"blob %d\0%s" % (len(pointer), pointer), usedforsecurity=False).hexdigest()
    assert client(program) == [
        2502,
        [".gitattributes", "images"],
        ["images", "images/0007.png"],
        blob,
        sha256,
        1,
        ["RemoteEntryNotFoundError", 404],
    ]
    assert seen(hub, "/tree/main") == ["GET /tree/main"] * 4 + ["GET /tree/main/absent"]


def test_the_client_reads_infos_history_and_parts_of_files(hub: Hub, client: Client) -> None:
    hub.create("model", "me/lora")
    first = hub.commit(
        "model", "me/lora", {"README.md": b"---\nlicense: mit\nbase_model: a/b\n---\n"}, message="First"
    )
    second = hub.commit("model", "me/lora", {"lora.safetensors": b"0123456789"}, message="Second")
    program = """
info = api.model_info("me/lora", files_metadata=True)
with hub.HfFileSystem(block_size=4).open("me/lora/lora.safetensors", "rb") as file:
    file.seek(3)
    part = file.read(4).decode()
path = hub.hf_hub_download("me/lora", "README.md", revision=sys.argv[1])
print(json.dumps([info.sha, info.card_data.license, [(one.rfilename, one.size) for one in info.siblings],
    info.siblings[2].lfs.sha256, [one.title for one in api.list_repo_commits("me/lora")], part, open(path).read()[:3],
    [told(lambda: api.model_info("me/lora", revision="v9"))[:2],
     told(lambda: hub.hf_hub_download("me/lora", "absent"))[0]]]))
"""
    sha256 = hashlib.sha256(b"0123456789").hexdigest()
    files = [[".gitattributes", len(hub_store.GIT_ATTRIBUTES)], ["README.md", 37], ["lora.safetensors", 10]]
    history = ["Second", "First", "initial commit"]
    errors = [["RevisionNotFoundError", 404], "RemoteEntryNotFoundError"]
    assert client(program, first) == [second, "mit", files, sha256, history, "3456", "---", errors]


@pytest.mark.parametrize(
    ("wanted", "status", "body", "told"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_a_part_of_a_file_can_be_asked_for(hub: Hub, wanted: str, status: int, body: bytes, told: str | None) -> None:
    hub.create("dataset", "me/kanji")
    hub.commit("dataset", "me/kanji", {"data/a b.txt": b"0123456789"})
    path = "/datasets/me/kanji/resolve/main/data/a%20b.txt"
    got, headers, data = ask(hub, "GET", path, Range=wanted)
    assert (got, data, headers.get("content-range")) == (status, body, told)
    assert headers["etag"] == f'"{hub_store.git_hash("blob", b"0123456789")}"'
    assert headers["x-repo-commit"] == hub.repo("dataset", "me/kanji").head()


def test_tags_and_branches_are_made_moved_from_and_removed(hub: Hub, client: Client) -> None:
    repo = hub.create("dataset", "me/kanji")
    first = repo.head()
    hub.commit("dataset", "me/kanji", {"a.txt": b"a"})
    program = """
first = sys.argv[1]
api.create_tag(**KANJI, tag="v1.0", revision=first)
api.create_branch(**KANJI, branch="try/out", revision="v1.0")
api.upload_file(path_or_fileobj=b"b", path_in_repo="b.txt", **KANJI, revision="try/out")
refs = api.list_repo_refs(**KANJI)
errors = [told(call)[:2] for call in (
    lambda: api.create_tag(**KANJI, tag="v1.0"),
    lambda: api.create_tag(**KANJI, tag="v1.0", exist_ok=True),
    lambda: api.create_tag(**KANJI, tag="v 2"),
    lambda: api.create_tag(**KANJI, tag="v2", revision="absent"),
    lambda: api.create_branch(**KANJI, branch="try/out"),
    lambda: api.delete_tag(**KANJI, tag="v9"),
    lambda: api.delete_branch(**KANJI, branch="main"),
    lambda: api.upload_file(path_or_fileobj=b"b", path_in_repo="b.txt", **KANJI, revision="v1.0"),
)]
api.delete_tag(**KANJI, tag="v1.0")
api.delete_branch(**KANJI, branch="try/out")
names = [[one.ref for one in refs.branches], [(one.name, one.target_commit) for one in refs.tags]]
print(json.dumps([names, errors]))
"""
    names, errors = client(program, first)
    assert names == [["refs/heads/main", "refs/heads/try/out"], [["v1.0", first]]]
    none_there, invalid = ["RevisionNotFoundError", 404], ["BadRequestError", 400]
    assert errors == [EXISTS, [], invalid, none_there, EXISTS, none_there, FORBIDDEN, none_there]
    assert (repo.tags, [*repo.branches], sorted(repo.files())) == ({}, ["main"], [".gitattributes", "a.txt"])


# What is refused ----------------------------------------------------------------------------------------------------


def commit_lines(*lines: tuple[str, dict[str, Any]], summary: str = "A commit") -> bytes:
    header = {"key": "header", "value": {"summary": summary, "description": ""}}
    return b"\n".join(json.dumps(line).encode() for line in (header, *({"key": k, "value": v} for k, v in lines)))


def regular(path: str, data: bytes) -> tuple[str, dict[str, Any]]:
    return "file", {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"}


BIG = b"x" * hub_store.LARGE_BYTES
ABSENT_LFS = ("lfsFile", {"path": "a.png", "algo": "sha256", "oid": "0" * 64, "size": 1})


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (commit_lines(ABSENT_LFS), 400, "An LFS pointer pointed to a file that does not exist: a.png"),
        (commit_lines(regular("../a", b"a")), 400, "Invalid path in repo: '../a'"),
        (commit_lines(regular("a" * 1001, b"a")), 400, "is too long"),
        (commit_lines(regular("a.txt", BIG)), 400, "Files larger than 10 MiB must be stored as LFS: a.txt"),
        (commit_lines(regular("a", b"a"), regular("a/b", b"b")), 400, "a cannot be both a file and a folder"),
        (commit_lines(("file", {"path": "a", "content": "!"})), 400, "Invalid base64 of a"),
        (commit_lines(("movedFile", {"path": "a"})), 400, "Unknown operation: movedFile"),
        (commit_lines(("deletedFile", {"path": "a"})), 404, "Entry not found: a"),
        (commit_lines(regular("README.md", b"---\nlicense: x\n---\n")), 400, "Invalid metadata in README.md"),
        (commit_lines(summary=""), 400, "The first line must be a header with a summary"),
        (b"never", 400, "Invalid NDJSON"),
    ],
)
def test_a_bad_commit_is_refused_and_changes_nothing(hub: Hub, body: bytes, status: int, says: str) -> None:
    head = hub.create("dataset", "me/kanji").head()
    got, headers, _ = ask(hub, "POST", "/api/datasets/me/kanji/commit/main", body)
    assert (got, says in headers["x-error-message"]) == (status, True)
    assert hub.repo("dataset", "me/kanji").head() == head


def test_a_crowded_folder_is_refused() -> None:
    crowd = dict.fromkeys((f"images/{number}.png" for number in range(10_001)), hub_store.Entry(b"", is_large=True))
    assert hub_store.refusal_of_tree(crowd) == "Each folder may hold at most 10000 files, and images holds 10001."
    assert hub_store.refusal_of_tree({**crowd, "images/0.png": crowd["images/1.png"]}) is not None
    del crowd["images/0.png"]
    assert hub_store.refusal_of_tree(crowd) is None


def test_uploads_that_are_not_what_they_say_are_refused(tmp_path: Path) -> None:
    with Hub(tmp_path, cas="http") as hub:
        hub.create("dataset", "me/kanji")
        oid, xet = hashlib.sha256(b"told").hexdigest(), {"Authorization": f"Bearer {XET_TOKEN}"}
        assert ask(hub, "PUT", f"/lfs-storage/{oid}", b"sent")[0] == 400
        assert ask(hub, "POST", f"/lfs-storage/{oid}/verify", {"oid": oid, "size": 4})[0] == 404
        assert ask(hub, "POST", f"/v1/xorbs/default/{oid}", b"")[0] == 401
        assert ask(hub, "POST", f"/v1/xorbs/default/{'0' * 64}", xorb(0, b"sent", 4), None, **xet)[0] == 200
        status, headers, _ = ask(hub, "POST", "/v1/shards", shard(b"told"), None, **xet)
        assert (status, headers["x-error-message"].split(" has ")[0]) == (400, f"the content of {oid}")
        assert ask(hub, "POST", "/v1/shards", b"no shard", None, **xet)[0] == 400
        assert hub.state.objects == {}
        assert ask(hub, "POST", "/v1/shards", shard(b"sent"), None, **xet)[0] == 200
        assert [*hub.state.objects.values()] == [b"sent"]


def xorb(scheme: int, data: bytes, size: int) -> bytes:
    return b"\0" + len(data).to_bytes(3, "little") + bytes([scheme]) + size.to_bytes(3, "little") + data


def shard(content: bytes, xorb_hash: bytes = bytes(32), flags: int = 1 << 30) -> bytes:
    """A shard of one file in one chunk."""
    sha256 = b"".join(struct.pack("<Q", number) for number in struct.unpack(">4Q", hashlib.sha256(content).digest()))
    head = b"HFRepoMetaData\0".ljust(32, b"x") + struct.pack("<QQ", 2, 0)
    file = bytes(32) + struct.pack("<IIQ", flags, 1, 0) + xorb_hash + struct.pack("<IIII", 0, len(content), 0, 1)
    return head + file + sha256 + bytes(16) + b"\xff" * 32 + bytes(16)


def test_every_compression_of_xet_is_known() -> None:
    import pyarrow as pa

    packed = pa.compress(b"048015926a37b", codec="lz4", asbytes=True)
    assert hub_xet.chunks(xorb(0, b"as it is", 8) + xorb(2, packed, 13) + b"XETBLOB") == [
        b"as it is",
        b"0123456789ab0",
    ]
    with pytest.raises(hub_xet.XetError, match="unknown compression 9"):
        hub_xet.chunks(xorb(9, b"?", 1))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (shard(b"told")[:150], "the shard ends too early"),
        (shard(b"told", flags=0), "a file of the shard has no sha256"),
        (shard(b"told", b"\1" * 32), "xorbs were never uploaded: "),
    ],
)
def test_a_broken_shard_is_refused(broken: bytes, says: str) -> None:
    with pytest.raises(hub_xet.XetError, match=says):
        hub_xet.contents(broken, {"0" * 64: xorb(0, b"told", 4)})


def test_what_is_nowhere_is_not_found(hub: Hub) -> None:
    hub.create("dataset", "me/kanji")
    assert ask(hub, "GET", "/api/nothing")[0] == 404
    assert ask(hub, "DELETE", "/api/whoami-v2")[0] == 405
    assert ask(hub, "POST", "/api/datasets/me/kanji/preupload/main?create_pr=1", {"files": []})[0] == 501
    batch = "/datasets/me/kanji.git/info/lfs/objects/batch"
    assert ask(hub, "POST", batch, {"operation": "download", "objects": []})[0] == 400
    assert ask(hub, "POST", "/api/repos/create", b"{")[0] == 400
    assert [status for _, _, status in hub.requests] == [404, 405, 501, 400, 400]


def test_ignored_files_are_told_of(hub: Hub) -> None:
    hub.create("dataset", "me/kanji")
    hub.commit("dataset", "me/kanji", {".gitignore": b"# none\n*.log\ncache/\n/top/x\n"})
    paths = ["a.log", "logs/a.log", "cache/a", "deep/cache/a", "top/x", "deep/top/x", "a.txt"]
    files = [{"path": path, "sample": "", "size": 1} for path in paths]
    _, _, body = ask(hub, "POST", "/api/datasets/me/kanji/preupload/main", {"files": files})
    assert [one["path"] for one in json.loads(body)["files"] if not one["shouldIgnore"]] == ["deep/top/x", "a.txt"]
    assert ask(hub, "POST", "/api/datasets/me/kanji/preupload/main", {"files": files * 40})[0] == 400


# Cards --------------------------------------------------------------------------------------------------------------

GOOD = """
license: {license}
language: [en, ja, jpn, code, multilingual]
pretty_name: Kanji
tags: [kanji]
task_categories: [text-to-image]
size_categories: [1K<n<10K]
annotations_creators: [machine-generated]
configs:
- {{config_name: default, data_files: [{{split: train, path: data/train-*}}]}}
- {{config_name: more, data_files: more.csv}}
- {{config_name: most, data_files: [a.csv, b.csv]}}
dataset_info: {{features: [{{name: image, dtype: image}}], splits: [{{name: train, num_examples: 2}}]}}
"""
OTHER_LICENSE = "license: other\nlicense_name: mine\nlicense_link: LICENSE\n"


@pytest.mark.parametrize(
    ("text", "repo_type"),
    [
        *[(GOOD.format(license=name), "dataset") for name in ("cc-by-sa-4.0", "cc-by-sa-3.0", "mit", "apache-2.0")],
        (OTHER_LICENSE, "dataset"),
        ("license: creativeml-openrail-m\nbase_model: a/b\npipeline_tag: text-to-image\n", "model"),
        ("base_model: [a/b]\nbase_model_relation: adapter\nlibrary_name: diffusers\ntags: [lora]\n", "model"),
    ],
)
def test_a_good_card_is_good(hub: Hub, text: str, repo_type: str) -> None:
    asked = {"content": f"---\n{text}---\n# Title\n", "repoType": repo_type}
    status, _, body = ask(hub, "POST", "/api/validate-yaml", asked, token=None)
    assert (status, json.loads(body)) == (200, {"errors": [], "warnings": []})


@pytest.mark.parametrize(
    ("text", "repo_type", "says"),
    [
        ("- a\n- b", "dataset", "YAML Metadata Error: the metadata must be a mapping"),
        ("a: [", "dataset", "YAML Metadata Error: while parsing"),
        ("license: mine", "dataset", "\"license\" must be one of the known values, and 'mine' is not"),
        ("license: 3", "dataset", '"license" must be a string or an array of strings'),
        (
            "language: ja-JP",
            "dataset",
            "\"language\" must be ISO 639 codes of two or three small letters, and 'ja-JP'",
        ),
        ("language: [no]", "dataset", '"language" must be a string or an array of strings'),
        ("tags: kanji", "dataset", '"tags" must be an array of strings'),
        ("pretty_name: 5", "dataset", '"pretty_name" must be a string'),
        ("task_categories: text-to-image", "dataset", '"task_categories" must be an array of strings'),
        ("size_categories: [6K]", "dataset", "\"size_categories\" must be one of the known values, and '6K' is not"),
        (
            "annotations_creators: [me]",
            "dataset",
            "\"annotations_creators\" must be one of the known values, and 'me'",
        ),
        ("configs: {a: b}", "dataset", '"configs" must be an array of objects'),
        ("configs: [{data_files: x}]", "dataset", '"configs" needs a config_name in each of its objects'),
        ("configs: [{config_name: a, data_files: {}}]", "dataset", "neither a string nor an array"),
        ("configs: [{config_name: a, data_files: [{path: x}]}]", "dataset", "neither a path nor an object of split"),
        ("dataset_info: x", "dataset", '"dataset_info" must be an object or an array of objects'),
        ("dataset_info: {features: {a: b}}", "dataset", "has features that are no array of objects with a name"),
        ("base_model: {a: b}", "model", '"base_model" must be a string or an array of strings'),
        ("base_model_relation: cousin", "model", '"base_model_relation" must be one of the known values'),
    ],
)
def test_a_bad_card_is_refused(hub: Hub, text: str, repo_type: str, says: str) -> None:
    asked = {"content": f"---\n{text}\n---\n", "repoType": repo_type}
    status, _, body = ask(hub, "POST", "/api/validate-yaml", asked)
    assert (status, len(json.loads(body)["errors"])) == (400, 1)
    assert says in json.loads(body)["errors"][0]["message"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("# Title\n", "empty or missing yaml metadata in repo card"),
        ("---\n# nothing\n---\n", "empty or missing yaml metadata in repo card"),
        ("---\nlicense: other\n---\n", '"license_name" should be given where "license" is other'),
        ("---\ntask_categories: [drawing]\n---\n", 'The task_categories "drawing" is not in the official list'),
    ],
)
def test_a_card_that_could_be_better_is_warned_of(content: str, says: str) -> None:
    assert hub_card.check_card(content, "dataset") == hub_card.Verdict(warnings=(says,))


# Faults -------------------------------------------------------------------------------------------------------------

WHO = "/api/whoami-v2"


def test_a_planned_status_comes_as_planned_and_then_no_more(hub: Hub) -> None:
    fault = hub.fail("GET", "whoami", "status", skip=1, code=429, headers={"RateLimit": '"api";r=0;t=55'})
    assert [ask(hub, "GET", WHO)[0] for _ in range(3)] == [200, 429, 200]
    assert fault.met == ["GET /api/whoami-v2"]
    hub.fail("*", "whoami", "status", times=hub_faults.ALWAYS, code=502, body="<h1>Bad Gateway</h1>")
    for _ in range(3):
        status, headers, body = ask(hub, "GET", WHO)
        assert (status, headers["content-type"], body) == (502, "text/html", b"<h1>Bad Gateway</h1>")
    hub.clear()
    assert ask(hub, "GET", WHO)[0] == 200
    assert hub.requests == [("GET", WHO, 200)]


def test_a_page_can_come_in_place_of_the_answer(hub: Hub) -> None:
    hub.fail("GET", "whoami", "html")
    status, headers, body = ask(hub, "GET", WHO)
    assert (status, headers["content-type"], body[:15]) == (200, "text/html", b"<!doctype html>")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("drop_early", ConnectionError),  # RemoteDisconnected is one too
        ("lost_reply", http.client.RemoteDisconnected),
        ("torn", http.client.IncompleteRead),
        ("reset", ConnectionResetError),
    ],
)
def test_connections_break_as_planned(hub: Hub, kind: hub_faults.Kind, error: type[Exception]) -> None:
    hub.fail("POST", "repos/create", kind)
    with pytest.raises(error):
        ask(hub, "POST", "/api/repos/create", {"name": "kanji", "padding": "x" * 100_000})
    assert (len(hub.state.repos) == 1) == (kind in hub_faults.WORKING)
    answered = kind in {"torn", "reset"}
    assert hub.requests == [("POST", "/api/repos/create", 200 if answered else NO_REPLY)]


def test_a_slow_reply_is_slow(hub: Hub) -> None:
    hub.fail("GET", "whoami", "slow", seconds=0.2)
    hub.fail("GET", "whoami", "slow", seconds=0.2, trickle=True)
    for _ in range(2):
        start = time.monotonic()
        assert ask(hub, "GET", WHO)[0] == 200
        assert time.monotonic() - start >= 0.2


def test_a_reply_tells_other_hashes_of_one_file(hub: Hub, client: Client) -> None:
    hub.create("dataset", "me/kanji")
    hub.commit("dataset", "me/kanji", {"a.parquet": b"a", "b.parquet": b"b"})
    hub.fail("GET", "/tree/", "wrong_hash", path="a.parquet")
    hub.fail("GET", "/kanji$", "wrong_hash", path="a.parquet")
    read = "print(json.dumps({one.path: one.lfs.sha256 for one in api.list_repo_tree(**KANJI) if one.lfs}))"
    wrong, right = client(read), {f"{name}.parquet": hashlib.sha256(name.encode()).hexdigest() for name in "ab"}
    assert (wrong["a.parquet"] != right["a.parquet"], wrong["b.parquet"]) == (True, right["b.parquet"])
    assert client(read) == right
    info = json.loads(ask(hub, "GET", "/api/datasets/me/kanji?blobs=true")[2])["siblings"]
    assert [one["lfs"]["sha256"] == right[one["rfilename"]] for one in info[1:]] == [False, True]


def test_a_silent_hub_says_nothing_until_it_closes(tmp_path: Path) -> None:
    before = threading.active_count()
    with Hub(tmp_path) as hub:
        hub.fail("GET", "whoami", "hang")
        connection = http.client.HTTPConnection("127.0.0.1", int(hub.url.rpartition(":")[2]), timeout=0.2)
        connection.request("GET", WHO)
        with pytest.raises(TimeoutError):
            connection.getresponse()
        assert hub.requests == [("GET", WHO, NO_REPLY)]
        idle = http.client.HTTPConnection("127.0.0.1", int(hub.url.rpartition(":")[2]))
        idle.request("GET", WHO)
        idle.getresponse().read()
        start = time.monotonic()
    assert time.monotonic() - start < 1
    connection.close()
    idle.close()
    gc.collect()
    assert threading.active_count() == before


def test_a_mistake_of_the_hub_is_raised_when_it_closes(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyError, match="content"),
        Hub(tmp_path) as hub,
        pytest.raises(http.client.RemoteDisconnected),
    ):
        ask(hub, "POST", "/api/validate-yaml", {})


@pytest.mark.parametrize(
    ("kind", "how", "says"),
    [
        ("explode", {}, "unknown kind of fault: explode; known are status, "),
        ("slow", {"minutes": 1}, "slow has no option minutes"),
        ("status", {}, "status needs code"),
        ("wrong_hash", {}, "wrong_hash needs path"),
    ],
)
def test_a_fault_that_could_not_happen_is_refused(hub: Hub, kind: Any, how: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        hub.fail("GET", "x", kind, **how)


def test_the_client_meets_faults_as_it_meets_them_on_the_hub(hub: Hub, client: Client, tmp_path: Path) -> None:
    repo = hub.create("dataset", "me/kanji")
    source = folder_of(tmp_path / "source", {"a.txt": b"a"})
    push = "print(json.dumps(told(lambda: api.upload_folder(**KANJI, folder_path=sys.argv[1]))))"
    hub.fail("POST", "/preupload/", "status", code=429, headers={"Retry-After": "0"})
    hub.fail("POST", "/commit/", "status", code=503)
    assert client(push, source) == []
    assert len(repo.commits()) == 2
    assert [one.status for one in hub.requests] == [429, 200, 503, 200]

    (source / "a.txt").write_bytes(b"b")
    hub.clear()
    hub.fail("POST", "/commit/", "lost_reply")
    assert client(push, source) == []
    assert len(repo.commits()) == 4, "the client commits again when the reply was lost"

    for kind, how, errors in (
        ("html", {}, {"JSONDecodeError"}),
        ("drop_early", {}, {"ReadError", "RemoteProtocolError"}),
        ("torn", {}, {"RemoteProtocolError"}),
        ("status", {"code": 403, "body": ""}, {"HfHubHTTPError"}),
    ):
        hub.fail("POST", "/repos/create", kind, **how)  # type: ignore[arg-type]
        created = client('print(json.dumps(told(lambda: api.create_repo("me/new", repo_type="dataset"))))')
        assert created[0] in errors
