"""A real OpenSSH server on loopback as the box: commands, files, a tunnel, and everything that goes wrong there."""

from __future__ import annotations

import hashlib
import http.client
import random
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.progress import silent
from kanjiprep.training.remote.ssh import child, connection, transfer
from kanjiprep.training.remote.ssh.address import Address
from kanjiprep.training.remote.ssh.connection import Box
from kanjiprep.training.remote.ssh.refusal import Unreachable
from kanjiprep.training.remote.ssh.tunnel import tunnel
from tests.loopback import PATH, SSHD, Loopback, close, wait_for

pytestmark = pytest.mark.skipif(not SSHD, reason="there is no sshd: apt-get install openssh-server")

TOKEN = "hf_KanjiThatNobodyMaySee"  # noqa: S105
AWFUL = [
    "two words",
    "",
    "it's",
    '"double"',
    "-rf",
    "--",
    "$HOME `id` $(id)",
    "back\\slash",
    "line\nbreak",
    "tab\t",
    "漢字 é",
    "*",
    "~",
    ";&|<>!#",
    "a=b",
    "%s",
    "'\"'\"'",
]
"""Words that a shell or ssh would read as something else."""


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Loopback]:
    with Loopback(tmp_path / "far end's") as loopback:
        yield loopback


@pytest.fixture
def box(far: Loopback, tmp_path: Path) -> Iterator[Box]:
    place = Box(far.address, tmp_path / "our state", connect_timeout_s=5)
    yield place
    close(place)


def start_anew(far: Loopback) -> None:
    far.vanish()
    far.listen()


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311


def fake(folder: Path, name: str, body: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(body)
    (folder / name).chmod(0o755)


def refused(action: Callable[[], object]) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        action()
    assert "\n" not in str(caught.value)
    return caught.value


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# commands


def test_words_arrive_as_they_are(box: Box) -> None:
    done = connection.run(box, ["printf", "%s\\0", *AWFUL])
    assert done.out.decode() == "".join(f"{word}\0" for word in AWFUL)
    assert (done.code, done.err) == (0, b"")


def test_a_program_s_name_is_no_assignment_and_no_word_of_a_shell(box: Box) -> None:
    assert [connection.run(box, [name]).code for name in ("A=b", "if", "-x", "!", "two words")] == [127] * 5


def test_the_far_side_is_another_machine(far: Loopback, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    far_environment = connection.run(box, ["env"]).text
    assert f"HOME={far.home}" in far_environment
    assert connection.run(box, ["pwd"]).text == str(far.home)
    assert TOKEN not in far_environment + far.sent.read_text()


def test_a_megabyte_goes_there_and_back(box: Box) -> None:
    data = noise(1 << 20)
    assert connection.run(box, ["cat"], data).out == data


def test_a_program_that_reads_nothing_is_no_failure(box: Box) -> None:
    assert connection.run(box, ["true"], b"x" * (1 << 20)).code == 0


def test_a_program_that_stops_reading_is_no_failure(tmp_path: Path) -> None:
    ended = child.follow(["sh", "-c", "exec <&-; sleep 0.1; echo done"], tmp_path, b"x" * (1 << 20))
    assert (ended.code, ended.out) == (0, b"done\n")


def test_an_answer_without_end_is_cut_off(box: Box) -> None:
    with pytest.raises(RemoteError, match="more than 16 MiB") as caught:
        connection.run(box, ["cat", "/dev/zero"])
    assert not isinstance(caught.value, Unreachable)


def test_only_the_end_of_long_talk_is_kept(box: Box) -> None:
    done = connection.run(box, ["sh", "-c", "seq 100000 >&2"])
    assert len(done.err) == 64 << 10
    assert done.err.endswith(b"100000\n")


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("exit 255", 254), ("kill -9 $$", 137), ("nope", 127)]
)
def test_an_exit_code_comes_back(box: Box, script: str, code: int) -> None:
    assert connection.run(box, ["sh", "-c", script]).code == code


def test_ten_commands_are_one_login(far: Loopback, box: Box) -> None:
    for number in range(10):
        assert connection.run(box, ["echo", str(number)]).text == str(number)
    assert far.logins() == 1


def test_a_connection_that_was_ended_is_made_again(far: Loopback, box: Box) -> None:
    connection.run(box, ["true"])
    close(box)
    assert not connection.socket(box).exists()
    connection.run(box, ["true"])
    assert far.logins() == 2


