"""A headless Chromium, driven through a pipe with nothing but the standard library."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE_S: Final = 120.0
_LOCAL: Final = ("data:", "file:", "about:")
Message = dict[str, Any]


def installed() -> str | None:
    """The path of a Chromium; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass(slots=True)
class Tab:
    """A page that is open, with all that it said and asked for since.

    Attributes:
        send_to: Where commands are written.
        read_from: Where answers and events come from.
        session: Of the page in the browser.
        errors: What its console and its script complained about.
        asked: Addresses that it asked for, but for ``data:`` and its own.
    """

    send_to: int
    read_from: int
    session: str = ""
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    number: int = 0
    rest: bytes = b""
    loads: int = 0

    def call(self, method: str, **parameters: Any) -> Any:
        """The browser's answer to a command of the DevTools protocol."""
        self.number += 1
        message: Message = {"id": self.number, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.send_to, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
        raise AssertionError("unreachable")

    def open(self, address: str) -> None:
        """Go to ``address`` and wait until it is loaded."""
        before = self.loads
        self.call("Page.navigate", url=address)
        for _ in self._messages():
            if self.loads > before:
                return

    def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to in the page."""
        made = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in made, made["exceptionDetails"]
        return made["result"].get("value")

    def click(self, selector: str) -> None:
        """A real click in the middle of the first element of ``selector``."""
        self.value(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        frame = f"document.querySelector({selector!r}).getBoundingClientRect()"
        x, y = self.value(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({frame})")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """A real key press."""
        codes = {"Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key])

    def size(self, width_px: int, height_px: int, is_dark: bool = False) -> None:
        """Show the page in a window of that size, light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width_px, height=height_px, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path, is_whole: bool = False) -> None:
        """Write a PNG of what is seen, or of the whole page."""
        made = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(made["data"]))

    def print_pdf(self, path: Path) -> None:
        """Print the page."""
        path.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"]))

    def _messages(self) -> Iterator[Message]:
        end = time.monotonic() + _PATIENCE_S
        while True:
            while b"\0" in self.rest:
                one, self.rest = self.rest.split(b"\0", 1)
                message = json.loads(one)
                self._hear(message)
                yield message
            left = end - time.monotonic()
            assert left > 0, "the browser does not answer"
            if select.select([self.read_from], [], [], left)[0]:
                read = os.read(self.read_from, 1 << 20)
                assert read, "the browser is gone"
                self.rest += read

    def _hear(self, message: Message) -> None:
        method, told = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.errors.append(json.dumps(told["args"]))
        elif method == "Log.entryAdded":
            self.errors.append(told["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not told["request"]["url"].startswith(_LOCAL):
            self.asked.append(told["request"]["url"])


@contextmanager
def tab(browser: str, folder: Path) -> Iterator[Tab]:
    """An empty page of a ``browser`` that keeps its files in ``folder``, and ends with the block."""
    to_browser, from_us = os.pipe()
    to_us, from_browser = os.pipe()
    flags = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
        f"--user-data-dir={folder}",
    ]  # fmt: skip
    script = f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@"'
    started = subprocess.Popen(
        ["/bin/bash", "-c", script, "browser", browser, *flags],
        pass_fds=(to_browser, from_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        opened = Tab(from_us, to_us)
        target = opened.call("Target.createTarget", url="about:blank")["targetId"]
        opened.session = opened.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            opened.call(f"{domain}.enable")
        yield opened
    finally:
        os.close(from_us)
        started.kill()
        started.wait()
        os.close(to_us)
