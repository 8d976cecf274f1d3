"""The calls of the child, in-process and with a client in the place of the real one."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from kanjiprep.publishing.hub import child
from tests.test_hub_fault import http_error


def silent(done: int, total: int) -> None:
    """Hear nothing."""


class Api:
    """Answers with what it was made with; an exception is raised."""

    endpoint = "https://hub.test"

    def __init__(self, **answers: Any) -> None:
        self._answers = answers
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def answer(*arguments: Any, **options: Any) -> Any:
            self.asked.append((name, arguments, options))
            found = self._answers[name]
            if isinstance(found, list):
                found = found.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        return answer


def call(name: str, api: Any, **arguments: Any) -> Any:
    said: list[Any] = []
    child.answer(api, {"call": name, "arguments": arguments}, said.append)
    return said[-1].get("answer", said[-1].get("fault"))


def test_an_identity_has_its_organisations_role_and_scopes() -> None:
    fine = {"scoped": [{"entity": {"name": "me/kanji"}, "permissions": ["repo.write"]}]}
    token = {"displayName": "laptop", "role": "fineGrained", "fineGrained": fine}
    orgs = [{"name": "club", "roleInOrg": "write"}, {"name": "old"}]
    found = call("identity", Api(whoami={"name": "me", "orgs": orgs, "auth": {"accessToken": token}}))
    assert found == {
        "endpoint": "https://hub.test",
        "name": "me",
        "orgs": {"club": "write", "old": ""},
        "token": "laptop",
        "role": "fineGrained",
        "scopes": {"me/kanji": ["repo.write"]},
    }


def test_an_identity_of_few_words_is_taken_too() -> None:
    assert call("identity", Api(whoami={"name": "me"}))["role"] == ""


WHERE = {"repo_id": "me/kanji", "repo_type": "dataset", "revision": "main", "refs": True}
INFO = SimpleNamespace(sha="c" * 40, private=True)
REFS = SimpleNamespace(tags=[SimpleNamespace(name="v1", target_commit="d" * 40)])


def test_a_look_sees_files_and_tags_at_one_commit() -> None:
    large = SimpleNamespace(sha256="ff")
    entries = [
        SimpleNamespace(path="data"),
        SimpleNamespace(path="a", size=1, blob_id="g", lfs=None),
        SimpleNamespace(path="data/b", size=2, blob_id="h", lfs=large),
    ]
    api = Api(repo_info=INFO, list_repo_tree=[entries], list_repo_refs=REFS)
    found = call("look", api, **WHERE)
    assert found["files"] == {
        "a": {"size": 1, "git": "g", "sha256": ""},
        "data/b": {"size": 2, "git": "h", "sha256": "ff"},
    }
    assert (found["head"], found["private"], found["tags"]) == ("c" * 40, True, {"v1": "d" * 40})
    assert api.asked[1][2]["revision"] == "c" * 40


def test_a_look_at_nothing_is_no_fault() -> None:
    assert call("look", Api(repo_info=http_error(404, RepositoryNotFoundError)), **WHERE)["exists"] is False
    api = Api(repo_info=[http_error(404, RevisionNotFoundError), INFO], list_repo_refs=REFS)
    found = call("look", api, **WHERE)
    assert (found["exists"], found["head"], found["tags"]) == (True, "", {"v1": "d" * 40})


def test_a_look_without_a_right_is_a_fault() -> None:
    found = call("look", Api(repo_info=http_error(401, RepositoryNotFoundError)), **WHERE)
    assert found["kind"] == "unauthorized"


def test_the_bytes_of_a_file_come_unharmed(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"caf\xe9")
    found = call(
        "content",
        Api(hf_hub_download=str(tmp_path / "README.md")),
        repo_id="me/kanji",
        repo_type="dataset",
        revision="c",
        path="README.md",
        folder=str(tmp_path),
    )
    assert base64.b64decode(found) == b"caf\xe9"


def test_what_is_made_twice_is_made_once() -> None:
    at = {"repo_id": "me/kanji", "repo_type": "dataset"}
    api = Api(create_repo=SimpleNamespace(repo_id="me/kanji"), create_branch=None, create_tag=None)
    assert call("create", api, **at, private=True) == "me/kanji"
    assert call("branch", api, **at, branch="next") is None
    assert call("tag", api, **at, tag="v1", commit="c") is None
    assert all(options["exist_ok"] for _, _, options in api.asked)


def test_a_folder_is_sent_on_top_of_what_was_seen_and_stale_names_are_no_patterns() -> None:
    api = Api(upload_folder=SimpleNamespace(oid="e" * 40))
    sent = {
        "folder": "/x",
        "repo_id": "me/kanji",
        "repo_type": "dataset",
        "revision": "main",
        "parent": "c" * 40,
        "message": "m",
        "stale": ["a[1]*.png"],
    }
    assert call("send", api, **sent) == "e" * 40
    assert api.asked[0][2]["delete_patterns"] == ["a[[]1][*].png"]
    assert api.asked[0][2]["parent_commit"] == "c" * 40
    call("send", api, **{**sent, "parent": "", "stale": []})
    assert (api.asked[1][2]["delete_patterns"], api.asked[1][2]["parent_commit"]) == (None, None)


def test_bytes_of_a_download_are_counted_over_all_files() -> None:
    said: list[Any] = []

    def snapshot(repo_id: str, *, tqdm_class: Any, **options: Any) -> str:
        assert (options["repo_type"], options["revision"]) == ("model", "c")
        files, first, second = tqdm_class(total=2), tqdm_class(unit="B"), tqdm_class(unit="B")
        files.update(1)
        first.update(10)
        second.update(5)
        return "/x"

    api = SimpleNamespace(snapshot_download=snapshot)
    arguments = {
        "repo_id": "me/kanji", "repo_type": "model", "commit": "c", "folder": "/x", "files": ["a"], "total": 15,
    }  # fmt: skip
    child.answer(api, {"call": "download", "arguments": arguments}, said.append)  # type: ignore[arg-type]
    assert said == [{"done": 10, "total": 15}, {"done": 15, "total": 15}, {"answer": None}]


def test_bytes_that_are_sent_are_reported_by_the_real_clients_own_count() -> None:
    from huggingface_hub import _upload_pipeline as pipeline

    heard: list[tuple[int, int]] = []
    before = pipeline._LiveDisplay
    try:
        child._report_bytes(lambda done, total: heard.append((done, total)))
        hear = pipeline._LiveDisplay(total_files=1).new_xet_callback()
        assert hear is not None
        hear(SimpleNamespace(total_bytes_completed=3, total_bytes=9), {})
    finally:
        pipeline._LiveDisplay = before  # type: ignore[misc]
    assert heard == [(3, 9)]


def test_a_client_without_that_count_is_listened_to_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import _upload_pipeline as pipeline

    monkeypatch.delattr(pipeline, "_LiveDisplay")
    child._report_bytes(silent)


def test_any_exception_is_a_fault() -> None:
    assert call("identity", Api(whoami=RuntimeError("panic")))["kind"] == "broken"
    assert call("no such call", Api())["kind"] == "broken"


def test_a_secret_is_taken_out_of_whatever_is_said() -> None:
    assert child.redacted('{"what": "bad hf_abcdefg"}', "hf_abcdefg") == '{"what": "bad (token)"}'
    assert child.redacted("all", None) == "all"
    assert child.redacted('{"answer": "a"}', "a") == '{"answer": "a"}', "so short a token is none"


@pytest.mark.parametrize(
    ("token", "key", "words"),
    [
        ("hf_secret", "answer", "(token)"),
        ("hf secret", "fault", "it holds a space or a letter"),
        ("hf_é", "fault", "it holds"),
    ],
)
def test_questions_are_answered_in_lines(monkeypatch: pytest.MonkeyPatch, token: str, key: str, words: str) -> None:
    """The process ends with its questions, so its end is played by an exception here."""

    class _End(Exception):
        pass

    questions = [{"call": "identity", "arguments": {}}, None]

    class Waiting:
        def get(self) -> Any:
            question = questions.pop(0)
            if question is None:
                raise _End
            return question

    monkeypatch.setattr(child, "_questions", lambda _: Waiting())
    monkeypatch.setattr("huggingface_hub.get_token", lambda: token)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: Api(whoami={"name": "hf_secret"}))
    out = io.StringIO()
    with pytest.raises(_End):
        child.main((), out)
    said = json.loads(out.getvalue())
    assert words in (said[key]["name"] if key == "answer" else said[key]["what"])
