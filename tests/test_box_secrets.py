from __future__ import annotations

import pytest

from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.training.remote.box import secrets
from kanjiprep.training.remote.ssh.connection import Done
from tests.fake_box import FakeBox, said

KNOWN = ("HF_TOKEN", "WANDB_API_KEY")


def test_only_what_the_user_has_goes_along() -> None:
    environ = {"HF_TOKEN": " hf_a ", "WANDB_API_KEY": "", "LAMBDA_API_KEY": "never"}
    assert secrets.wished(KNOWN, environ, lambda: "hf_stored") == {"HF_TOKEN": "hf_a"}
    assert secrets.wished(KNOWN, {"WANDB_API_KEY": "w"}, lambda: "hf_stored") == {
        "HF_TOKEN": "hf_stored",
        "WANDB_API_KEY": "w",
    }
    assert secrets.wished(KNOWN, {}, lambda: None) == {}
    assert secrets.wished(["WANDB_API_KEY"], {"HF_TOKEN": "hf_a"}, lambda: "hf_stored") == {}


def test_the_stored_token_is_the_hubs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_from_its_own_search")
    assert secrets.stored_token() == "hf_from_its_own_search"


def test_values_are_quoted_for_a_shell() -> None:
    lines = secrets.env_lines({"WANDB_API_KEY": "a'b$c`d", "HF_TOKEN": "hf_x"})
    assert lines == """export HF_TOKEN=hf_x\nexport WANDB_API_KEY='a'"'"'b$c`d'\n"""


@pytest.mark.parametrize("value", ["", "two words", "line\n", "tök", "nul\0", "a\tb"])
def test_what_is_no_token_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(UsageError, match="^HF_TOKEN: holds spaces or letters that no token has; copy it again$"):
        secrets.env_lines({"HF_TOKEN": value})


@pytest.mark.parametrize("name", ["", "hf", "A B", "A=B", "A\n", "1A", "$(id)"])
def test_what_is_no_variable_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a variable"):
        secrets.env_lines({name: "x"})


def test_secrets_travel_over_stdin_alone() -> None:
    box = FakeBox([said()])
    secrets.write(box, {"HF_TOKEN": "hf_secret"}, "env-1.sh")
    ((words, script),) = box.asked
    assert words == ("sh", "-s")
    assert "hf_secret" in script
    assert "umask 077" in script


def test_nothing_to_write_removes_what_was_there() -> None:
    box = FakeBox([said()])
    secrets.write(box, {}, "env-1.sh")
    assert 'rm -f "$root/$file"' in box.asked[0][1]
    assert "file=env-1.sh\n" in box.asked[0][1]


@pytest.mark.parametrize(
    "done",
    [
        said(code=1, err=b"sh: 5: hf_secret: No space left on device\n"),
        Done(2, b"", b"sh: syntax error near `export HF_TOKEN=hf_secret'\n"),
    ],
)
def test_a_secret_that_a_shell_quotes_is_in_no_message(done: Done) -> None:
    with pytest.raises(RemoteError, match="…") as caught:
        secrets.write(FakeBox([done]), {"HF_TOKEN": "hf_secret"}, "env-1.sh")
    assert "hf_secret" not in str(caught.value)
    assert caught.value.exit_code == 7


def test_a_file_that_cannot_be_removed_is_told() -> None:
    with pytest.raises(RemoteError, match=r"env-1\.sh cannot be removed there: busy; remove it yourself"):
        secrets.remove(FakeBox([said(code=1, err=b"busy\n")]), "env-1.sh")
