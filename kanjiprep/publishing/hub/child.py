"""The process that talks to the Hub: one call at a time, asked and answered in lines of JSON.

It is a process of its own because the client has no timeouts, retries in silence and reads its settings when
it is imported: whoever waits for it can end it. It ends itself when nobody listens any more.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import queue
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from kanjiprep.publishing.hub import fault

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_SHORTEST: Final = 8
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
Report = Callable[[int, int], None]
"""Hears bytes that are done, and bytes in all."""


def identity(api: HfApi, report: Report) -> dict[str, Any]:  # noqa: ARG001
    """Whose token it is, and what it may do."""
    about = api.whoami()
    token = (about.get("auth") or {}).get("accessToken") or {}
    return {
        "endpoint": api.endpoint,
        "name": about["name"],
        "orgs": {one["name"]: one.get("roleInOrg") or "" for one in about.get("orgs") or ()},
        "token": token.get("displayName") or "",
        "role": token.get("role") or "",
        "scopes": {
            (one.get("entity") or {}).get("name") or "": one.get("permissions") or []
            for one in (token.get("fineGrained") or {}).get("scoped") or ()
        },
    }


def look(api: HfApi, report: Report, repo_id: str, repo_type: str, revision: str, refs: bool) -> dict[str, Any]:  # noqa: ARG001
    """What stands in a repository: whether it is there, its head, its files with sizes and hashes, its tags."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    empty: dict[str, Any] = {"exists": False, "private": None, "head": "", "files": {}, "tags": {}}
    at: dict[str, Any] = {"repo_id": repo_id, "repo_type": repo_type}
    try:
        info = api.repo_info(**at, revision=revision)
    except RevisionNotFoundError:
        about = api.repo_info(**at)
        return {**empty, "exists": True, "private": about.private, "tags": _tags(api, at) if refs else {}}
    except RepositoryNotFoundError as error:
        if error.response.status_code == 401:  # noqa: PLR2004
            raise
        return empty
    entries = api.list_repo_tree(**at, revision=info.sha, recursive=True)
    return {
        "exists": True,
        "private": info.private,
        "head": info.sha,
        "files": {one.path: _file(one) for one in entries if hasattr(one, "size")},
        "tags": _tags(api, at) if refs else {},
    }


def _file(entry: Any) -> dict[str, Any]:
    large = getattr(entry, "lfs", None)
    return {"size": entry.size, "git": entry.blob_id, "sha256": large.sha256 if large else ""}


def _tags(api: HfApi, at: Mapping[str, Any]) -> dict[str, str]:
    return {one.name: one.target_commit for one in api.list_repo_refs(**at).tags}


def content(api: HfApi, report: Report, repo_id: str, repo_type: str, revision: str, path: str, folder: str) -> str:  # noqa: ARG001
    """The bytes of a small file, in base64."""
    found = api.hf_hub_download(repo_id, path, repo_type=repo_type, revision=revision, local_dir=folder)
    return base64.b64encode(Path(found).read_bytes()).decode()


def create(api: HfApi, report: Report, repo_id: str, repo_type: str, private: bool) -> str:  # noqa: ARG001
    """The name of a repository that is there from now on."""
    return str(api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True).repo_id)


def branch(api: HfApi, report: Report, repo_id: str, repo_type: str, branch: str) -> None:  # noqa: ARG001
    """A branch that is there from now on."""
    api.create_branch(repo_id, repo_type=repo_type, branch=branch, exist_ok=True)


def send(
    api: HfApi,
    report: Report,
    folder: str,
    repo_id: str,
    repo_type: str,
    revision: str,
    parent: str,
    message: str,
    stale: list[str],
) -> str:
    """The commit that holds all files of ``folder`` and no file that is ``stale``."""
    _report_bytes(report)
    info = api.upload_folder(
        repo_id=repo_id,
        repo_type=repo_type,
        folder_path=folder,
        revision=revision,
        parent_commit=parent or None,
        commit_message=message,
        delete_patterns=[_literally(name) for name in stale] or None,
    )
    return str(info.oid)


def tag(api: HfApi, report: Report, repo_id: str, repo_type: str, tag: str, commit: str) -> None:  # noqa: ARG001
    """A tag that stands at ``commit`` from now on."""
    api.create_tag(repo_id, repo_type=repo_type, tag=tag, revision=commit, exist_ok=True)


