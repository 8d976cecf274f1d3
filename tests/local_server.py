"""A server of a test's own, on a port of this machine, that is open while it is a context."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Self


class LocalServer:
    """Somebody else's service, played in a thread; a mistake of its own is raised when it closes.

    Attributes:
        url: Its address.
        mistakes: What went wrong in the playing, and not as planned.
        closing: Set when it closes, for whoever waits in a planned pause.
    """

    def __init__(self, server: ThreadingHTTPServer, name: str) -> None:
        self._listener = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.01,), name=name)
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.mistakes: list[BaseException] = []
        self.lock = threading.RLock()
        self.closing = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._listener.shutdown()
        self._thread.join()
        self.hang_up()
        self._listener.server_close()
        if self.mistakes and error is None:
            raise self.mistakes[0]

    def hang_up(self) -> None:
        """End the connections that clients keep open, where they can."""
