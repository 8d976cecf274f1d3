"""What the loopback Hub holds, what a request asks of it, and the ways in which it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from re import Match
from typing import Any

from tests.hub_accounts import Account
from tests.hub_store import Commit, Repo, RevisionNotFoundError
from tests.hub_xet import read_local

XET_TOKEN = "xet-token-of-the-loopback-hub"  # noqa: S105


@dataclass(slots=True)
class State:
    """Everything that the Hub knows.

    Attributes:
        cas_url: Where hf_xet is sent to: local:// and a folder, or the Hub itself.
        part_bytes: Larger objects are uploaded in parts of this size in LFS mode, or None.
        objects: The content of large files by sha256, whether committed or not.
    """

    url: str
    cas_url: str
    accounts: Mapping[str, Account]
    part_bytes: int | None
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    xorbs: dict[str, bytes] = field(default_factory=dict)
    parts: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def large(self, sha256: str) -> bytes | None:
        """The content of an uploaded large file, or None."""
        if sha256 not in self.objects and self.cas_url.startswith("local://"):
            self.objects |= read_local(Path(self.cas_url.removeprefix("local://")), self.objects)
        return self.objects.get(sha256)


@dataclass(frozen=True, slots=True)
class Request:
    """A request; its path is as it was sent, without the query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    account: Account | None = None

    def json(self) -> Any:
        """What the body holds as JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise RefusalError(400, f"Invalid JSON: {error}") from error


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply; a body is what the same GET would give, also for HEAD."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusalError(Exception):
    """A request that is refused, with the status, the message and the X-Error-Code of the reply."""

    def __init__(self, status: int, message: str, code: str | None = None, **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.more = status, message, code, more

    def reply(self) -> Reply:
        """The refusal as the Hub words it: as JSON, and in headers that the client reads."""
        headers = {"X-Error-Message": " ".join(self.message.split())}
        if self.code:
            headers["X-Error-Code"] = self.code
        return as_json({"error": self.message, **self.more}, self.status, headers)


def as_json(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A reply of JSON."""
    shown = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Reply(status, json.dumps(data, ensure_ascii=False).encode(), shown)


Work = Callable[[State, Request, Match[str]], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """Work for requests of a method and a path; open ones do without a token of the Hub."""

    methods: frozenset[str]
    path: re.Pattern[str]
    work: Work
    is_open: bool


def route(table: list[Route], methods: str, path: str, is_open: bool = False) -> Callable[[Work], Work]:
    """Put a function into a table of routes. T stands for a type, ID for a repository, REV for a revision."""
    for short, full in _SHORT.items():
        path = path.replace(short, full)

    def keep(work: Work) -> Work:
        table.append(Route(frozenset(methods.split()), re.compile(f"^{path}$"), work, is_open))
        return work

    return keep


_SHORT = {
    "/api/T/": "/api/(?P<type>model|dataset|space)s/",
    "/P/": "/(?:(?P<type>dataset|space)s/)?",
    "ID": "(?P<id>[^/]+(?:/[^/]+)?)",
    "REV": "(?P<rev>[^/]+)",
    "REST": "(?P<rest>.+)",
}


def account_of(state: State, headers: Mapping[str, str]) -> Account | None:
    """Who asks, or None without a token; an unknown token is refused."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if not scheme:
        return None
    account = state.accounts.get(token)
    if scheme != "Bearer" or account is None:
        raise RefusalError(401, "Invalid credentials in Authorization header")
    return account


def someone(request: Request) -> Account:
    """Who asks, where nobody may not."""
    if request.account is None:
        raise RefusalError(401, "Invalid username or password.")
    return request.account


def readable(state: State, request: Request, match: Match[str]) -> Repo:
    """The repository of a request, if who asks may see it; what may not be seen is not there."""
    repo_type, repo_id = match["type"] or "model", match["id"]
    repo, account = state.repos.get((repo_type, repo_id)), request.account
    if repo and (not repo.private or (account and account.may_read_private(repo_type, repo_id))):
        return repo
    if account is None:
        raise RefusalError(401, "Invalid username or password.", "RepoNotFound")
    raise RefusalError(404, "Repository not found", "RepoNotFound")


def writable(state: State, request: Request, match: Match[str]) -> Repo:
    """The repository of a request, if who asks may change it."""
    repo = readable(state, request, match)
    account = someone(request)
    if account.role == "read":
        raise RefusalError(403, "Forbidden: you must use a write token to upload to a repository")
    if not account.may_write(repo.type, repo.id):
        raise RefusalError(
            403,
            f"Authorization error: you don't have the rights to write to the {repo.type} {repo.id}; "
            "pass `create_pr=1` as a query parameter to create a Pull Request",
        )
    return repo


def commit_at(repo: Repo, revision: str) -> Commit:
    """The commit of a revision."""
    try:
        return repo.commit_of(revision)
    except RevisionNotFoundError as error:
        raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound") from error
