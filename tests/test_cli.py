from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from kanjiprep import __main__, cli
from kanjiprep.cli import talk
from kanjiprep.cli.reference import FRONT_PAGE, front_page
from kanjiprep.dataset import caption
from kanjiprep.dataset.build import BuildRequest
from kanjiprep.training import prompts
from tests.conftest import Run


@pytest.fixture
def options(request_of: Callable[..., BuildRequest]) -> list[object]:
    request = request_of()
    return [
        request.out,
        "--kanjidic",
        request.kanjidic,
        "--kanjivg",
        request.kanjivg,
        "--size-px",
        64,
        "--workers",
        1,
    ]


def test_build_talks_on_stderr_and_names_the_next_step(run: Run, options: list[object]) -> None:
    code, out, err = run("build", *options)
    assert (code, out) == (0, "")
    assert "built: 3 pictures" in err
    assert "left out: 4, each with its reason in skipped.csv" in err
    assert f"Next: kanjiprep check {options[0]}" in err
    _, _, again = run("build", *options, "--verify", 2)
    assert "verified, nothing changed: 3 pictures" in again
    assert "compared with CairoSVG: 2 pictures, every pixel equal" in again


def test_build_prints_one_json_document(run: Run, options: list[object]) -> None:
    code, out, err = run("build", *options, "--json", "--verify", 3)
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert set(document) == {"folder", "status", "resumed", "found", "certificate", "verified_against_cairosvg"}
    assert document["status"] == "built"
    assert document["verified_against_cairosvg"] == 3
    assert document["certificate"]["counts"]["samples"] == 3


def test_early_interrupts_are_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run", interrupted)
    monkeypatch.setattr(sys, "argv", ["kanjiprep", "check"])
    with pytest.raises(SystemExit) as exit_:
        __main__.main()
    assert exit_.value.code == 130
    assert capsys.readouterr().err == "error: interrupted; run the same command again\n"


def test_an_output_that_is_full_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli.door, "main", full)
    assert run("build") == (1, "", "error: the output: no space left on device\n")


def test_every_selection_option_reaches_the_build(run: Run, options: list[object], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("一休二", "utf-8")
    chosen = ["--jouyou", "--grade", 9, "--jlpt", 4, "--jlpt", 3, "--literals", tmp_path / "mine.txt", "--limit", 2]
    drawn = ["--stroke-width", 4.5, "--margin-px", 3, "--caption", "meaning"]
    _, out, _ = run("build", *options, *chosen, *drawn, "--json")
    certificate = json.loads(out)["certificate"]
    grades = [1, 2, 3, 4, 5, 6, 8, 9]
    assert certificate["selection"] == {"grades": grades, "jlpt": [3, 4], "literals": "一休二", "limit": 2}
    assert certificate["style"] == {"size_px": 64, "stroke_width": 4.5, "margin_px": 3}
    assert certificate["caption"]["name"] == "meaning"


def test_snake_case_is_accepted(run: Run, options: list[object]) -> None:
    assert run("build", *options, "--margin_px", 3)[0] == 0


def test_check_reports_a_fit_dataset(run: Run, options: list[object]) -> None:
    run("build", *options)
    code, out, err = run("check", options[0], "--workers", 1)
    assert (code, out) == (0, "")
    assert "warning: drawings have a stroke count" in err
    assert "3 samples" in err
    assert "is fit to train on\nNext: kanjiprep plan sd35-large-lora --dataset " in err
    assert "not fit" not in err


def test_check_exits_with_4_when_unfit_and_prints_json(run: Run, options: list[object], tmp_path: Path) -> None:
    run("build", *options)
    (tmp_path / "dataset" / "一_kanji_04e00.png").unlink()
    code, _, err = run("check", options[0], "--workers", 1)
    assert code == 4
    assert "error: rows name pictures that are not there: 1 (一_kanji_04e00.png); restore them" in err
    assert err.rstrip().endswith("is not fit to train on")
    code, out, err = run("check", options[0], "--workers", 1, "--json", "--sheet", tmp_path / "s.png")
    document = json.loads(out)
    assert (code, err) == (4, "")
    assert set(document) == {"fit", "folder", "problems", "statistics", "sheet"}
    assert document["fit"] is False
    assert document["problems"][0]["items"] == [{"files": ["一_kanji_04e00.png"], "detail": ""}]
    assert (tmp_path / "s.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["biuld"], "error: no such command 'biuld', did you mean 'build'?; see kanjiprep --help\n"),
        (["build", "--sizepx", "3"], "No such option '--sizepx'. Did you mean '--size-px'?"),
        (["build", "--size-px", "big"], "'big' is not a valid integer"),
        (["build", "--grade", "11"], "11 is not in the range 1<=x<=10"),
        (["build", "--size-px", "1"], "error: --size-px is 1; give 16 to 4096\n"),
        (["build", "--caption", "publishd"], "did you mean 'published'?"),
    ],
)
def test_usage_errors_are_one_line_and_exit_with_2(
    run: Run, options: list[object], arguments: list[str], says: str
) -> None:
    rest = options[1:] if arguments[-1] in ("1", "publishd") else []
    code, out, err = run(*arguments, *[word for word in rest if word not in ("--size-px", 64)])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err