def test_what_is_said_on_stdin_is_in_no_list_of_processes(far: Loopback, box: Box) -> None:
    script = "umask 077; cat > token; touch there; while [ -e there ]; do sleep 0.05; done; cat token"
    outs: list[bytes] = []
    worker = threading.Thread(
        target=lambda: outs.append(connection.run(box, ["sh", "-c", script], TOKEN.encode()).out)
    )
    worker.start()
    wait_for((far.home / "there").exists)
    lines = b""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines += place.read_bytes()
    (far.home / "there").unlink()
    worker.join()
    assert outs == [TOKEN.encode()]
    assert b"umask 077; cat > token" in lines
    assert TOKEN.encode() not in lines
    assert (far.home / "token").stat().st_mode & 0o777 == 0o600
    assert TOKEN not in far.log.read_text() + far.sent.read_text()


# what goes wrong


def test_a_command_that_takes_too_long_is_no_lost_box(box: Box) -> None:
    started = time.monotonic()
    with pytest.raises(RemoteError, match="takes longer than 0.3 s") as caught:
        connection.run(box, ["sleep", "60"], timeout_s=0.3)
    assert not isinstance(caught.value, Unreachable)
    assert time.monotonic() - started < 5
    assert not [one for one in psutil.Process().children() if one.name() == "ssh" and one.status() != "zombie"]
    assert connection.run(box, ["true"]).code == 0


def test_a_connection_through_which_nothing_comes_is_lost(far: Loopback, tmp_path: Path) -> None:
    box = Box(far.address, tmp_path / "state", connect_timeout_s=1)
    connection.run(box, ["true"])
    far.freeze()
    assert refused(lambda: connection.run(box, ["true"], timeout_s=0.3)).kind == "lost"
    assert refused(lambda: connection.run(box, ["true"], timeout_s=0.3)).kind == "timed out"
    far.thaw()
    assert connection.run(box, ["echo", "back"]).text == "back"
    close(box)


def test_a_host_key_is_accepted_once_and_another_never(far: Loopback, box: Box) -> None:
    connection.run(box, ["true"])
    far.new_host_key()
    start_anew(far)
    pauses: list[float] = []
    problem = refused(lambda: connection.again(lambda: connection.run(box, ["true"]), pause=pauses.append))
    assert problem.kind == "host key changed"
    assert problem.where == f"{box.state / 'known_hosts'}:1"
    assert "attack" in problem.what
    assert pauses == []


def test_a_known_host_key_is_kept_in_our_folder_and_nowhere_else(far: Loopback, box: Box, tmp_path: Path) -> None:
    connection.run(box, ["true"])
    transfer.send(box, far.key, "copy", silent)
    assert list(tmp_path.rglob("known_hosts")) == [box.state / "known_hosts"]
    assert box.state.stat().st_mode & 0o777 == 0o700


def test_a_login_that_is_refused_is_not_tried_again(far: Loopback, box: Box) -> None:
    far.refuse_logins()
    pauses: list[float] = []
    problem = refused(lambda: connection.again(lambda: connection.run(box, ["true"]), pause=pauses.append))
    assert problem.kind == "permission denied"
    assert "(ssh: " in problem.what
    assert pauses == []


def test_a_box_that_is_down_refuses(far: Loopback, box: Box) -> None:
    far.stop_listening()
    assert refused(lambda: connection.run(box, ["true"])).kind == "refused"


