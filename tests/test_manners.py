"""What every command has to hold, a new one too: found by walking through all of them."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final

import click
import pytest

import kanjiprep
from kanjiprep.cli import CONTEXT, door, reference
from tests import json_documents
from tests.conftest import Run

ROOT = Path(__file__).parent.parent
WIDTH = 80
TELLS_NOTHING: Final = MappingProxyType(
    {
        "app": "it serves a page until it is ended",
        "completion": "it prints a script for a shell, which is its data",
    }
)
"""Commands without ``--json``, and why."""
_SET = re.compile(r"\w+=\S+")


def walk(command: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with its path, groups among them."""
    if path:
        yield path, command
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from walk(one, f"{path} {name}".strip())


ALL: Final = dict(walk(door))
LEAVES: Final = {path: one for path, one in ALL.items() if not isinstance(one, click.Group)}
GROUPS: Final = {"": door, **{path: one for path, one in ALL.items() if isinstance(one, click.Group)}}
OPTIONS: Final = [
    (path, option) for path, one in ALL.items() for option in one.params if isinstance(option, click.Option)
]
CHOICES: Final = [
    (path, option)
    for path, option in OPTIONS
    if isinstance(option.type, click.Choice) and len(option.type.choices) > 1
]


def named(case: tuple[str, click.Option] | object) -> str | None:
    """What a test of an option is called."""
    return f"{case[0]} {case[1].opts[0]}" if isinstance(case, tuple) else None


def context(path: str, command: click.Command) -> click.Context:
    return click.Context(command, info_name=f"kanjiprep {path}", terminal_width=WIDTH, **CONTEXT)


def examples(path: str, command: click.Command) -> list[str]:
    """The lines of the epilog that call something, a comment at the end left out."""
    lines = (line.strip() for line in (command.epilog or "").splitlines())
    return [re.split(r"\s{3,}|\s+#", line)[0] for line in lines if "kanjiprep " in line]


def words_of(line: str) -> list[str]:
    """The words after ``kanjiprep`` of its last call in ``line``, without what a shell takes for itself."""
    inner = re.search(r"\$\((kanjiprep [^)]*)\)", line)
    call = (inner[1] if inner else line[line.rindex("kanjiprep ") :]).split(" > ")[0].split(" && ")[0]
    return shlex.split(call)[1:]


def parsed(words: list[str]) -> click.Context:
    """The context of the command that ``words`` call, all of them understood.

    Raises:
        click.ClickException: If they are not.
    """
    command: click.Command = door
    name: str | None = "kanjiprep"
    parent: click.Context | None = None
    rest = list(words)
    while isinstance(command, click.Group):
        parent = click.Context(command, parent, name, **CONTEXT)
        name, found, rest = command.resolve_command(parent, rest)
        assert found is not None
        command = found
    return command.make_context(name, rest, parent)


# Help


@pytest.mark.parametrize("path", list(ALL))
def test_a_command_has_help_with_examples_that_call_it(run: Run, path: str) -> None:
    code, out, err = run(*path.split(), "--help")
    assert (code, err) == (0, "")
    assert "Examples:" in out
    found = examples(path, ALL[path])
    assert found
    assert all(f"kanjiprep {path}" in line for line in found)


