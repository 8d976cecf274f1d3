"""A port of this machine that leads to a port of the box, for this machine only."""

from __future__ import annotations

import errno
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from kanjiprep.errors import UsageError, os_reason
from kanjiprep.training.remote.ssh import child, connection
from kanjiprep.training.remote.ssh.connection import Box
from kanjiprep.training.remote.ssh.refusal import refusal

_LOCAL = "127.0.0.1"
_POLL_S = 0.05
_MOST_PORT = 65535
_PATIENCE_S = 30.0
_HOLD = "cat >/dev/null"  # ends with our end of its stdin: no tunnel is left behind, even by a kill -9


@dataclass(frozen=True, slots=True)
class Tunnel:
    """An open tunnel.

    Attributes:
        port: Of this machine.
        process: Its ssh.
    """

    port: int
    process: subprocess.Popen[bytes]


@contextmanager
def tunnel(box: Box, local_port: int, remote_port: int) -> Iterator[Tunnel]:
    """A tunnel from ``local_port`` of 127.0.0.1 (0 for any) to ``remote_port`` of the box's own 127.0.0.1.

    It has a connection of its own: the shared one ends when no command uses it.

    Raises:
        UsageError: If a port is none, or the local one is taken.
        Unreachable: If the box is not reached.
        RemoteError: If ssh is not there.
    """
    if not 0 <= local_port <= _MOST_PORT or not 0 < remote_port <= _MOST_PORT:
        raise UsageError(f"a port is a number from 1 to {_MOST_PORT}")
    port = _free_port(local_port)
    connection.connect(box)  # tells what is wrong with the box better than a tunnel could
    way = f"{_LOCAL}:{port}:{_LOCAL}:{remote_port}"
    words = [*connection.ssh(box), "-S", "none", "-o", "ExitOnForwardFailure=yes", "-L", way, box.address.host, _HOLD]
    with tempfile.TemporaryFile() as talk:
        process = child.start(words, box.state, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=talk)
        try:
            if not _opens(process, port, box.connect_timeout_s + _PATIENCE_S):
                talk.seek(0)
                raise refusal(box.address, talk.read(1 << 16), box.state)
            yield Tunnel(port, process)
        finally:
            child.end(process)


def _free_port(wished: int) -> int:
    with closing(socket.socket()) as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind((_LOCAL, wished))
        except OSError as error:
            taken = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had: {os_reason(error)}"
            raise UsageError(f"port {wished} of this machine {taken}", "", "choose another") from error
        return int(place.getsockname()[1])


def _opens(process: subprocess.Popen[bytes], port: int, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while process.poll() is None and time.monotonic() < deadline:
        with closing(socket.socket()) as door:
            if door.connect_ex((_LOCAL, port)) == 0:
                return process.poll() is None
        time.sleep(_POLL_S)
    return False
