from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training.remote.ssh import child, connection
from kanjiprep.training.remote.ssh.address import Address
from kanjiprep.training.remote.ssh.connection import MOST_SOCKET_BYTES, Box, Done
from kanjiprep.training.remote.ssh.refusal import Kind, Unreachable

BOX = Box(Address("me", "gpu", 2222, Path("/keys/my key")), Path("/state"))


@dataclass
class Trying:
    """An action that fails as ``kinds`` say and then succeeds, and a clock that only its pauses move."""

    kinds: list[Kind]
    now: float = 0.0
    pauses: list[float] = field(default_factory=list)
    told: list[tuple[Kind, float]] = field(default_factory=list)

    def act(self) -> str:
        if self.kinds:
            raise Unreachable(self.kinds.pop(0), "it is not there")
        return "done"

    def pause(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        self.now += pause_s

    def again(self, patience_s: float | None = None, chance: float = 0.5) -> str:
        return connection.again(
            self.act,
            patience_s=patience_s,
            pause=self.pause,
            tell=lambda problem, pause_s: self.told.append((problem.kind, pause_s)),
            clock=lambda: self.now,
            chance=lambda: chance,
        )


def test_what_succeeds_is_done_once() -> None:
    trying = Trying([])
    assert trying.again() == "done"
    assert trying.pauses == []


def test_pauses_double_up_to_a_minute_for_ever() -> None:
    trying = Trying(["refused"] * 200)
    assert trying.again() == "done"
    assert trying.pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert len(trying.pauses) == 200
    assert trying.told == [("refused", pause_s) for pause_s in trying.pauses]


@pytest.mark.parametrize(("chance", "pauses"), [(0.0, [0.75, 1.5]), (1.0, [1.25, 2.5])])
def test_pauses_differ_by_chance(chance: float, pauses: list[float]) -> None:
    trying = Trying(["lost", "lost"])
    trying.again(chance=chance)
    assert trying.pauses == pauses


@pytest.mark.parametrize("kind", ["host key changed", "permission denied", "broken"])
def test_what_cannot_pass_is_not_tried_again(kind: Kind) -> None:
    trying = Trying([kind])
    with pytest.raises(Unreachable):
        trying.again()
    assert trying.pauses == []


@pytest.mark.parametrize("kind", ["refused", "timed out", "lost", "no network", "name unknown"])
def test_patience_ends_with_a_last_try(kind: Kind) -> None:
    trying = Trying([kind] * 99)
    with pytest.raises(Unreachable):
        trying.again(patience_s=10)
    assert trying.pauses == [1, 2, 4, 3]
    assert len(trying.kinds) == 99 - 5


def test_a_name_is_unknown_for_a_while_only() -> None:
    trying = Trying(["name unknown"] * 99)
    with pytest.raises(Unreachable):
        trying.again()
    assert trying.now == connection.NAME_PATIENCE_S


def test_a_name_that_is_unknown_after_a_long_outage_has_its_own_while() -> None:
    outage: list[Kind] = ["no network"] * 50
    waking: list[Kind] = ["name unknown"] * 3
    trying = Trying(outage + waking + outage + waking)
    assert trying.again() == "done"


def test_no_patience_is_one_try() -> None:
    trying = Trying(["lost"])
    with pytest.raises(Unreachable):
        trying.again(patience_s=0)
    assert trying.pauses == []


def test_ssh_asks_nothing_and_forwards_nothing() -> None:
    words = connection.ssh(BOX)
    options = {words[at + 1] for at, word in enumerate(words) if word == "-o"}
    assert {"BatchMode=yes", "ForwardAgent=no", "ForwardX11=no", "RequestTTY=no", "SendEnv=-*"} <= options
    assert {"StrictHostKeyChecking=accept-new", "UserKnownHostsFile=known_hosts", "IdentitiesOnly=yes"} <= options
    assert words[words.index("-p") + 1] == "2222"
    assert words[words.index("-l") + 1] == "me"
    assert words[words.index("-i") + 1] == "/keys/my key"


def test_what_an_address_leaves_open_is_left_to_the_config_of_ssh() -> None:
    words = connection.ssh(Box(Address("", "alias"), Path("/state")))
    assert not {"-p", "-l", "-i", "IdentitiesOnly=yes"} & set(words)


def test_a_socket_is_one_connection_s_own() -> None:
    others = [
        Box(Address("me", "gpu", 2223, BOX.address.key), BOX.state),
        Box(Address("me", "gpu", 2222), BOX.state),
        Box(BOX.address, Path("/other")),
    ]
    assert len({connection.socket(box) for box in (BOX, *others)}) == 4
    assert connection.socket(BOX) == connection.socket(BOX)


def test_a_socket_s_path_is_short_enough(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    assert connection.socket(BOX, {"XDG_RUNTIME_DIR": str(long)}).parts[1] == "tmp"
    assert len(os.fsencode(connection.socket(BOX, {"XDG_RUNTIME_DIR": str(long)}))) <= MOST_SOCKET_BYTES


@pytest.mark.parametrize("place", ["", "relative", "/not/there"])
def test_a_runtime_folder_that_is_none_is_not_used(place: str) -> None:
    assert connection.socket(BOX, {"XDG_RUNTIME_DIR": place}) == connection.socket(BOX, {})


def test_a_runtime_folder_is_used() -> None:
    assert connection.socket(BOX, {"XDG_RUNTIME_DIR": "/dev"}).parent == Path("/dev/kanjiprep-ssh")


@pytest.mark.parametrize("words", [[], [""], ["echo", "a\0b"]])
def test_words_that_cannot_be_sent_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="far command"):
        connection.run(BOX, words)


def test_a_key_that_is_not_there_is_told_before_anything_starts() -> None:
    with pytest.raises(UsageError, match=r"/keys/my key: the key file is not there"):
        connection.run(BOX, ["true"])


@pytest.mark.parametrize("name", ["100%d", "${HOME}"])
def test_a_key_whose_name_ssh_would_expand_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    box = Box(Address("me", "gpu", key=tmp_path / name), tmp_path / "state")
    with pytest.raises(UsageError, match="reads more into"):
        connection.run(box, ["true"])


def test_no_secret_reaches_even_ssh_itself() -> None:
    environ = {"HOME": "/h", "SSH_AUTH_SOCK": "/s", "HF_TOKEN": "hf_x", "LAMBDA_API_KEY": "secret_x", "FOO": "x"}
    assert child.environment(environ) == {
        "HOME": "/h",
        "SSH_AUTH_SOCK": "/s",
        "LC_CTYPE": "C.UTF-8",
        "SSH_ASKPASS_REQUIRE": "never",
    }


def test_an_answer_as_text_has_no_line_end() -> None:
    assert Done(0, "漢\n\n".encode(), b"").text == "漢\n"