@pytest.mark.parametrize("path", list(ALL))
def test_every_example_is_understood(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in examples(path, ALL[path]):
        parsed(words_of(line))


def test_an_example_that_is_not_understood_is_found() -> None:
    with pytest.raises(click.NoSuchOption):
        parsed(words_of("kanjiprep build --jouyo"))
    with pytest.raises(click.MissingParameter):
        parsed(words_of("kanjiprep push dataset/"))


@pytest.mark.parametrize("path", list(ALL))
def test_no_line_of_help_is_wider_than_a_terminal(path: str) -> None:
    lines = context(path, ALL[path]).get_help().splitlines()
    examples_of = (ALL[path].epilog or "").splitlines()
    wide = [line for line in lines if len(line) > WIDTH and line.strip() not in map(str.strip, examples_of)]
    assert wide == []


def test_the_front_page_is_no_wider_than_a_terminal() -> None:
    assert max(map(len, reference.front_page().splitlines())) <= WIDTH


@pytest.mark.parametrize("path", list(ALL))
def test_a_command_says_what_it_does_in_sentences(path: str) -> None:
    for text in (ALL[path].short_help or "", (ALL[path].help or "").strip()):
        assert text[:1].isupper(), text
        assert text.rstrip().endswith((".", ")")), text


@pytest.mark.parametrize(("path", "option"), OPTIONS, ids=[named(one) for one in OPTIONS])
def test_an_option_says_what_it_does_in_a_sentence(path: str, option: click.Option) -> None:
    told = re.sub(r"\s*\[default: [^]]*\]$", "", (option.help or "").strip())
    assert told[:1].isupper() or re.match(r"[A-Z]", option.help or ""), f"{path} {option.opts[0]}: {option.help!r}"
    assert told.endswith("."), f"{path} {option.opts[0]}: {option.help!r}"


# Options


@pytest.mark.parametrize("path", list(LEAVES))
def test_what_prints_data_has_json_and_a_schema(path: str) -> None:
    has_json = any("--json" in one.opts for one in LEAVES[path].params)
    assert has_json == (path not in TELLS_NOTHING)
    assert has_json == (path in json_documents.DOCUMENTS)


def test_what_has_no_json_is_there() -> None:
    assert set(TELLS_NOTHING) <= set(LEAVES) | {"completion"}


@pytest.mark.parametrize(("path", "option"), OPTIONS, ids=[named(one) for one in OPTIONS])
def test_an_option_is_in_kebab_case_and_understood_in_snake_case(run: Run, path: str, option: click.Option) -> None:
    for name in (*option.opts, *option.secondary_opts):
        assert re.fullmatch(r"--[a-z0-9]+(-[a-z0-9]+)*", name)
        snake = f"--{name[2:].replace('-', '_')}"
        assert run(*path.split(), snake, *([] if option.is_flag else ["x"]), "--help")[0] == 0


@pytest.mark.parametrize(("path", "option"), OPTIONS, ids=[named(one) for one in OPTIONS])
def test_a_mistyped_option_is_guessed(run: Run, path: str, option: click.Option) -> None:
    typed = f"{option.opts[0]}x"
    code, out, err = run(*path.split(), typed)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.lower().startswith("error: no such option")
    assert option.opts[0] in err.replace(typed, ""), err


@pytest.mark.parametrize("path", list(ALL))
def test_a_mistyped_command_is_guessed(run: Run, path: str) -> None:
    *before, last = path.split()
    typed = last + last[-1] if len(last) > 2 else f"{last}x"
    code, out, err = run(*before, typed)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"no such command {typed!r}, did you mean {last!r}?" in err


@pytest.mark.parametrize(("path", "option"), CHOICES, ids=[named(one) for one in CHOICES])
def test_a_mistyped_choice_is_guessed(run: Run, path: str, option: click.Option) -> None:
    assert isinstance(option.type, click.Choice)
    for choice in map(str, option.type.choices):
        typed = f"{choice}x"
        code, out, err = run(*path.split(), option.opts[0], typed)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"did you mean {choice!r}?" in err


def test_a_choice_that_is_like_none_is_told_with_all(run: Run) -> None:
    code, _, err = run("launch-simpletuner", "sd35-large-lora", "--guard", "zzz")
    assert code == 2
    assert "'zzz' is not one of 'off', 'warn', 'stop', 'rollback'" in err
    assert "did you mean" not in err


# Colour, version


@pytest.mark.parametrize("no_color", ["", "1"])
@pytest.mark.parametrize("path", ["", *ALL])
def test_what_is_no_terminal_gets_no_colour(
    run: Run, path: str, no_color: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    for words in (["--help"], ["--helpx"]):
        _, out, err = run(*path.split(), *words)
        assert "\x1b" not in out + err


def test_no_colour_is_written_even_to_a_terminal_if_none_is_wished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from kanjiprep import cli

    monkeypatch.setattr("click._compat.isatty", lambda _: True)
    cli.run(["biuld"])
    assert "\x1b[31m" in capsys.readouterr().err
    monkeypatch.setenv("NO_COLOR", "1")
    cli.run(["biuld"])
    assert "\x1b" not in capsys.readouterr().err


def test_the_version_is_that_of_the_package_and_of_its_build(run: Run) -> None:
    from hatchling.metadata.core import ProjectMetadata
    from hatchling.plugin.manager import PluginManager

    assert run("--version") == (0, f"kanjiprep {kanjiprep.__version__}\n", "")
    assert ProjectMetadata(str(ROOT), PluginManager()).version == kanjiprep.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" in project["project"]["dynamic"]
