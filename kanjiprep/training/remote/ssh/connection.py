"""One shared connection to a box by the system's OpenSSH, and commands over it."""

from __future__ import annotations

import hashlib
import math
import os
import random
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from kanjiprep.errors import RemoteError, UsageError, os_reason
from kanjiprep.training.remote.ssh import child
from kanjiprep.training.remote.ssh.address import Address
from kanjiprep.training.remote.ssh.refusal import KNOWN_HOSTS, MAY_PASS, Unreachable, last_line, lost, refusal, silent

_LONGEST_PAUSE_S: Final = 60.0
NAME_PATIENCE_S: Final = 300.0
"""A name that nobody knows is asked for so long: a laptop that wakes up may lack its name server for a while."""
MOST_SOCKET_BYTES: Final = 88
"""Of a path: a socket's has 107, and ssh first makes one with 17 characters more."""

_SSH_FAILED = 255
_FAR_255 = 254
_LOGIN_S = 30.0
_PROBE_S = 10.0
_OPTIONS = (
    "BatchMode=yes",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "StrictHostKeyChecking=accept-new",
    f"UserKnownHostsFile={KNOWN_HOSTS}",  # in the working folder, so that no path needs ssh's quotes
    "UpdateHostKeys=no",
    "ControlPersist=60",
    "ForwardAgent=no",
    "ForwardX11=no",
    "RequestTTY=no",
    "EscapeChar=none",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "SendEnv=-*",
    "LogLevel=ERROR",
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Box:
    """A machine that somebody can log in to.

    Attributes:
        address: Where it is.
        state: A folder of ours that keeps its host key; ssh and rsync run in it.
        connect_timeout_s: Longest silence while connecting.
    """

    address: Address
    state: Path
    connect_timeout_s: int = 15


@dataclass(frozen=True, slots=True)
class Done:
    """How a far command ended.

    Attributes:
        code: Its exit code, 128 + the number for a signal; 255 is told as 254, for 255 is ssh's own.
        out: What it wrote.
        err: The last 64 KiB that it wrote to stderr.
    """

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """What it wrote, as text without the last line's end."""
        return self.out.decode("utf-8", "replace").removesuffix("\n")


def run(box: Box, words: Sequence[str], stdin: bytes = b"", timeout_s: float = 60.0) -> Done:
    """What ``words`` do on the box, in the home of the user there.

    Args:
        box: The machine.
        words: A program and its arguments, which arrive as they are: no shell there reads them.
        stdin: What the program reads. The way for a secret: ``words`` can be seen in process lists.
        timeout_s: The longest that it may take. The far program may go on after that.

    Raises:
        UsageError: If a word cannot be sent, or the key file cannot be used.
        Unreachable: If the box is not reached, or lost in between.
        RemoteError: If it takes too long or answers too much, or ssh is not there.
    """
    line = _far_line(words)
    connect(box)
    try:
        ended = child.follow([*ssh(box), box.address.host, line], box.state, stdin, timeout_s)
    except TimeoutError:
        raise _overdue(box, timeout_s) from None
    if ended.code == _SSH_FAILED or ended.code < 0:
        raise lost(box.address)
    return Done(ended.code, ended.out, ended.err)


def connect(box: Box) -> None:
    """Have a connection that all commands share; nothing happens if it is there.

    Raises:
        UsageError: If the key file cannot be used.
        Unreachable: If the box is not reached.
        RemoteError: If it lets us in and runs nothing, or ssh is not there.
    """
    _prepare(box)
    if control(box, "check"):
        return
    # a file, not a pipe: in old versions of ssh the connection holds it open after the command is over
    with tempfile.TemporaryFile() as talk:
        code = _open(box, talk.fileno())
        talk.seek(0)
        err = talk.read(1 << 16)
    if code == _SSH_FAILED or code < 0:
        raise refusal(box.address, err, box.state)
    if code:
        what = f"lets you in, but runs no command: {last_line(err) or f'exit code {code}'}"
        raise RemoteError(what, str(box.address), "log in by hand and look")


def _open(box: Box, talk: int) -> int:
    # ProxyCommand's process is in this group and stays, so the group is ended on failure only
    words = [*ssh(box, master="auto"), box.address.host, "true"]
    null = subprocess.DEVNULL
    process = child.start(words, box.state, stdin=null, stdout=null, stderr=talk)
    try:
        return process.wait(box.connect_timeout_s + _LOGIN_S)
    except subprocess.TimeoutExpired:
        raise silent(box.address) from None
    finally:
        child.end(process)


def control(box: Box, order: str) -> bool:
    """Whether the shared connection is there and did as ``order`` says.

    Raises:
        RemoteError: If ssh is not there.
    """
    try:
        ended = child.follow([*ssh(box), "-O", order, box.address.host], box.state, timeout_s=_PROBE_S)
    except TimeoutError:
        return False
    return ended.code == 0


def again(
    action: Callable[[], T],
    *,
    patience_s: float | None = None,
    pause: Callable[[float], None] = time.sleep,
    tell: Callable[[Unreachable, float], None] = lambda _problem, _pause_s: None,
    clock: Callable[[], float] = time.monotonic,
    chance: Callable[[], float] = random.random,
) -> T:
    """What ``action`` gives, tried again while the box is out of reach for a reason that can pass.

    Args:
        action: To be done; it may be done twice.
        patience_s: How long; None is for ever.
        pause: Sleeps.
        tell: Hears of each failure, and for how long it is waited.
        clock: Seconds that only grow.
        chance: Between 0 and 1: the pauses of several that wait are not the same.

    Raises:
        Unreachable: If the reason cannot pass, or patience is at its end.
    """
    patience, pause_s = _Patience(clock(), patience_s), 1.0
    while True:
        try:
            return action()
        except Unreachable as problem:
            left_s = patience.left_s(problem, clock())
            if left_s <= 0:
                raise
            this_s = min(pause_s * (0.75 + chance() / 2), left_s)
            tell(problem, this_s)
            pause(this_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


class _Patience:
    """How long a box that is out of reach is waited for: with a name that nobody knows not as long as else."""

    def __init__(self, started: float, wished_s: float | None) -> None:
        self._end = math.inf if wished_s is None else started + wished_s
        self._nameless_since: float | None = None

    def left_s(self, problem: Unreachable, now: float) -> float:
        """Seconds that are left at ``now``; 0 or less for what cannot pass."""
        if problem.kind not in MAY_PASS:
            return 0.0
        if problem.kind != "name unknown":
            self._nameless_since = None
            return self._end - now
        if self._nameless_since is None:
            self._nameless_since = now
        return min(self._end, self._nameless_since + NAME_PATIENCE_S) - now


def ssh(box: Box, master: str = "no") -> list[str]:
    """What starts ssh with all that we set, before the host; user and port are in it.

    Args:
        box: The machine.
        master: ``auto`` makes the shared connection, ``no`` uses it if it is there.
    """
    address = box.address
    timeout = f"ConnectTimeout={box.connect_timeout_s}"
    words = [word for option in (*_OPTIONS, timeout, f"ControlMaster={master}") for word in ("-o", option)]
    words += ["-S", str(socket(box))]
    words += ["-p", str(address.port)] if address.port else []
    words += ["-l", address.user] if address.user else []
    if address.key is not None:
        words += ["-o", "IdentitiesOnly=yes", "-i", str(address.key.absolute())]
    return ["ssh", *words]


def socket(box: Box, environ: Mapping[str, str] = os.environ) -> Path:
    """The socket of the shared connection: a short path, in a folder that is only ours."""
    name = "\0".join((str(box.address), str(box.address.key), str(box.state.absolute())))
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    own = environ.get("XDG_RUNTIME_DIR", "")
    places = [Path(own, "kanjiprep-ssh")] if own.startswith("/") and Path(own).is_dir() else []
    shared = Path(f"/tmp/kanjiprep-ssh-{os.getuid()}")  # noqa: S108 (a socket needs a short path; _prepare looks whose it is)
    return next(
        (place / digest for place in places if len(os.fsencode(place / digest)) <= MOST_SOCKET_BYTES), shared / digest
    )


def _prepare(box: Box) -> None:
    _look_at_key(box.address.key)
    folder = socket(box).parent
    try:
        box.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        about = folder.lstat()
    except OSError as error:
        raise RemoteError(
            f"cannot be made: {os_reason(error)}", str(error.filename), "choose another place"
        ) from error
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise RemoteError("the folder for ssh's sockets is open to others", str(folder), "remove it")


def _look_at_key(key: Path | None) -> None:
    if key is not None and not key.is_file():
        raise UsageError("the key file is not there", str(key), "give the private key to log in with")
    if key is not None and ("%" in str(key.absolute()) or "${" in str(key.absolute())):
        raise UsageError(
            "ssh reads more into % and ${ in the path of a key file", str(key), "copy it to another place"
        )


def _far_line(words: Sequence[str]) -> str:
    """``words`` for the shell there; a signal and 255 become codes that cannot be taken for ssh's own."""
    if not words or not words[0]:
        raise UsageError("no far command was given")
    if any("\0" in word for word in words):
        raise UsageError("a far command cannot hold the character NUL")
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    return f"c=0; {quoted} || c=$?; [ $c -ne {_SSH_FAILED} ] || c={_FAR_255}; exit $c"


def _overdue(box: Box, timeout_s: float) -> RemoteError:
    """Either the command is slow or the connection: the box is asked, for nobody else knows."""
    try:
        words = [*ssh(box), box.address.host, "true"]
        answers = child.follow(words, box.state, timeout_s=box.connect_timeout_s).code == 0
    except TimeoutError:
        answers = False
    if answers:
        what = f"the command takes longer than {timeout_s:g} s"
        return RemoteError(what, str(box.address), "look what the box does")
    control(box, "exit")
    return lost(box.address)
