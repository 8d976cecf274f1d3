"""A Hugging Face Hub on loopback, for the real client: it keeps everything in memory and fails on demand.

The client reads HF_ENDPOINT, HF_TOKEN and HF_HOME when it is imported, so it runs in a process of its own.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from tests import hub_reading, hub_routes, hub_storage
from tests.hub_accounts import ACCOUNTS, WRITE_TOKEN, Account
from tests.hub_faults import WORKING, Fault, Kind, meet, misreport, plan
from tests.hub_state import RefusalError, Reply, Request, State, account_of, as_json
from tests.hub_store import Repo, changed, entry
from tests.local_server import LocalServer

_ROUTES = [*hub_routes.ROUTES, *hub_reading.ROUTES, *hub_storage.ROUTES]
_PIECES = 10
NO_REPLY = 0
"""Stands for the status of a request that got no reply."""


class Seen(NamedTuple):
    """A request that came, its path without query and percent signs, and the status of the reply or NO_REPLY."""

    method: str
    path: str
    status: int


class Hub(LocalServer):
    """The Hub, open while it is a context; a mistake of its own is raised when it closes.

    Attributes:
        url: Its address, for HF_ENDPOINT.
        requests: What it was asked, in order.
        state: All that it holds.
    """

    def __init__(
        self,
        folder: Path,
        cas: Literal["local", "http"] = "local",
        accounts: Mapping[str, Account] = ACCOUNTS,
        part_bytes: int | None = None,
    ) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        super().__init__(self._server, "hub")
        cas_folder = folder.absolute() / "cas"
        cas_folder.mkdir(parents=True, exist_ok=True)
        self.state = State(self.url, self.url if cas == "http" else f"local://{cas_folder}", accounts, part_bytes)
        self.requests: list[Seen] = []
        self.faults: list[Fault] = []

    def hang_up(self) -> None:
        """End the connections that clients keep open."""
        self._server.hang_up()

    def environment(self, home: Path, token: str | None = WRITE_TOKEN, **more: str) -> dict[str, str]:
        """The settings of a client of this Hub, which has nothing of the user's own."""
        settings = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
        return settings | ({"HF_TOKEN": token} if token else {}) | more

    def clear(self) -> None:
        """Forget the requests and the faults, and keep the repositories."""
        with self.lock:
            self.requests.clear()
            self.faults.clear()

    def fail(self, method: str, path_regex: str, kind: Kind, *, skip: int = 0, times: int = 1, **how: Any) -> Fault:
        """Plan a fault for the requests of a method, or of any with "*", whose path a pattern is found in."""
        fault = plan(method, path_regex, kind, skip, times, how)
        with self.lock:
            self.faults.append(fault)
        return fault

    def repo(self, repo_type: str, repo_id: str) -> Repo:
        """A repository."""
        return self.state.repos[repo_type, repo_id]

    def create(self, repo_type: str, repo_id: str, private: bool = False) -> Repo:
        """A new repository, as if its owner had created it."""
        with self.lock:
            return hub_routes.create(self.state, repo_type, repo_id, private, repo_id.partition("/")[0])

    def commit(
        self,
        repo_type: str,
        repo_id: str,
        files: Mapping[str, bytes | None],
        revision: str = "main",
        message: str = "A commit of a test",
    ) -> str:
        """The oid of a new commit on a branch, with files by their paths; None deletes one."""
        changes = {path: None if data is None else entry(path, data) for path, data in files.items()}
        with self.lock:
            repo = self.repo(repo_type, repo_id)
            self.state.objects |= {one.sha256: one.data for one in changes.values() if one and one.is_large}
            return repo.add(changed(repo.commit_of(revision).tree, changes), message, "me", revision).oid

    def answer(self, request: Request) -> Reply:
        """Do what a request asks."""
        matches = [(one, found) for one in _ROUTES if (found := one.path.match(request.path))]
        known = [(one, found) for one, found in matches if request.method in one.methods]
        if not known:
            return RefusalError(405 if matches else 404, "Not Found").reply()
        one, found = known[0]
        try:
            account = None if one.is_open else account_of(self.state, request.headers)
            return one.work(self.state, _asked_by(request, account), found)
        except RefusalError as refusal:
            return refusal.reply()


