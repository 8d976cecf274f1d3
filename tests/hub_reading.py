"""What the loopback Hub tells of its repositories: their state, their trees and their history."""

from __future__ import annotations

from datetime import datetime
from re import Match
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from tests.hub_card import check_card, metadata
from tests.hub_state import RefusalError, Reply, Request, Route, State, as_json, commit_at, readable, route
from tests.hub_store import Commit, Entry, folders_of

ROUTES: list[Route] = []
PAGE_ENTRIES = 1000


@route(ROUTES, "GET", "/api/T/ID")
@route(ROUTES, "GET", "/api/T/ID/revision/REV")
def _info(state: State, request: Request, match: Match[str]) -> Reply:
    repo = readable(state, request, match)
    commit = commit_at(repo, unquote(match.groupdict().get("rev") or "main"))
    with_blobs = request.query.get("blobs", "").lower() in {"1", "true"}
    siblings = [
        {"rfilename": path, **(_blob(one, "blobId") if with_blobs else {})} for path, one in commit.tree.items()
    ]
    card = commit.tree["README.md"].data.decode("utf-8", "replace") if "README.md" in commit.tree else ""
    info = {"_id": "2" * 24, "id": repo.id, "author": repo.id.partition("/")[0], "sha": commit.oid}
    info |= {"lastModified": _time(commit.time), "createdAt": _time(repo.commits("main")[-1].time)}
    counts = {
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "usedStorage": sum(len(one.data) for one in commit.tree.values()),
    }
    shown = {"private": repo.private, "gated": repo.gated, "disabled": False, "siblings": siblings}
    known = {} if check_card(card, repo.type).errors else {"cardData": metadata(card)}
    return as_json({**info, **counts, **shown, **known})


@route(ROUTES, "GET", "/api/T/ID/auth-check")
def _auth_check(state: State, request: Request, match: Match[str]) -> Reply:
    readable(state, request, match)
    return Reply()


@route(ROUTES, "GET", "/api/T/ID/tree/REV(?:/REST)?")
def _tree(state: State, request: Request, match: Match[str]) -> Reply:
    commit = commit_at(readable(state, request, match), unquote(match["rev"]))
    folder = unquote(match["rest"] or "").strip("/")
    if folder and folder not in folders_of(commit.tree):
        raise RefusalError(404, f"{folder} does not exist on this revision", "EntryNotFound")
    start = f"{folder}/" if folder else ""
    recursive = request.query.get("recursive", "").lower() in {"1", "true"}
    listed = [
        one
        for one in _listing(commit, with_commit=request.query.get("expand", "").lower() in {"1", "true"})
        if one["path"].startswith(start) and (recursive or "/" not in one["path"][len(start) :])
    ]
    return _paged(state, request, listed)


def _paged(state: State, request: Request, listed: list[dict[str, Any]]) -> Reply:
    at = int(request.query.get("cursor", "0"))
    count = min(int(request.query.get("limit", PAGE_ENTRIES)), PAGE_ENTRIES)
    following = urlencode({**request.query, "cursor": at + count})
    link = {"Link": f'<{state.url}{request.path}?{following}>; rel="next"'} if at + count < len(listed) else {}
    return as_json(listed[at : at + count], headers=link)


@route(ROUTES, "POST", "/api/T/ID/paths-info/REV")
def _paths_info(state: State, request: Request, match: Match[str]) -> Reply:
    commit = commit_at(readable(state, request, match), unquote(match["rev"]))
    if "json" in request.headers.get("content-type", ""):
        wanted = request.json()["paths"]
    else:
        wanted = parse_qs(request.body.decode()).get("paths", [])
    names = {wanted} if isinstance(wanted, str) else {path.strip("/") for path in wanted}
    return as_json([one for one in _listing(commit, with_commit=False) if one["path"] in names])


def _listing(commit: Commit, with_commit: bool) -> list[dict[str, Any]]:
    folders = [
        {"type": "directory", "oid": oid, "size": 0, "path": path} for path, oid in folders_of(commit.tree).items()
    ]
    files = [{"type": "file", **_blob(one, "oid"), "path": path} for path, one in commit.tree.items()]
    last = (
        {"lastCommit": {"id": commit.oid, "title": commit.message, "date": _time(commit.time)}} if with_commit else {}
    )
    return sorted(({**one, **last} for one in [*folders, *files]), key=lambda one: str(one["path"]))


def _blob(one: Entry, name: str) -> dict[str, Any]:
    told: dict[str, Any] = {name: one.blob, "size": len(one.data)}
    if one.is_large:
        hashed = "sha256" if name == "blobId" else "oid"
        told["lfs"] = {hashed: one.sha256, "size": len(one.data), "pointerSize": len(one.pointer)}
    return told


@route(ROUTES, "GET", "/api/T/ID/commits/REV")
def _commits(state: State, request: Request, match: Match[str]) -> Reply:
    repo = readable(state, request, match)
    commit_at(repo, unquote(match["rev"]))
    told = [
        {
            "id": one.oid,
            "title": one.message,
            "message": "",
            "authors": [{"user": one.author}],
            "date": _time(one.time),
        }
        for one in repo.commits(unquote(match["rev"]))
    ]
    return _paged(state, request, told)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
