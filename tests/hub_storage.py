"""The large storage of the loopback Hub: LFS uploads, the CAS that hf_xet speaks to, and downloads."""

from __future__ import annotations

import hashlib
import math
import re
import time
from re import Match
from typing import Any
from urllib.parse import unquote

from tests.hub_state import (
    XET_TOKEN,
    RefusalError,
    Reply,
    Request,
    Route,
    State,
    as_json,
    commit_at,
    readable,
    route,
    writable,
)
from tests.hub_xet import XetError, contents

ROUTES: list[Route] = []
_LIFETIME_S = 3600


# Git LFS ------------------------------------------------------------------------------------------------------------


@route(ROUTES, "POST", r"/P/ID\.git/info/lfs/objects/batch")
def _batch(state: State, request: Request, match: Match[str]) -> Reply:
    writable(state, request, match)
    asked = request.json()
    if asked.get("operation") != "upload":
        raise RefusalError(400, "The loopback Hub only takes uploads")
    objects = [_instructions(state, one["oid"], one["size"]) for one in asked["objects"]]
    return as_json({"transfer": "basic", "objects": objects})


def _instructions(state: State, oid: str, size: int) -> dict[str, Any]:
    known = {"oid": oid, "size": size}
    if state.large(oid) is not None:
        return known
    address = f"{state.url}/lfs-storage/{oid}"
    upload: dict[str, Any] = {"href": address}
    if state.part_bytes is not None and size > state.part_bytes:
        parts = range(1, math.ceil(size / state.part_bytes) + 1)
        header = {"chunk_size": str(state.part_bytes), **{str(part): f"{address}/{part}" for part in parts}}
        upload = {"href": f"{address}/complete", "header": header}
    return {**known, "actions": {"upload": upload, "verify": {"href": f"{address}/verify"}}}


@route(ROUTES, "PUT", "/lfs-storage/([0-9a-f]{64})", is_open=True)
def _put(state: State, request: Request, match: Match[str]) -> Reply:
    return _keep(state, match[1], request.body)


@route(ROUTES, "PUT", r"/lfs-storage/([0-9a-f]{64})/(\d+)", is_open=True)
def _put_part(state: State, request: Request, match: Match[str]) -> Reply:
    state.parts[match[1], int(match[2])] = request.body
    return Reply(headers={"ETag": f'"{hashlib.sha256(request.body).hexdigest()[:32]}"'})


@route(ROUTES, "POST", "/lfs-storage/([0-9a-f]{64})/complete", is_open=True)
def _complete(state: State, request: Request, match: Match[str]) -> Reply:
    numbers = [part["partNumber"] for part in request.json()["parts"]]
    return _keep(state, match[1], b"".join(state.parts.pop((match[1], number)) for number in numbers))


@route(ROUTES, "POST", "/lfs-storage/([0-9a-f]{64})/verify", is_open=True)
def _verify(state: State, request: Request, match: Match[str]) -> Reply:
    data = state.objects.get(match[1])
    if data is None or len(data) != request.json()["size"]:
        raise RefusalError(404, "The object was not uploaded")
    return Reply()


def _keep(state: State, oid: str, data: bytes) -> Reply:
    if hashlib.sha256(data).hexdigest() != oid:
        raise RefusalError(400, "The content has another sha256 than was told")
    state.objects[oid] = data
    return Reply(headers={"ETag": f'"{oid}"'})


# Xet ----------------------------------------------------------------------------------------------------------------


@route(ROUTES, "GET", "/api/T/ID/xet-write-token/REV")
def _write_token(state: State, request: Request, match: Match[str]) -> Reply:
    commit_at(writable(state, request, match), unquote(match["rev"]))
    ends = int(time.time()) + _LIFETIME_S
    headers = {"X-Xet-Cas-Url": state.cas_url, "X-Xet-Access-Token": XET_TOKEN, "X-Xet-Token-Expiration": str(ends)}
    return as_json({"casUrl": state.cas_url, "accessToken": XET_TOKEN, "exp": ends}, headers=headers)


@route(ROUTES, "POST", "/v1/xorbs/default/([0-9a-f]{64})", is_open=True)
def _xorb(state: State, request: Request, match: Match[str]) -> Reply:
    _check_xet_token(request)
    is_new = match[1] not in state.xorbs
    state.xorbs[match[1]] = request.body
    return as_json({"was_inserted": is_new})


@route(ROUTES, "POST", "/v1/shards", is_open=True)
def _shard(state: State, request: Request, match: Match[str]) -> Reply:
    _check_xet_token(request)
    try:
        state.objects |= contents(request.body, state.xorbs)
    except XetError as error:
        raise RefusalError(400, str(error)) from error
    return as_json({"result": 1})


@route(ROUTES, "POST", "/v1/telemetry", is_open=True)
def _telemetry(state: State, request: Request, match: Match[str]) -> Reply:
    return Reply()


def _check_xet_token(request: Request) -> None:
    if request.headers.get("authorization") != f"Bearer {XET_TOKEN}":
        raise RefusalError(401, "Invalid Xet token")


# Downloads ----------------------------------------------------------------------------------------------------------


@route(ROUTES, "GET HEAD", "/P/ID/resolve/REV/REST")
def _resolve(state: State, request: Request, match: Match[str]) -> Reply:
    commit = commit_at(readable(state, request, match), unquote(match["rev"]))
    path = unquote(match["rest"])
    if path not in commit.tree:
        raise RefusalError(404, "Entry not found", "EntryNotFound")
    one = commit.tree[path]
    headers = {"ETag": f'"{one.remote_oid}"', "X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
    if one.is_large:
        headers |= {"X-Linked-ETag": f'"{one.sha256}"', "X-Linked-Size": str(len(one.data))}
    return _ranged(one.data, request.headers.get("range"), {**headers, "Content-Type": "application/octet-stream"})


def _ranged(data: bytes, wanted: str | None, headers: dict[str, str]) -> Reply:
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted or "")
    if found is None or not (found[1] or found[2]):
        return Reply(200, data, headers)
    size = len(data)
    first = int(found[1]) if found[1] else max(size - int(found[2]), 0)
    last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
    if first > last:
        return Reply(416, b"", {**headers, "Content-Range": f"bytes */{size}"})
    return Reply(206, data[first : last + 1], {**headers, "Content-Range": f"bytes {first}-{last}/{size}"})
