"""What a shell is offered for what is typed, and the script by which it asks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.shell_completion import CompletionItem, ShellComplete

from kanjiprep import __main__ as entry
from kanjiprep.cli import door, run
from kanjiprep.cli.completion import VARIABLE, script
from kanjiprep.dataset import caption
from kanjiprep.training import prompts
from kanjiprep.training.remote.cloud import ledger


def offered(*words: str) -> list[CompletionItem]:
    """What is offered for the last word."""
    return ShellComplete(door, {}, "kanjiprep", VARIABLE).get_completions(list(words[:-1]), words[-1])


def values(*words: str) -> list[str]:
    return [one.value for one in offered(*words)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("sd35-a", "sd35-b", "my run", ".hidden"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / "sd35-note.txt").touch()
    for step in (1200, 600, 12000):
        (tmp_path / "runs" / "sd35-a" / "output" / f"checkpoint-{step}").mkdir(parents=True)
    (tmp_path / "runs" / "sd35-a" / "output" / "checkpoint-torn").mkdir()
    return tmp_path


def test_commands_are_offered_by_how_they_begin() -> None:
    assert values("pl") == ["plan"]
    assert values("setup-") == ["setup-trainer", "setup-remote"]
    assert sorted(values("remote", "")) == ["down", "ls"]


def test_options_and_their_choices_are_offered() -> None:
    assert values("plan", "--gp") == ["--gpu"]
    assert values("launch-simpletuner", "--guard", "") == ["off", "warn", "stop", "rollback"]
    assert values("launch-simpletuner", "--on", "l") == ["local", "lambda"]
    assert values("completion", "") == ["bash", "zsh", "fish"]


@pytest.mark.parametrize("command", ["plan", "rehearse", "launch-simpletuner", "presets"])
def test_presets_are_offered_by_name(command: str) -> None:
    found = values(command, "sd35-l")
    assert found[0] == "sd35-large-full"
    assert "sd35-large-lora" in found


def test_where_no_preset_begins_so_folders_are_offered() -> None:
    assert [(one.value, one.type) for one in offered("plan", "mine")] == [("mine", "dir")]


@pytest.mark.parametrize(
    "command", ["monitor", "stop", "score", "report", "publish", "comfyui", "generate", "app", "lora"]
)
def test_runs_are_offered_by_name_or_path(command: str, folder: Path) -> None:
    assert folder.is_dir()
    assert values(command, "sd") == ["sd35-a", "sd35-b"]
    assert values(command, "runs/sd") == ["runs/sd35-a", "runs/sd35-b"]


def test_what_a_shell_must_quote_is_left_to_it(folder: Path) -> None:
    assert folder.is_dir()
    assert [(one.value, one.type) for one in offered("monitor", "my")] == [("my", "dir")]


def test_where_there_are_no_runs_a_file_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [one.type for one in offered("lora", "")] == ["file"]


def test_runs_are_offered_to_be_gone_on_with(folder: Path) -> None:
    assert folder.is_dir()
    assert values("launch-simpletuner", "--resume", "sd") == ["sd35-a", "sd35-b"]


@pytest.mark.parametrize("command", ["comfyui", "generate", "lora", "publish"])
def test_checkpoints_of_the_run_are_offered(command: str, folder: Path) -> None:
    assert folder.is_dir()
    assert values(command, "sd35-a", "--checkpoint", "") == ["best", "last", "600", "1200", "12000"]
    assert values(command, "--checkpoint", "") == ["best", "last"]
    assert values(command, "runs/sd35-a", "--checkpoint", "9") == []


def test_styles_libraries_captions_and_gpus_are_offered() -> None:
    assert values("generate", "--style", "") == list(prompts.names("styles"))
    assert values("generate", "--library", "c") == ["creatures"]
    assert values("build", "--caption", "") == list(caption.names())
    assert "h100-80gb-sxm" in values("plan", "--gpu", "h100")


def test_settings_are_offered_table_by_table() -> None:
    assert {"lora.", "training."} <= set(values("plan", "--set", ""))
    assert "lora.rank=" in values("plan", "--set", "lora.")


def test_machines_that_are_rented_are_offered_and_a_broken_list_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "default_folder", lambda: tmp_path)
    assert values("remote", "down", "") == []
    (tmp_path / ledger.FILE).mkdir()
    assert values("remote", "down", "") == []


def test_a_mistyped_command_is_no_error_while_it_is_typed() -> None:
    assert "plan" in values("plann", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_this_program_and_says_how_it_is_installed(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", shell]) == 0
    said = capsys.readouterr()
    assert f"{VARIABLE}={shell}_complete" in said.out
    assert f"kanjiprep completion {shell}" in said.out.splitlines()[-1]
    assert said.err == ""  # it is evaluated at the start of a shell, where nobody wants to read


def test_on_a_terminal_the_next_step_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(["completion", "fish"]) == 0
    assert capsys.readouterr().err.startswith(
        "Next: mkdir -p ~/.config/fish/completions && kanjiprep completion fish > "
    )


def test_a_shell_that_click_does_not_know_is_no_shell() -> None:
    with pytest.raises(ValueError, match="tcsh"):
        script(door, "tcsh")


def test_the_front_page_is_not_printed_to_a_shell_that_asks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["kanjiprep"])
    for name, value in ((VARIABLE, "bash_complete"), ("COMP_WORDS", "kanjiprep pl"), ("COMP_CWORD", "1")):
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        entry.main()
    assert capsys.readouterr().out == "plain,plan\n"