def test_input_errors_exit_with_3_and_dataset_errors_with_4(run: Run, options: list[object], tmp_path: Path) -> None:
    code, _, err = run("build", tmp_path / "d", "--kanjidic", "gone.xml")
    assert (code, err.count("\n")) == (3, 1)
    code, _, err = run("check", tmp_path / "gone")
    assert (code, err.count("\n")) == (4, 1)


def test_an_interrupt_is_130_and_says_how_to_go_on(
    run: Run, options: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kanjiprep.dataset.build.build", interrupted)
    code, _, err = run("build", *options)
    assert code == 130
    assert err == "error: interrupted; run the same command again\n"


def test_the_unexpected_is_one_line_unless_debugged(
    run: Run, options: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a\nb")

    monkeypatch.setattr("kanjiprep.dataset.build.build", broken)
    code, _, err = run("build", *options)
    assert (code, err) == (
        1,
        "error: unexpected: RuntimeError: a b; set KANJIPREP_DEBUG=1 for the traceback and report it\n",
    )
    monkeypatch.setenv("KANJIPREP_DEBUG", "1")
    with pytest.raises(RuntimeError):
        run("build", *options)


def test_a_reader_that_went_away_is_no_error(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(cli.door, "main", gone)
        assert cli.run(["build"]) == 0


@pytest.mark.parametrize(
    ("command", "option", "names"),
    [
        ("build", "caption", caption.names()),
        ("generate", "style", prompts.names("styles")),
        ("comfyui", "style", prompts.names("styles")),
    ],
)
def test_help_names_every_caption_and_style_that_ships(command: str, option: str, names: tuple[str, ...]) -> None:
    described = cli.door.commands[command].to_info_dict(click.Context(cli.door))["params"]
    (text,) = [one["help"] for one in described if one["name"] == option]
    assert [name for name in names if not re.search(rf"(?<![\w-]){name}(?![\w-])", text)] == []


@pytest.mark.parametrize("command", [[], *[[name] for name in cli.door.commands]])
def test_every_command_has_help_with_an_example(run: Run, command: list[str]) -> None:
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert f"kanjiprep {' '.join(command) or 'build'}" in out.split("Options:")[1]


def test_the_front_page_is_the_commands_own_help(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FRONT_PAGE.read_text("utf-8") == front_page(), "run make docs"
    monkeypatch.setattr(sys, "argv", ["kanjiprep", "--help"])
    __main__.main()
    assert capsys.readouterr().out == front_page()


def test_without_the_front_page_the_help_still_comes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["kanjiprep", "--help"])
    monkeypatch.setattr(__main__, "__file__", str(tmp_path / "x.py"))
    with pytest.raises(SystemExit) as exit_:
        __main__.main()
    assert exit_.value.code == 0
    assert "Usage: kanjiprep" in capsys.readouterr().out


def test_the_version_is_told(run: Run) -> None:
    from kanjiprep import __version__

    assert run("--version")[1] == f"kanjiprep {__version__}\n"


def test_errors_are_red_unless_no_color_is_set_or_the_terminal_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, Any]] = []
    monkeypatch.setattr(click, "echo", lambda text, **options: said.extend([(text, options["color"])]))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    cli.run(["biuld"])
    monkeypatch.setenv("NO_COLOR", "1")
    cli.run(["biuld"])
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    cli.run(["biuld"])
    assert [color for _, color in said] == [None, False, False]
    assert "\x1b[31m" in said[0][0]


def test_plain_lines_come_first_last_and_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 0.5, 2.5, 2.6, 2.7])
    lines = talk._Lines(lambda: next(clock))
    for done, total in ((1, 9), (2, 9), (3, 9), (9, 9)):
        lines("draw", done, total)
    lines("fetch", 1024, None)
    assert capsys.readouterr().err.splitlines() == ["draw: 1 of 9", "draw: 3 of 9", "draw: 9 of 9", "fetch: 1,024"]


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(os.environ, "FORCE_COLOR", "1")
    with talk.progress() as listener:
        listener("draw", 1, 9)
        listener("draw", 9, 9)
    assert "draw" in capsys.readouterr().err


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no JSON form for object"):
        talk.print_json(object())
