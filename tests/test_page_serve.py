from __future__ import annotations

import importlib.util
import signal
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.publishing.page import layout, serve
from kanjiprep.publishing.page.serve import Serving
from tests.test_page_sitting import OFFER, nothing, save
from tests.test_page_studio import FakePainter


def test_the_next_free_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind((serve.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert serve.free_port(port) > port


def test_no_port_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_PORTS", 1)
    with socket.socket() as taken:
        taken.bind((serve.HOST, 0))
        taken.listen()
        with pytest.raises(UsageError, match="no port from"):
            serve.free_port(taken.getsockname()[1])


def test_nobody_is_told_and_no_setting_of_gradio_is_heeded(tmp_path: Path) -> None:
    environ = {"GRADIO_SHARE": "true", "GRADIO_SERVER_NAME": "0.0.0.0", "NO_PROXY": "a.example", "HOME": "/x"}  # noqa: S104
    serve.settle(environ, tmp_path)
    assert environ == {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(tmp_path),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HOME": "/x",
        "NO_PROXY": "a.example,127.0.0.1,localhost",
        "no_proxy": "a.example,127.0.0.1,localhost",
    }


def test_its_folder_goes_with_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve.own_folder() as folder:
        (folder / "a.png").write_bytes(b"x")
    assert not folder.exists()
    monkeypatch.setattr(serve.tempfile, "mkdtemp", _full)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="no temporary folder can be made: no space left"), serve.own_folder():
        pass


def _full(**_: object) -> str:
    raise OSError(28, "No space left on device")


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    serve.refuse_without_extra()
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gradio" else find(name))
    with pytest.raises(UsageError, match=r"^the page needs Gradio; pip install 'kanjiprep\[app\]'$"):
        serve.refuse_without_extra()


class FakePage:
    """Is served by nobody."""

    def __init__(self, public: str | None = None, fails: bool = False) -> None:
        self.public = public
        self.fails = fails
        self.launched: dict[str, Any] = {}
        self.is_closed = False

    def launch(self, **how: Any) -> tuple[object, str, str | None]:
        if self.fails:
            raise OSError("Cannot find empty port")
        self.launched = how
        return None, f"http://127.0.0.1:{how['server_port']}/", self.public

    def close(self, verbose: bool) -> None:
        self.is_closed = True


def served(page: FakePage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **more: Any) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(layout, "build", lambda *_: page)
    monkeypatch.setattr(layout, "theme", SimpleNamespace)
    monkeypatch.setattr(serve, "free_port", lambda port: port + 1)
    serving = Serving(OFFER, FakePainter().opened, nothing, save, 7860, **more)

    def say(line: str) -> None:
        said.append(line)
        if line == "Ctrl-C ends it":
            signal.raise_signal(signal.SIGINT)

    serve.serve(serving, tmp_path, say)
    return said


def test_it_says_where_it_is_and_ends_with_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page, before = FakePage(), signal.getsignal(signal.SIGINT)
    opened: list[str] = []
    said = served(page, monkeypatch, tmp_path, opened=opened.append)
    assert said == [
        "port 7860 is taken, so it is 7861",
        "the page: http://127.0.0.1:7861/",
        "Ctrl-C ends it",
        "the page is closed; pictures that were not downloaded are gone",
    ]
    assert opened == ["http://127.0.0.1:7861/"]
    assert page.is_closed
    assert (page.launched["server_name"], page.launched["share"]) == ("127.0.0.1", False)
    assert page.launched["allowed_paths"] == []
    assert signal.getsignal(signal.SIGINT) == before


def test_a_shared_page_is_announced_loudly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = served(FakePage("https://abc.gradio.live"), monkeypatch, tmp_path, share=True)
    assert said[0].startswith("PUBLIC: with --share anybody")
    assert "PUBLIC: https://abc.gradio.live" in said


def test_a_page_that_cannot_be_shared_or_served_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = FakePage()
    with pytest.raises(UsageError, match="no public link"):
        served(page, monkeypatch, tmp_path, share=True)
    assert page.is_closed
    with pytest.raises(UsageError, match="cannot be served at port 7861"):
        served(FakePage(fails=True), monkeypatch, tmp_path)


def test_a_second_interrupt_does_not_wait() -> None:
    ended = threading.Event()
    with serve._until(ended):
        signal.raise_signal(signal.SIGTERM)
        assert ended.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