def _asked_by(request: Request, account: Account | None) -> Request:
    return Request(request.method, request.path, request.query, request.headers, request.body, account)


class _Server(ThreadingHTTPServer):
    """The server; threads of its connections end with it."""

    daemon_threads = False
    request_queue_size = 128
    hub: Hub

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        self._open.discard(request)
        super().close_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep open."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it ended by itself

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep a mistake for whoever closes the Hub; a client that left is none."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.hub.mistakes.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _serve(self) -> None:
        hub, address = self.server.hub, urlsplit(self.path)
        path = unquote(address.path)
        with hub.lock:
            fault = meet(hub.faults, self.command, path)
        if fault and fault.kind == "drop_early":
            self._part(path)
            return
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, address.path, query, headers, self._body())
        if fault and fault.kind == "hang":
            self._part(path)
            hub.closing.wait()
            return
        if fault and fault.kind not in WORKING:
            self._send(path, _canned(fault))
            return
        with hub.lock:
            if fault and fault.kind == "meanwhile":
                fault.how["do"]()
            reply = hub.answer(request)
        self._spoil(path, reply, fault) if fault else self._send(path, reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            size = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(size)
            if len(body) < size:
                raise ConnectionResetError("the client left within its body")
            return body
        pieces = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _send(self, path: str, reply: Reply, promised: int = 0, pause_s: float = 0) -> None:
        """Send a reply, with a Content-Length that promises more than comes, and with pauses within the body."""
        self._head(path, reply, promised)
        if self.command == "HEAD":
            return
        if not pause_s:
            self.wfile.write(reply.body)
            return
        size = -(-len(reply.body) // _PIECES) or 1
        for at in range(0, len(reply.body), size):
            self.server.hub.closing.wait(pause_s / _PIECES)
            self.wfile.write(reply.body[at : at + size])

    def _head(self, path: str, reply: Reply, promised: int = 0) -> None:
        self.server.hub.requests.append(Seen(self.command, path, reply.status))
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value.encode("latin-1", "replace").decode("latin-1"))
        self.send_header("X-Request-Id", f"Root=1-{len(self.server.hub.requests):08x}")
        self.send_header("Content-Length", str(len(reply.body) + promised))
        self.end_headers()

    def _spoil(self, path: str, reply: Reply, fault: Fault) -> None:
        if fault.kind == "lost_reply":
            self._part(path)
        elif fault.kind == "reset":
            self._head(path, reply)
            self.wfile.write(b"" if self.command == "HEAD" else reply.body[: len(reply.body) // 2])
            self._reset()
        elif fault.kind == "torn":
            self._send(path, reply, promised=1000)
            self.close_connection = True
        elif fault.kind == "wrong_hash":
            wrong = as_json(misreport(json.loads(reply.body), fault.how["path"]))
            self._send(path, Reply(reply.status, wrong.body, reply.headers))
        elif fault.kind == "slow":
            self._send_slowly(path, reply, **fault.how)
        else:
            self._send(path, reply)

    def _send_slowly(self, path: str, reply: Reply, seconds: float = 1, trickle: bool = False) -> None:
        if not trickle:
            self.server.hub.closing.wait(seconds)
        self._send(path, reply, pause_s=seconds if trickle else 0)

    def _part(self, path: str) -> None:
        """End the connection without a reply."""
        self.server.hub.requests.append(Seen(self.command, path, NO_REPLY))
        self.close_connection = True

    def _reset(self) -> None:
        """End the connection with a TCP reset, which a socket sends when it may not linger."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
        self.close_connection = True


def _canned(fault: Fault) -> Reply:
    if fault.kind == "html":
        text = fault.how.get("body", "<!doctype html><title>Welcome</title><p>Please log in to the network</p>")
        return Reply(200, text.encode(), {"Content-Type": "text/html"})
    body = fault.how.get("body", {"error": f"A planned {fault.how['code']}"})
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    kind = "text/html" if data.startswith(b"<") else "application/json"
    return Reply(fault.how["code"], data, {"Content-Type": kind, **fault.how.get("headers", {})})
