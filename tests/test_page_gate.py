from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kanjiprep.publishing.page import gate
from kanjiprep.publishing.page.gate import Gate, is_welcome

HERE = {"host": "127.0.0.1:7860"}


@pytest.mark.parametrize(
    ("path", "headers", "welcome"),
    [
        ("/", HERE, True),
        ("/", {"host": "localhost:7860"}, True),
        ("/", HERE | {"origin": "http://127.0.0.1:7860"}, True),
        ("/gradio_api/file=/tmp/x/a.png", HERE, True),
        ("/gradio_api/queue/join", HERE | {"origin": "https://evil.example"}, False),
        ("/gradio_api/queue/join", HERE | {"origin": "null"}, False),
        ("/", {"host": "evil.example:7860"}, False),
        ("/", {"host": "[broken"}, False),
        ("/", {}, False),
        ("/gradio_api/upload", HERE, False),
        ("/gradio_api/upload_progress", HERE, False),
        ("/gradio_api/proxy=https://evil.example", HERE, False),
        ("/gradio_api/file=https://evil.example/a.png", HERE, False),
        ("/file=http:/evil.example", HERE, False),
    ],
)
def test_only_a_browser_on_this_machine_is_answered(path: str, headers: dict[str, str], welcome: bool) -> None:
    assert is_welcome(path, headers, is_public=False) is welcome


@pytest.mark.parametrize(
    ("headers", "welcome"),
    [
        ({"host": "abc.gradio.live", "origin": "https://abc.gradio.live"}, True),
        ({"host": "abc.gradio.live"}, True),
        ({"host": "abc.gradio.live", "origin": "https://evil.example"}, False),
    ],
)
def test_a_shared_page_has_another_name(headers: dict[str, str], welcome: bool) -> None:
    assert is_welcome("/", headers, is_public=True) is welcome


def asked(path: str, kind: str = "http", host: bytes = b"127.0.0.1:1") -> list[Any]:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
        await send({"type": "http.response.body", "body": b"page"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    scope = {"type": kind, "path": path, "headers": [(b"Host", host)]}
    asyncio.run(Gate(app)(scope, receive, send))
    return sent


def test_every_answer_says_that_nobody_else_is_to_be_asked() -> None:
    start, body = asked("/")
    assert start["status"] == 200
    assert (b"x", b"y") in start["headers"]
    assert (b"content-security-policy", gate.POLICY) in start["headers"]
    assert body["body"] == b"page"
    assert asked("/", "lifespan")[0]["headers"] == [(b"x", b"y")]


def test_others_are_refused() -> None:
    start, body = asked("/", host=b"evil.example")
    assert (start["status"], body["body"]) == (403, b"refused")


def test_websockets_are_refused_as_requests_are() -> None:
    assert asked("/", "websocket", host=b"evil.example") == [{"type": "websocket.close", "code": 1008}]
    assert asked("/", "websocket")[1]["body"] == b"page"
