"""The API of the loopback Hub: accounts, repositories, commits and refs."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
import re
from collections.abc import Iterable, Mapping
from re import Match
from typing import Any
from urllib.parse import quote, unquote

from tests.hub_accounts import whoami
from tests.hub_card import check_card
from tests.hub_state import (
    RefusalError,
    Reply,
    Request,
    Route,
    State,
    as_json,
    commit_at,
    readable,
    route,
    someone,
    writable,
)
from tests.hub_store import (
    GIT_ATTRIBUTES,
    LARGE_BYTES,
    NO_FILES,
    Entry,
    Repo,
    Tree,
    changed,
    entry,
    folders_of,
    is_large,
    refusal_of_path,
    refusal_of_tree,
)

ROUTES: list[Route] = []
MAX_PREUPLOAD_FILES = 256
_NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?", re.ASCII)


# Accounts and repositories ------------------------------------------------------------------------------------------


@route(ROUTES, "GET", "/api/whoami-v2")
def _whoami(state: State, request: Request, match: Match[str]) -> Reply:
    return as_json(whoami(someone(request)))


@route(ROUTES, "POST", "/api/repos/create")
def _create(state: State, request: Request, match: Match[str]) -> Reply:
    account, asked = someone(request), request.json()
    repo_type, name = asked.get("type") or "model", asked.get("name") or ""
    namespace = asked.get("organization") or account.name
    repo_id = f"{namespace}/{name}"
    if repo_type not in {"model", "dataset", "space"} or not _NAME.fullmatch(name) or name.endswith(".git"):
        raise RefusalError(400, f"Invalid name for a {repo_type}: {name!r}")
    if not account.may_create(repo_id):
        raise RefusalError(
            403, f'You don\'t have the rights to create a {repo_type} under the namespace "{namespace}"'
        )
    url = page(state, repo_type, repo_id)
    if (repo_type, repo_id) in state.repos:
        raise RefusalError(409, f"You already created this {repo_type} repo: {repo_id}", url=url)
    private = asked.get("visibility") == "private" or asked.get("private") is True
    create(state, repo_type, repo_id, private, account.name)
    return as_json({"url": url, "name": repo_id, "id": "2" * 24, "private": private})


@route(ROUTES, "DELETE", "/api/repos/delete")
def _delete(state: State, request: Request, match: Match[str]) -> Reply:
    account, asked = someone(request), request.json()
    key = (asked.get("type") or "model", f"{asked.get('organization') or account.name}/{asked['name']}")
    if key not in state.repos:
        raise RefusalError(404, "Repository not found", "RepoNotFound")
    if not account.may_create(key[1]):
        raise RefusalError(403, "You don't have the rights to delete this repository")
    del state.repos[key]
    return Reply()


@route(ROUTES, "PUT", "/api/T/ID/settings")
def _settings(state: State, request: Request, match: Match[str]) -> Reply:
    repo, asked = writable(state, request, match), request.json()
    if "visibility" in asked or "private" in asked:
        repo.private = asked.get("visibility") == "private" or asked.get("private") is True
    repo.gated = bool(asked.get("gated", repo.gated))
    return as_json({"private": repo.private, "gated": repo.gated})


@route(ROUTES, "POST", "/api/validate-yaml")
def _validate(state: State, request: Request, match: Match[str]) -> Reply:
    asked = request.json()
    verdict = check_card(asked["content"], asked.get("repoType") or "model")
    told = {
        "errors": [{"message": message} for message in verdict.errors],
        "warnings": [{"message": message} for message in verdict.warnings],
    }
    return as_json(told, 400 if verdict.errors else 200)


# Commits ------------------------------------------------------------------------------------------------------------


@route(ROUTES, "POST", "/api/T/ID/preupload/REV")
def _preupload(state: State, request: Request, match: Match[str]) -> Reply:
    repo, asked = writable(state, request, match), request.json()
    _no_pull_requests(request)
    tree = commit_at(repo, unquote(match["rev"])).tree
    if len(asked["files"]) > MAX_PREUPLOAD_FILES:
        raise RefusalError(400, f"At most {MAX_PREUPLOAD_FILES} files may be asked about at once")
    kept = tree[".gitignore"].data.decode() if ".gitignore" in tree else ""
    ignored = asked.get("gitIgnore", kept).splitlines()
    return as_json({"files": [_told(file, tree, ignored) for file in asked["files"]]})


def _told(file: Mapping[str, Any], tree: Tree, ignored: Iterable[str]) -> dict[str, Any]:
    path = file["path"]
    if refusal := refusal_of_path(path):
        raise RefusalError(400, refusal)
    large = is_large(path, file["size"], base64.b64decode(file["sample"]))
    told: dict[str, Any] = {"path": path, "uploadMode": "lfs" if large else "regular"}
    told["shouldIgnore"] = any(_is_ignored(path, line.strip()) for line in ignored)
    if path in tree:
        told["oid"] = tree[path].remote_oid
    return told


def _is_ignored(path: str, line: str) -> bool:
    """Whether a line of a .gitignore names a path; of its grammar only names, paths and * are known here."""
    if not line or line.startswith("#"):
        return False
    pattern = line.strip("/")
    parts = path.split("/")
    starts = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(fnmatch.fnmatchcase(one, pattern) for one in [*starts, *([] if "/" in pattern else parts)])


@route(ROUTES, "POST", "/api/T/ID/commit/REV")
def _commit(state: State, request: Request, match: Match[str]) -> Reply:
    repo, branch = writable(state, request, match), unquote(match["rev"])
    _no_pull_requests(request)
    if branch not in repo.branches:
        raise RefusalError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
    header, lines = _lines(request)
    expected = header.get("parentCommit")
    if expected is not None and expected != repo.head(branch):
        raise RefusalError(412, "A commit has happened since. Please refresh and try again.")
    tree = _tree_after(state, repo, repo.commit_of(branch).tree, lines)
    made = repo.add(tree, header["summary"], someone(request).name, branch)
    url = f"{page(state, repo.type, repo.id)}/commit/{made.oid}"
    return as_json({"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": ""})


def _lines(request: Request) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    try:
        lines = [json.loads(line) for line in request.body.splitlines() if line.strip()]
        header, *rest = [(line["key"], line["value"]) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise RefusalError(400, f"Invalid NDJSON: {error}") from error
    if header[0] != "header" or not header[1].get("summary"):
        raise RefusalError(400, "The first line must be a header with a summary")
    return header[1], rest


def _tree_after(state: State, repo: Repo, tree: Tree, lines: list[tuple[str, dict[str, Any]]]) -> Tree:
    changes: dict[str, Entry | None] = {}
    folders = []
    for key, value in lines:
        if refusal := refusal_of_path(value["path"].rstrip("/")):
            raise RefusalError(400, refusal)
        if key == "deletedFolder":
            folders.append(_known_folder(tree, value["path"]))
        else:
            changes[value["path"]] = _entry_of(state, tree, key, value)
    after = changed(tree, changes, folders)
    if refusal := refusal_of_tree(after) or _refusal_of_card(repo, changes.get("README.md")):
        raise RefusalError(400, refusal)
    return after


def _entry_of(state: State, tree: Tree, key: str, value: dict[str, Any]) -> Entry | None:
    if key == "file":
        return _regular(value)
    if key == "lfsFile":
        data = state.large(value["oid"])
        if data is None or len(data) != value.get("size", len(data)):
            raise RefusalError(400, f"An LFS pointer pointed to a file that does not exist: {value['path']}")
        return Entry(data, is_large=True)
    if key != "deletedFile":
        raise RefusalError(400, f"Unknown operation: {key}")
    if value["path"] not in tree:
        raise RefusalError(404, f"Entry not found: {value['path']}", "EntryNotFound")
    return None


def _regular(value: dict[str, Any]) -> Entry:
    try:
        data = base64.b64decode(value["content"], validate=True)
    except binascii.Error as error:
        raise RefusalError(400, f"Invalid base64 of {value['path']}") from error
    if len(data) >= LARGE_BYTES:
        raise RefusalError(400, f"Files larger than 10 MiB must be stored as LFS: {value['path']}")
    return Entry(data, is_large=False)


def _known_folder(tree: Tree, path: str) -> str:
    if path.strip("/") not in folders_of(tree):
        raise RefusalError(404, f"Entry not found: {path}", "EntryNotFound")
    return path


def _refusal_of_card(repo: Repo, card: Entry | None) -> str | None:
    errors = check_card(card.data.decode("utf-8", "replace"), repo.type).errors if card else ()
    return f"Invalid metadata in README.md: {'; '.join(errors)}" if errors else None


def _no_pull_requests(request: Request) -> None:
    if request.query.get("create_pr"):
        raise RefusalError(501, "The loopback Hub has no pull requests")


# Refs ---------------------------------------------------------------------------------------------------------------


@route(ROUTES, "GET", "/api/T/ID/refs")
def _refs(state: State, request: Request, match: Match[str]) -> Reply:
    repo = readable(state, request, match)
    told: dict[str, list[dict[str, str]]] = {"converts": [], "pullRequests": []}
    for key, folder, refs in (("branches", "heads", repo.branches), ("tags", "tags", repo.tags)):
        told[key] = [
            {"name": name, "ref": f"refs/{folder}/{name}", "targetCommit": oid} for name, oid in sorted(refs.items())
        ]
    return as_json(told)


@route(ROUTES, "POST", "/api/T/ID/tag/REV")
def _tag(state: State, request: Request, match: Match[str]) -> Reply:
    repo, name = writable(state, request, match), request.json().get("tag") or ""
    oid = commit_at(repo, unquote(match["rev"])).oid
    _refuse_ref(repo.tags, name, f"Tag reference already exists: {name}")
    repo.tags[name] = oid
    return as_json({"success": True})


@route(ROUTES, "DELETE", "/api/T/ID/tag/REV")
def _untag(state: State, request: Request, match: Match[str]) -> Reply:
    repo, name = writable(state, request, match), unquote(match["rev"])
    if repo.tags.pop(name, None) is None:
        raise RefusalError(404, f"Tag not found: {name}", "RevisionNotFound")
    return Reply()


@route(ROUTES, "POST", "/api/T/ID/branch/REV")
def _branch(state: State, request: Request, match: Match[str]) -> Reply:
    repo, name = writable(state, request, match), unquote(match["rev"])
    start = (request.json() if request.body else {}).get("startingPoint", "main")
    oid = commit_at(repo, start).oid
    _refuse_ref(repo.branches, name, f"Reference already exists: {name}")
    repo.branches[name] = oid
    return as_json({"success": True})


@route(ROUTES, "DELETE", "/api/T/ID/branch/REV")
def _unbranch(state: State, request: Request, match: Match[str]) -> Reply:
    repo, name = writable(state, request, match), unquote(match["rev"])
    if name == "main":
        raise RefusalError(403, "Cannot delete the main branch")
    if repo.branches.pop(name, None) is None:
        raise RefusalError(404, f"Branch not found: {name}", "RevisionNotFound")
    return Reply()


def _refuse_ref(refs: Mapping[str, str], name: str, exists: str) -> None:
    if not name or re.search(r"[\s~^:?*\[\\\x00-\x1f]|\.\.|//|^[/.-]|[/.]$|\.lock$", name):
        raise RefusalError(400, f"Invalid reference name: {name!r}")
    if name in refs:
        raise RefusalError(409, exists)


# What tests use too -------------------------------------------------------------------------------------------------


def create(state: State, repo_type: str, repo_id: str, private: bool, author: str) -> Repo:
    """A new repository with its first commit, which holds .gitattributes."""
    repo = state.repos[repo_type, repo_id] = Repo(repo_type, repo_id, private)
    repo.add(changed(NO_FILES, {".gitattributes": entry(".gitattributes", GIT_ATTRIBUTES)}), "initial commit", author)
    return repo


def page(state: State, repo_type: str, repo_id: str) -> str:
    """The address of a repository for people."""
    return f"{state.url}/{'' if repo_type == 'model' else f'{repo_type}s/'}{quote(repo_id)}"
