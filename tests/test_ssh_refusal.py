from __future__ import annotations

from pathlib import Path

import pytest

from kanjiprep.errors import RemoteError
from kanjiprep.training.remote.ssh.address import Address
from kanjiprep.training.remote.ssh.refusal import MAY_PASS, last_line, lost, plain, refusal, silent

ADDRESS = Address("ubuntu", "203.0.113.7", 2222)
STATE = Path("/state")

SAID = {
    "ubuntu@203.0.113.7: Permission denied (publickey,password).": "permission denied",
    "Received disconnect from 203.0.113.7 port 22:2: Too many authentication failures": "permission denied",
    "ssh: Could not resolve hostname gpu: Name or service not known": "name unknown",
    "ssh: Could not resolve hostname gpu: No address associated with hostname": "name unknown",
    "ssh: Could not resolve hostname gpu: Temporary failure in name resolution": "no network",
    "ssh: connect to host 203.0.113.7 port 22: No route to host": "no network",
    "ssh: connect to host 203.0.113.7 port 22: Network is unreachable": "no network",
    "ssh: connect to host 203.0.113.7 port 22: Connection refused": "refused",
    "ssh: connect to host 203.0.113.7 port 22: Connection timed out": "timed out",
    "Connection timed out during banner exchange": "timed out",
    "Timeout, server 203.0.113.7 not responding.": "timed out",
    "kex_exchange_identification: Connection closed by remote host": "lost",
    "kex_exchange_identification: read: Connection reset by peer": "lost",
    "Connection closed by 203.0.113.7 port 22": "lost",
    "Host key verification failed.\r\nConnection closed by UNKNOWN port 65535": "broken",
    "me@jump: Permission denied (publickey).\r\nConnection closed by UNKNOWN port 65535": "permission denied",
    "/home/me/.ssh/config: line 3: Bad configuration option: foo": "broken",
    "": "broken",
}


@pytest.mark.parametrize("said", SAID)
def test_what_ssh_says_tells_why_there_is_no_connection(said: str) -> None:
    problem = refusal(ADDRESS, said.encode(), STATE)
    assert problem.kind == SAID[said]
    assert problem.exit_code == 7
    assert problem.where == "ssh://ubuntu@203.0.113.7:2222"
    assert said.splitlines()[0:1] in ([], [problem.what.partition("(ssh: ")[2].removesuffix(")")])
    assert problem.remedy


def test_a_changed_host_key_names_the_line_and_the_danger() -> None:
    said = b"@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nOffending ED25519 key in known_hosts:3\r\n"
    problem = refusal(ADDRESS, said + b"Host key verification failed.", STATE)
    assert problem.kind == "host key changed"
    assert problem.where == "/state/known_hosts:3"
    assert "attack" in problem.what
    assert problem.kind not in MAY_PASS


def test_a_changed_host_key_of_the_whole_machine_names_that_file() -> None:
    said = b"REMOTE HOST IDENTIFICATION HAS CHANGED\nOffending RSA key in /etc/ssh/ssh_known_hosts:1\n"
    assert refusal(ADDRESS, said, STATE).where == "/etc/ssh/ssh_known_hosts:1"


def test_a_key_that_others_can_read_is_told_how_to_mend() -> None:
    said = b'Load key "k": bad permissions\nubuntu@203.0.113.7: Permission denied (publickey).'
    assert refusal(ADDRESS, said, STATE).remedy == "chmod 600 the key file"


def test_silence_and_loss_may_pass() -> None:
    assert {silent(ADDRESS).kind, lost(ADDRESS).kind} <= MAY_PASS
    assert isinstance(lost(ADDRESS), RemoteError)


def test_what_the_far_end_says_is_shown_without_its_control_characters() -> None:
    assert plain(b"\x1b[31mred\x07\r\n\xff") == "[31mred\n\n�"
    assert last_line(b"first\n  last \r\n\n") == "last"
    assert len(last_line(b"x" * 9000)) == 200
    assert last_line(b"") == ""
