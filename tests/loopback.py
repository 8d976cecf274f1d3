"""A real OpenSSH server on 127.0.0.1 that looks like another machine, and ways to hurt it."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

from kanjiprep.training.remote.ssh import connection
from kanjiprep.training.remote.ssh.address import Address
from kanjiprep.training.remote.ssh.connection import Box

MARK = "KANJIPREP_LOOPBACK"
"""A variable of all far processes, by which they are found in the end."""
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
PATIENCE_S = 10.0
PATH = "/usr/local/bin:/usr/bin:/bin"


class Loopback:
    """A box at ``address``; its home is ``home``, what it was sent of the environment is in ``sent``.

    The far side sees no variable of this side's, and another HOME. It runs as the same user.
    """

    def __init__(self, folder: Path, path: str = PATH) -> None:
        self.folder = folder
        self.home = folder / "box"
        self.sent = folder / "sent"
        self.log = folder / "sshd.log"
        self.key = folder / "client_key"
        self.path = path
        self.port = _free_port()
        self.address = Address(getpass.getuser(), "127.0.0.1", self.port, self.key)
        self._listener: subprocess.Popen[bytes] | None = None
        self._sessions: list[psutil.Process] = []
        self._keys = 0

    def __enter__(self) -> Loopback:
        self.home.mkdir(parents=True)
        _make_key(self.key)
        self._write_enter()
        self.new_host_key()
        self.allow_logins()
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.thaw()
        self.stop_listening()
        self.kill_sessions()
        for process in self.far_processes():
            with suppress(psutil.Error):
                process.kill()

    def listen(self) -> None:
        """Listen at the same port as ever."""
        assert SSHD, "apt-get install openssh-server"
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._write_config()
        with self.log.open("ab") as log:
            words = [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")]
            self._listener = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log, env={"PATH": PATH})
        wait_for(self._answers)

    def stop_listening(self) -> None:
        """Refuse new connections; those that are there stay."""
        if self._listener is not None:
            self._sessions = self._known_sessions()
            self._listener.terminate()
            self._listener.wait(PATIENCE_S)
            self._listener = None

    def kill_sessions(self) -> None:
        """Every connection is lost at once; what runs at the far end goes on as it can."""
        for process in self._known_sessions():
            with suppress(psutil.Error):
                process.kill()

    def vanish(self) -> None:
        """Be gone, with every connection, until ``listen``."""
        self.stop_listening()
        self.kill_sessions()

    def freeze(self) -> None:
        """Every connection stays, and nothing comes through, as if the network were gone; nor is a new one made."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def new_host_key(self) -> None:
        """Show another host key from the next ``listen`` on."""
        self._keys += 1
        _make_key(self.folder / f"host_key_{self._keys}")

    def refuse_logins(self) -> None:
        (self.folder / "authorized_keys").write_text("")

    def allow_logins(self) -> None:
        shutil.copy(self.key.with_suffix(".pub"), self.folder / "authorized_keys")

    def logins(self) -> int:
        """How many times somebody proved who they are."""
        return len(re.findall(r"^Accepted publickey", self.log.read_text("utf-8", "replace"), re.MULTILINE))

    def far_processes(self) -> list[psutil.Process]:
        """All that was started over this server and is still there."""
        return [one for one in psutil.process_iter() if _variable(one, MARK) == str(self.folder)]

    def _known_sessions(self) -> list[psutil.Process]:
        fresh: list[psutil.Process] = []
        if self._listener is not None:
            with suppress(psutil.Error):
                fresh = psutil.Process(self._listener.pid).children(recursive=True)
        return [one for one in {*self._sessions, *fresh} if _is_sshd(one)]

    def _signal(self, number: int) -> None:
        listener = [psutil.Process(self._listener.pid)] if self._listener is not None else []
        for process in [*listener, *self._known_sessions()]:
            with suppress(psutil.Error):
                process.send_signal(number)

    def _answers(self) -> bool:
        with socket.socket() as door:
            door.settimeout(1)
            return door.connect_ex(("127.0.0.1", self.port)) == 0 and door.recv(4) == b"SSH-"

    def _write_enter(self) -> None:
        user = pwd.getpwuid(os.getuid()).pw_name
        far = {
            "HOME": self.home,
            "PATH": self.path,
            "USER": user,
            "LOGNAME": user,
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
            MARK: self.folder,
        }
        words = " ".join(shlex.quote(f"{name}={value}") for name, value in far.items())
        line = 'cd && exec /bin/sh -c "$1"'
        (self.folder / "enter").write_text(
            f"#!/bin/sh\nenv >> {shlex.quote(str(self.sent))}\n"
            f'exec env -i {words} /bin/sh -c {shlex.quote(line)} sh "$SSH_ORIGINAL_COMMAND"\n'
        )
        (self.folder / "enter").chmod(0o755)

    def _write_config(self) -> None:
        (self.folder / "sshd_config").write_text(
            f"Port {self.port}\n"
            "ListenAddress 127.0.0.1\n"
            f'HostKey "{self.folder}/host_key_{self._keys}"\n'
            f'AuthorizedKeysFile "{self.folder}/authorized_keys"\n'
            f'ForceCommand "{self.folder}/enter"\n'
            f'SetEnv "HOME={self.home}"\n'  # or the login shell reads this side's .bashrc
            "PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nAcceptEnv *\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\nUseDNS no\n"
            "KexAlgorithms curve25519-sha256\n"  # the fastest
        )


def wait_for(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.02)


def close(box: Box) -> None:
    """End the shared connection to ``box``, which else ends by itself a minute after its last command."""
    if box.state.is_dir():
        connection.control(box, "exit")


def _free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def _make_key(path: Path) -> None:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kanjiprep test", "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


def _is_sshd(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.name().startswith("sshd")
    return False


def _variable(process: psutil.Process, name: str) -> str:
    with suppress(psutil.Error):
        return str(process.environ().get(name, ""))
    return ""