def test_a_port_that_says_nothing_is_not_waited_for(far: Loopback, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        address = Address("me", "127.0.0.1", mute.getsockname()[1], far.key)
        box = Box(address, tmp_path / "state", connect_timeout_s=1)
        assert refused(lambda: connection.run(box, ["true"])).kind == "timed out"


def test_an_ssh_that_hangs_is_ended(far: Loopback, box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path / "bin", "ssh", '#!/bin/sh\ncase "$*" in *" -O "*) exit 255;; esac\nexec sleep 60\n')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{PATH}")
    monkeypatch.setattr(connection, "_LOGIN_S", 0.2)
    problem = refused(lambda: connection.run(Box(far.address, box.state, connect_timeout_s=0), ["true"]))
    assert problem.kind == "timed out"


def test_a_master_that_hangs_is_no_connection(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path / "bin", "ssh", "#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{PATH}")
    monkeypatch.setattr(connection, "_PROBE_S", 0.2)
    box.state.mkdir()
    assert not connection.control(box, "check")


def test_a_connection_that_is_lost_in_a_command_is_made_again(far: Loopback, box: Box) -> None:
    told: list[str] = []
    ran: list[int] = []

    def work() -> str:
        ran.append(1)
        if len(ran) == 1:
            threading.Timer(0.3, far.vanish).start()
            return connection.run(box, ["sh", "-c", "echo Permission denied >&2; sleep 60"]).text
        return connection.run(box, ["echo", "back"]).text

    def pause(_pause_s: float) -> None:
        if len(told) == 3:
            far.listen()

    text = connection.again(work, pause=pause, tell=lambda problem, _pause_s: told.append(problem.kind))
    assert text == "back"
    assert told == ["lost", "refused", "refused"]


def test_a_login_that_runs_nothing_is_told(far: Loopback, box: Box) -> None:
    fake(far.folder, "enter", "#!/bin/sh\necho This account is not available. >&2\nexit 1\n")
    with pytest.raises(RemoteError, match=r"runs no command: This account is not available") as caught:
        connection.run(box, ["true"])
    assert not isinstance(caught.value, Unreachable)


def test_a_machine_without_ssh_is_told(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path / "nothing"))
        with pytest.raises(RemoteError, match="ssh was not found on this machine; install openssh-client"):
            connection.run(box, ["true"])
        fake(tmp_path / "nothing", "ssh", "no program")
        with pytest.raises(RemoteError, match="ssh cannot be started: exec format error"):
            connection.run(box, ["true"])


def test_a_state_that_cannot_be_made_is_told(far: Loopback, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RemoteError, match=r"file/state: cannot be made: not a directory"):
        connection.run(Box(far.address, tmp_path / "file" / "state"), ["true"])


def test_a_socket_folder_that_is_open_to_others_is_refused(
    far: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="kp-") as runtime:  # a short path, as a socket needs
        place = Path(runtime, "kanjiprep-ssh")
        place.mkdir()
        place.chmod(0o755)
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        with pytest.raises(RemoteError, match="open to others"):
            connection.run(Box(far.address, tmp_path / "state"), ["true"])


def test_a_process_that_hears_no_request_to_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_GRACE_S", 0.2)
    with pytest.raises(TimeoutError):
        child.follow(
            ["sh", "-c", "trap '' TERM; echo; exec >&- 2>&-; while :; do sleep 0.1; done"], tmp_path, timeout_s=0.3
        )


# files


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "a source's"
    for number, name in enumerate(
        ("亜_kanji_04e9c.png", "in side/-x", "in side/it's $HOME *.txt", "line\nbreak", "empty")
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise(number * 50_000) if name != "empty" else b"")
    return folder


@pytest.mark.parametrize("target", ["dataset", "two words/it's 漢 [x]*?", "-x"])
def test_a_folder_goes_there_and_back(far: Loopback, box: Box, source: Path, tmp_path: Path, target: str) -> None:
    told: list[tuple[str, int, int | None]] = []
    transfer.send(box, source, target, lambda *what: told.append(what))
    assert tree(far.home / target) == tree(source)
    transfer.fetch(box, target, tmp_path / "back", silent)
    assert tree(tmp_path / "back") == tree(source)
    assert (told[0], told[-1]) == (("send", 0, 100), ("send", 100, 100))
    assert [done for _, done, _ in told] == sorted({done for _, done, _ in told} | {100}) + [100] * (
        len(told) - len({done for _, done, _ in told})
    )
    names = list(tree(source))
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in tree(source).items()}
    assert transfer.hashes(box, target, [*names, "gone"]) == digests
    assert far.logins() == 1


def test_a_file_goes_there_as_a_file(far: Loopback, box: Box, source: Path) -> None:
    transfer.send(box, source / "line\nbreak", "new folder/wheel.whl", silent)
    assert (far.home / "new folder/wheel.whl").read_bytes() == (source / "line\nbreak").read_bytes()


def test_links_are_followed_there_and_stay_there(far: Loopback, box: Box, source: Path, tmp_path: Path) -> None:
    (source / "link").symlink_to("亜_kanji_04e9c.png")
    transfer.send(box, source, "there", silent)
    assert not (far.home / "there/link").is_symlink()
    (far.home / "there/out").symlink_to("/etc")
    transfer.fetch(box, "there", tmp_path / "back", silent)
    assert tree(tmp_path / "back") == tree(source)