def tags(api: HfApi, report: Report, repo_id: str, repo_type: str) -> dict[str, str]:  # noqa: ARG001
    """Commit by name of every tag."""
    return _tags(api, {"repo_id": repo_id, "repo_type": repo_type})


def download(
    api: HfApi,
    report: Report,
    repo_id: str,
    repo_type: str,
    commit: str,
    folder: str,
    files: list[str] | None,
    total: int,
) -> None:
    """``files`` of a repository at ``commit``, or all of them, inside ``folder``."""
    api.snapshot_download(
        repo_id,
        repo_type=repo_type,
        revision=commit,
        local_dir=folder,
        allow_patterns=[_literally(name) for name in files] if files else None,
        tqdm_class=_counting(report, total),
    )


def _counting(report: Report, total: int) -> type[Any]:
    """A progress bar of the client's kind that draws nothing and reports bytes over all files."""
    from huggingface_hub import utils

    done, lock = [0], threading.Lock()
    base: Any = utils.tqdm  # type: ignore[attr-defined]

    class _Bytes(base):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._counts = options.get("unit") == "B"
            super().__init__(*arguments, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            if self._counts:  # another bar counts files
                with lock:
                    done[0] += int(n or 0)
                    report(done[0], total)

    return _Bytes


CALLS: Final[Mapping[str, Callable[..., Any]]] = {
    one.__name__: one for one in (identity, look, content, create, branch, send, tag, tags, download)
}


def _literally(name: str) -> str:
    """A pattern of fnmatch that stands for ``name`` alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _report_bytes(report: Report) -> None:
    """Have uploads by hf_xet reported; a client that lost the place where one can listen goes on in silence.

    Source: huggingface_hub 2.4.0 _upload_pipeline.py, which shows bytes on terminals only.
    """
    try:
        from huggingface_hub import _upload_pipeline as pipeline

        shown: Any = pipeline._LiveDisplay
    except (ImportError, AttributeError):
        return

    class _Reporting(shown):  # type: ignore[misc]
        def new_xet_callback(self) -> Callable[..., None]:
            def hear(group: Any, items: Any) -> None:  # noqa: ARG001
                report(group.total_bytes_completed, group.total_bytes)

            return hear

    pipeline._LiveDisplay = _Reporting  # type: ignore[misc]


def answer(api: HfApi, question: Mapping[str, Any], say: Callable[[Mapping[str, Any]], None]) -> None:
    """Do what ``question`` asks for, and say what came of it."""

    def report(done: int, total: int) -> None:
        say({"done": done, "total": total})

    try:
        say({"answer": CALLS[question["call"]](api, report, **question["arguments"])})
    except Exception as error:  # noqa: BLE001 - whatever the client raises becomes a fault, and none is lost
        say({"fault": dataclasses.asdict(fault.describe(error))})


def redacted(line: str, secret: str | None) -> str:
    """``line`` with no ``secret`` in it; a very short one is none, and its letters are those of other words."""
    return line.replace(secret, "(token)") if secret and len(secret) >= _SHORTEST else line


def _questions(lines: Iterable[str]) -> queue.SimpleQueue[dict[str, Any]]:
    """Questions as they come; the process ends with them, whatever it is at."""
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def listen() -> None:
        for line in lines:
            waiting.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    return waiting


def main(lines: Iterable[str], out: IO[str]) -> None:
    """Answer questions until there are no more."""
    from huggingface_hub import HfApi, get_token

    waiting, secret, lock = _questions(lines), get_token(), threading.Lock()

    def say(message: Mapping[str, Any]) -> None:
        with lock:
            out.write(redacted(json.dumps(message), secret) + "\n")
            out.flush()

    api, is_odd = HfApi(), secret is not None and not _VISIBLE.fullmatch(secret)
    while True:
        question = waiting.get()
        if is_odd:
            odd = fault.Fault("unauthorized", "it holds a space or a letter that no token has")
            say({"fault": dataclasses.asdict(odd)})
        else:
            answer(api, question, say)


if __name__ == "__main__":
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer of ours
    main(sys.stdin, own)
