from __future__ import annotations

from pathlib import Path

import pytest

from kanjiprep.errors import DatasetError
from kanjiprep.publishing import leaks

TOKEN = "hf_" + "a" * 34


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (TOKEN, "a token of the Hub"),
        ("x=" + TOKEN, "a token of the Hub"),
        ("hf_oauth_" + "b" * 40, "a token of the Hub"),
        ("ghp_" + "c" * 36, "a token of GitHub"),
        ("AKIA" + "D" * 16, "a key of AWS"),
        ("secret_my-key_" + "e" * 24, "a key of Lambda"),
        ("sk-" + "f" * 40, "a key of OpenAI"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        ("my-wandb-key-1", "the value of WANDB_API_KEY"),
        ("/home/me/kanji/x.png", "a path of this machine (/home/me)"),
    ],
)
def test_what_must_not_leave_is_found(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "a.txt").write_text(f"something {text}\n")
    found = leaks.find(tmp_path, ["a.txt"], {"WANDB_API_KEY": "my-wandb-key-1"}, [Path("/home/me")])
    assert [leak.what for leak in found] == [what]


def test_what_is_harmless_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hf_hub_download hf_xet /home/meadow sk-learn AKIA " + "hf_" + "a" * 20)
    assert list(leaks.find(tmp_path, ["a.txt"], {}, [Path("/home/me")])) == []


def test_a_secret_across_two_pieces_is_found_once(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"." * (leaks.CHUNK - 10) + b" " + TOKEN.encode() + b" " + b"." * 100)
    assert [leak.what for leak in leaks.find(tmp_path, ["big"], {}, [])] == ["a token of the Hub"]


def test_secrets_are_variables_with_such_names_and_a_value_of_some_length() -> None:
    environ = {
        "HF_TOKEN": TOKEN,
        "LAMBDA_API_KEY": "secret-value-1",
        "DB_PASSWORD": "correct horse battery",
        "HF_TOKEN_PATH": "/home/me/.cache/token",
        "API_KEY": "short",
        "HOME": "/home/me/very/long",
    }
    assert set(leaks.secrets_of(environ)) == {"HF_TOKEN", "LAMBDA_API_KEY", "DB_PASSWORD"}


def test_a_leak_is_refused_without_being_shown(tmp_path: Path) -> None:
    found = [leaks.Leak(f"{number}.txt", "a token of the Hub", 7 - number) for number in range(5)]
    with pytest.raises(
        DatasetError, match=r"0.txt:7 holds a token of the Hub, 1.txt.*, 2.txt.* and 2 more; take it out"
    ):
        leaks.refuse(found, tmp_path)
    leaks.refuse([], tmp_path)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read: no such file or directory"):
        list(leaks.find(tmp_path, ["gone"], {}, []))


def test_a_leak_in_a_text_is_told_with_its_line(tmp_path: Path) -> None:
    lines = "line\n" * (leaks.CHUNK // 5 + 100)
    (tmp_path / "a.csv").write_text(f"{lines}{TOKEN}\n")
    (tmp_path / "b.png").write_bytes(b"\0\n\n" + TOKEN.encode())
    found = {leak.file: leak.line for leak in leaks.find(tmp_path, ["a.csv", "b.png"], {}, [])}
    assert found == {"a.csv": lines.count("\n") + 1, "b.png": 0}


def test_the_root_is_no_path_to_look_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("https://hub.test and /home/me/x")
    leaks.refuse_in(tmp_path, ["a.txt"], {"HOME": "/"}, Path("/data"))
    with pytest.raises(DatasetError, match="a.txt:1 holds a path of this machine"):
        leaks.refuse_in(tmp_path, leaks.names(tmp_path), {"HOME": "/home/me"}, Path("/data"))