def test_what_is_left_out_stays_there(far: Loopback, box: Box, tmp_path: Path) -> None:
    for name in ("checkpoint-1/a.bin", "log/events.jsonl", "log/b.tmp"):
        (far.home / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (far.home / "run" / name).write_text(name)
    transfer.fetch(box, "run", tmp_path / "back", silent, exclude=("checkpoint-*", "*.tmp"))
    assert sorted(tree(tmp_path / "back")) == ["log/events.jsonl"]


def test_what_is_left_out_stays_here_and_what_is_gone_here_stays_there(far: Loopback, box: Box, source: Path) -> None:
    transfer.send(box, source, "there", silent, exclude=("in side",))
    assert "in side/-x" not in tree(far.home / "there")
    (source / "empty").unlink()
    transfer.send(box, source, "there", silent)
    assert "empty" in tree(far.home / "there")


def test_no_path_is_the_home_there_and_never_the_whole_disk(
    far: Loopback, box: Box, source: Path, tmp_path: Path
) -> None:
    transfer.send(box, source, "", silent)
    assert tree(far.home) == tree(source)
    transfer.fetch(box, "", tmp_path / "back", silent)
    assert tree(tmp_path / "back") == tree(source)


def test_a_file_that_was_cut_off_goes_on_where_it_was(far: Loopback, box: Box, tmp_path: Path) -> None:
    data = noise(64 << 20)
    (far.home / "run").mkdir()
    (far.home / "run/adapter").write_bytes(data)
    target = tmp_path / "back"

    def hurt() -> None:
        wait_for(lambda: any(path.stat().st_size > 1 << 20 for path in target.glob(".adapter.*")))
        far.kill_sessions()

    worker = threading.Thread(target=hurt)
    worker.start()
    assert refused(lambda: transfer.fetch(box, "run", target, silent)).kind == "lost"
    worker.join()
    assert list(tree(target)) == [f"{transfer.PARTIAL}/adapter"]
    kept = (target / transfer.PARTIAL / "adapter").read_bytes()
    assert kept
    assert data.startswith(kept)
    transfer.fetch(box, "run", target, silent)
    assert tree(target) == {"adapter": data}
    assert not (target / transfer.PARTIAL).exists()


def test_a_far_side_without_rsync_is_told(tmp_path: Path) -> None:
    for name in ("sh", "env", "true", "mkdir"):
        path = shutil.which(name)
        assert path
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(path)
    with Loopback(tmp_path / "far", path=f"{tmp_path}/bin") as far:
        box = Box(far.address, tmp_path / "state")
        with pytest.raises(RemoteError, match=r"no rsync on the box; install rsync there") as caught:
            transfer.send(box, far.key, "x", silent)
        assert not isinstance(caught.value, Unreachable)
        with pytest.raises(RemoteError, match=r"cannot be hashed on the box: .*not found"):
            transfer.hashes(box, ".", ["x"])
        close(box)


def test_a_login_shell_that_greets_is_told(far: Loopback, box: Box) -> None:
    fake(
        far.folder,
        "enter",
        (far.folder / "enter").read_text().replace("exec env", "echo Welcome to this box; exec env"),
    )
    with pytest.raises(RemoteError, match="perhaps its login shell greets") as caught:
        transfer.send(box, far.key, "x", silent)
    assert not isinstance(caught.value, Unreachable)


FAULTS = {
    "send": ('rsync: [receiver] write failed on "x": No space left on device (28)', 11, "disk of the box is full"),
    "fetch": (
        'rsync: [receiver] write failed on "x": No space left on device (28)',
        11,
        "disk of this machine is full",
    ),
}


@pytest.mark.parametrize("stage", FAULTS)
def test_a_full_disk_is_told_with_its_side(
    far: Loopback, box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    said, code, what = FAULTS[stage]
    fake(tmp_path / "bin", "rsync", f"#!/bin/sh\necho '{said}' >&2\nexit {code}\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{PATH}")
    with pytest.raises(RemoteError, match=what) as caught:
        if stage == "send":
            transfer.send(box, far.key, "x", silent)
        else:
            transfer.fetch(box, ".", tmp_path / "back", silent)
    assert not isinstance(caught.value, Unreachable)


@pytest.mark.parametrize("code", [0, 24])
def test_a_file_that_vanishes_meanwhile_is_no_failure(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    fake(tmp_path / "bin", "rsync", f"#!/bin/sh\nexit {code}\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{PATH}")
    transfer.fetch(box, ".", tmp_path / "back", silent)


@pytest.mark.parametrize("code", [10, 12, 30, 35, 255])
def test_an_rsync_that_hears_nothing_more_has_lost_the_box(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    said = "rsync: [sender] write error: Broken pipe (32)"
    fake(tmp_path / "bin", "rsync", f"#!/bin/sh\necho '{said}' >&2\nexit {code}\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{PATH}")
    assert refused(lambda: transfer.fetch(box, ".", tmp_path / "back", silent)).kind == "lost"


def test_a_machine_without_rsync_is_told(
    far: Loopback, box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = shutil.which("ssh")
    assert ssh
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").symlink_to(ssh)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path / "bin"))
        with pytest.raises(RemoteError, match="rsync was not found on this machine; install rsync"):
            transfer.fetch(box, ".", tmp_path / "back", silent)


def test_what_cannot_be_sent_or_fetched_is_told(far: Loopback, box: Box, source: Path, tmp_path: Path) -> None:
    (far.home / "file").touch()
    with pytest.raises(RemoteError, match=r"file/in: cannot be made on the box: .*(Not a directory|File exists)"):
        transfer.send(box, source, "file/in", silent)
    with pytest.raises(RemoteError, match=r"not everything could be fetched: .*No such file"):
        transfer.fetch(box, "nowhere", tmp_path / "back", silent)
    with pytest.raises(RemoteError, match=r"nowhere: cannot be hashed on the box"):
        transfer.hashes(box, "nowhere", ["x"])
    (tmp_path / "taken").touch()
    with pytest.raises(RemoteError, match=r"taken: cannot be made: file exists"):
        transfer.fetch(box, ".", tmp_path / "taken", silent)
    (source / "dangling").symlink_to("nowhere")
    with pytest.raises(RemoteError, match=r"not everything could be sent: "):
        transfer.send(box, source, "there", silent)


def test_paths_that_cannot_be_are_refused(box: Box, source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not there"):
        transfer.send(box, tmp_path / "nowhere", "x", silent)
    with pytest.raises(UsageError, match="NUL"):
        transfer.fetch(box, "a\0b", tmp_path / "back", silent)
    with pytest.raises(UsageError, match="NUL"):
        transfer.hashes(box, ".", ["a\0b"])
    assert transfer.hashes(box, "nowhere", []) == {}


# a tunnel


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write("漢".encode())

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def web() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        worker = threading.Thread(target=server.serve_forever, args=(0.02,))
        worker.start()
        yield server.server_port
        server.shutdown()
        worker.join()


def test_a_tunnel_leads_to_the_box_and_is_closed_afterwards(far: Loopback, box: Box, web: int) -> None:
    with tunnel(box, 0, web) as way:
        page = http.client.HTTPConnection("127.0.0.1", way.port, timeout=5)
        page.request("GET", "/")
        assert page.getresponse().read().decode() == "漢"
        page.close()
        doors = psutil.Process(way.process.pid).net_connections()
        assert {one.laddr.ip for one in doors if one.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
        assert way.process.poll() is None
    wait_for(lambda: way.process.poll() is not None)
    with socket.socket() as door:
        assert door.connect_ex(("127.0.0.1", way.port)) != 0


def test_a_tunnel_ends_with_its_connection(far: Loopback, box: Box, web: int) -> None:
    with tunnel(box, 0, web) as way:
        far.kill_sessions()
        wait_for(lambda: way.process.poll() is not None)


def test_a_tunnel_that_cannot_be_is_told(far: Loopback, box: Box, web: int) -> None:
    with (
        pytest.raises(UsageError, match=f"port {web} of this machine is taken; choose another"),
        tunnel(box, web, web),
    ):
        pass
    for wrong in (-1, 70_000):
        with pytest.raises(UsageError, match="a port is a number"), tunnel(box, wrong, web):
            pass
    connection.run(box, ["true"])
    far.refuse_logins()
    with pytest.raises(Unreachable, match="does not let you in"), tunnel(box, 0, web):
        pass
