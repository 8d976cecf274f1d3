from __future__ import annotations

import click
import pytest

from kanjiprep.cli import guessing

KIND = click.Choice(["rollback", "it's"])
OPTION = click.Option(["--guard"], type=KIND)


def refused(word: str) -> click.ClickException:
    with pytest.raises(click.BadParameter) as found:
        KIND.convert(word, OPTION, None)
    return found.value


@pytest.mark.parametrize(("typed", "meant"), [("rolback", "rollback"), ("its", "it's"), ('it"s', "it's")])
def test_a_choice_is_guessed(typed: str, meant: str) -> None:
    assert guessing.choice(refused(typed)) == f", did you mean {meant!r}?"


def test_a_choice_that_is_like_none_is_not_guessed() -> None:
    assert guessing.choice(refused("zzz")) == ""


@pytest.mark.parametrize(
    "error",
    [
        click.UsageError("'x' is not one of 'y'"),
        click.BadParameter("'x' is not one of 'y'"),
        click.BadParameter("'rolback' is wrong", param=OPTION),
        click.BadParameter("'rolback' is not one of 'rollback'", param=click.Option(["--x"])),
    ],
)
def test_what_is_no_choice_is_not_guessed(error: click.ClickException) -> None:
    assert guessing.choice(error) == ""


def test_a_group_keeps_the_order_in_which_its_commands_came() -> None:
    group = guessing.Guessing("way")
    for name in ("b", "a"):
        group.add_command(click.Command(name))
    assert group.list_commands(click.Context(group)) == ["b", "a"]


def test_a_word_that_a_shell_completes_is_not_refused() -> None:
    group = guessing.Guessing("way")
    with pytest.raises(click.UsageError):
        group.resolve_command(click.Context(group), ["x"])
    assert group.resolve_command(click.Context(group, resilient_parsing=True), ["x"])[1] is None
