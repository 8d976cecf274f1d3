"""Prices from a server on loopback that speaks as Lambda's does, and fails in every way that it may."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kanjiprep.training import prices
from kanjiprep.training.prices import NoPrices, Prices

KEY = "secret_kanji_0123456789"
ECHO = 0
"""A status line that holds what the server was sent."""
NOW = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)


def instance(name: str, cents: int, gpus: int, *regions: str) -> dict[str, Any]:
    return {
        "instance_type": {
            "name": name,
            "description": "1x A100 (40 GB SXM4)",
            "gpu_description": "A100 (40 GB SXM4)",
            "price_cents_per_hour": cents,
            "specs": {"vcpus": 30, "memory_gib": 220, "storage_gib": 512, "gpus": gpus},
            "architecture": "x86_64",
        },
        "regions_with_capacity_available": [{"name": region, "description": "somewhere"} for region in regions],
    }


def answer(data: object) -> bytes:
    return json.dumps({"data": data}).encode()


GOOD = answer(
    {
        "gpu_1x_a100_sxm4": instance("gpu_1x_a100_sxm4", 199, 1, "us-east-1", "us-west-2"),
        "gpu_8x_h100_sxm5": instance("gpu_8x_h100_sxm5", 3192, 8),
    }
)


@dataclass
class Script:
    """What the server answers, the last for ever, and what it was asked."""

    replies: list[tuple[int, dict[str, str], bytes]]
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    address: str = ""
    piece: int = 1 << 30

    def next(self) -> tuple[int, dict[str, str], bytes]:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


class Server(ThreadingHTTPServer):
    script: Script


class Lambda(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.script.asked.append((self.path, dict(self.headers)))
        status, headers, body = self.server.script.next()
        if status == ECHO:
            self.wfile.write(f"HTTP/1.1 {self.headers['Authorization']} lol\r\n\r\n".encode())
            return
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            for start in range(0, len(body), self.server.script.piece):
                self.wfile.write(body[start : start + self.server.script.piece])
                time.sleep(0.05 if self.server.script.piece == 1 else 0)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def script() -> Iterator[Script]:
    yield from serve()


@pytest.fixture
def elsewhere() -> Iterator[Script]:
    yield from serve()


def serve() -> Iterator[Script]:
    script = Script([(200, {}, GOOD)])
    with Server(("127.0.0.1", 0), Lambda) as http:
        http.script = script
        script.address = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield script
        http.shutdown()
        thread.join()


def ask(script: Script, key: str = KEY) -> tuple[Prices | NoPrices, list[float]]:
    pauses: list[float] = []
    return prices.fetch(key, script.address, timeout_s=5, pause=pauses.append, now=lambda: NOW), pauses


def refused(script: Script, *replies: tuple[int, dict[str, str], bytes]) -> tuple[str, list[float]]:
    script.replies = list(replies)
    said, pauses = ask(script)
    assert isinstance(said, NoPrices)
    assert KEY not in repr(said)
    return said.reason, pauses


def test_prices_and_places_are_read_in_one_question(script: Script) -> None:
    read, pauses = ask(script)
    assert isinstance(read, Prices)
    assert read.read_at == "2026-11-25T15:00:00+00:00"
    cheap, big = read.by_name["gpu_1x_a100_sxm4"], read.by_name["gpu_8x_h100_sxm5"]
    assert (cheap.usd_per_hour, cheap.regions) == (1.99, ("us-east-1", "us-west-2"))
    assert (big.usd_per_hour, big.regions) == (31.92, ())
    assert (len(script.asked), pauses) == (1, [])


def test_a_server_that_sends_the_key_back_is_not_repeated(script: Script) -> None:
    reason, _ = refused(script, (ECHO, {}, b""))
    assert reason == "Lambda could not be reached: its answer is no HTTP (BadStatusLine)"


def test_an_answer_that_drips_is_not_waited_for(script: Script) -> None:
    script.piece = 1
    said = prices.fetch(KEY, script.address, timeout_s=0.3, pause=lambda _: None, now=lambda: NOW)
    assert said == NoPrices("Lambda's answer takes longer than 0.3 s")


def test_the_question_is_lambdas(script: Script) -> None:
    ask(script)
    path, headers = script.asked[0]
    assert path == "/api/v1/instance-types"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["User-Agent"].startswith("kanjiprep/")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_key_does_not_follow_a_redirect(script: Script, elsewhere: Script, status: int) -> None:
    reason, pauses = refused(script, (status, {"Location": f"{elsewhere.address}/api/v1/instance-types"}, b""))
    assert reason == f"Lambda's server redirects (HTTP {status}), and a key does not follow"
    assert (elsewhere.asked, pauses) == ([], [])


def test_a_key_does_not_pass_a_proxy(script: Script, elsewhere: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", elsewhere.address)
    assert isinstance(ask(script)[0], Prices)
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (
            401,
            b'{"error": {"code": "global/invalid-api-key", "message": "no key secret_kanji_0123456789"}}',
            "Lambda does not know the API key (HTTP 401, global/invalid-api-key)",
        ),
        (403, b"error code: 1010", "Lambda forbids it (HTTP 403)"),
        (404, b'{"error": {"code": "secret_kanji_0123456789"}}', "Lambda refuses (HTTP 404)"),
        (400, b'{"error": ["x"]}', "Lambda refuses (HTTP 400)"),
        (400, b"[" * 100_000, "Lambda refuses (HTTP 400)"),
    ],
)
def test_a_refusal_is_told_without_what_it_repeats(script: Script, status: int, body: bytes, says: str) -> None:
    reason, pauses = refused(script, (status, {}, body))
    assert (reason, pauses, len(script.asked)) == (says, [], 1)


BUSY: tuple[int, dict[str, str], bytes] = (429, {}, b"")


def test_a_busy_server_is_asked_again_a_second_apart(script: Script) -> None:
    script.replies = [BUSY, (503, {}, b""), (200, {}, GOOD)]
    read, pauses = ask(script)
    assert isinstance(read, Prices)
    assert (pauses, len(script.asked)) == ([1.0, 2.0], 3)


def test_a_server_that_stays_busy_is_left_alone(script: Script) -> None:
    reason, pauses = refused(script, (500, {}, b"<html>"))
    assert (reason, pauses, len(script.asked)) == ("Lambda is busy or broken (HTTP 500)", [1.0, 2.0], 3)


@pytest.mark.parametrize(
    ("wish", "paused"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("Wed, 25 Nov 2026 15:00:05 GMT", 5.0),
        ("Wed, 25 Nov 2026 14:00:00 GMT", 1.0),
        ("soon", 1.0),
    ],
)
def test_the_servers_wish_to_wait_is_heard(script: Script, wish: str, paused: float) -> None:
    script.replies = [(429, {"Retry-After": wish}, b""), (200, {}, GOOD)]
    read, pauses = ask(script)
    assert isinstance(read, Prices)
    assert pauses == [paused]


def test_a_long_wish_is_no_reason_to_hang(script: Script) -> None:
    reason, pauses = refused(script, (429, {"Retry-After": "3600"}, b""))
    assert (reason, pauses) == ("Lambda is busy or broken (HTTP 429)", [])


@pytest.mark.parametrize(
    "body",
    [
        b"<!doctype html>",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b'{"data": []}',
        answer({"a": {}}),
        answer({"a": instance("a", 0, 1)}),
        answer({"a": instance("a", -5, 1)}),
        answer({"a": {**instance("a", 1, 1), "regions_with_capacity_available": [1]}}),
        b'{"data": {"a": {"instance_type": {"price_cents_per_hour": Infinity}}}}',
    ],
    ids=range(10),
)
def test_an_answer_of_another_shape_is_told(script: Script, body: bytes) -> None:
    reason, _ = refused(script, (200, {}, body))
    assert reason == "Lambda's answer has another shape than its documentation says"


def test_what_is_new_in_an_answer_does_no_harm(script: Script) -> None:
    script.replies = [(200, {}, answer({"a": {**instance("a", 1, 1), "new": {}}}))]
    assert isinstance(ask(script)[0], Prices)


def test_a_flood_is_cut_off(script: Script) -> None:
    assert refused(script, (200, {}, b" " * (5 << 20)))[0] == "Lambda sent more than 4 MiB"


def test_an_answer_that_stops_early_is_asked_for_again(script: Script) -> None:
    reason, pauses = refused(script, (200, {"Content-Length": "99999"}, GOOD))
    assert reason.startswith("Lambda's answer stopped ")
    assert pauses == [1.0, 2.0]


def test_a_server_that_is_not_there_is_told() -> None:
    said, pauses = ask(Script([], address="http://127.0.0.1:9"))
    assert isinstance(said, NoPrices)
    assert "refused" in said.reason
    assert pauses == [1.0, 2.0]


def test_a_server_that_says_nothing_is_not_waited_for(script: Script) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        said = prices.fetch(KEY, address, timeout_s=0.05, pause=lambda _: None)
    assert isinstance(said, NoPrices)
    assert "timed out" in said.reason


def test_the_key_is_in_no_log(script: Script, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        ask(script)
        refused(script, (401, {}, b""))
    assert KEY not in caplog.text + "".join(capfd.readouterr())
