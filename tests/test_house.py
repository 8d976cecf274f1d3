"""The rules that keep the house as it was drawn."""

from __future__ import annotations

import ast
import io
import re
import socket
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "kanjiprep").rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def test_imports_point_down_and_have_no_cycles() -> None:
    from importlinter import configuration
    from importlinter.application.use_cases import lint_imports

    configuration.configure()
    said = io.StringIO()
    with redirect_stdout(said):
        kept = lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None)
    assert kept, said.getvalue()


@pytest.mark.parametrize("page", ["README.md", "docs/presets.md", "docs/rules.md", "docs/step-table.md"])
def test_what_is_generated_in_the_documentation_is_current(page: str) -> None:
    from cogapp import Cog

    said = io.StringIO()
    with redirect_stdout(said):
        code = Cog().main(["cog", "--check", str(ROOT / page)])
    assert code == 0, f"run make docs\n{said.getvalue()}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8"))
    here = [link for link in links if not link.startswith(("http://", "https://", "mailto:"))]
    assert [link for link in here if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_are_of_one_idea_and_functions_short(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert len(path.read_text("utf-8").splitlines()) <= 350
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            body = [line for line in node.body if not isinstance(line, ast.Expr)]
            length = (node.end_lineno or 0) - (body[0].lineno if body else node.lineno)
            assert length <= 30, f"{path.name}:{node.lineno} {node.name} is {length} lines long"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_what_is_public_is_documented_with_what_it_raises(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            raises = any(isinstance(inner, ast.Raise) and inner.exc is not None for inner in ast.walk(node))
            in_command = any("command" in ast.dump(decorator) for decorator in node.decorator_list)
            if raises and not in_command and "self" not in [argument.arg for argument in node.args.args]:
                assert "Raises:" in (ast.get_docstring(node) or ""), f"{path.name}:{node.lineno} {node.name}"


@pytest.mark.parametrize("path", [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))], ids=lambda path: path.stem)
def test_nothing_is_caught_bare(path: Path) -> None:
    handlers = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ExceptHandler)]
    assert all(handler.type is not None for handler in handlers)


def test_unit_tests_reach_neither_network_nor_processes() -> None:
    with socket.socket() as plug, pytest.raises(RuntimeError, match="must not reach out: socket.connect"):
        plug.connect(("127.0.0.1", 9))
    with pytest.raises(RuntimeError, match="must not reach out: subprocess.Popen"):
        subprocess.run([sys.executable, "-c", "pass"], check=True)


def test_every_name_of_a_template_is_of_a_file_that_ships() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    for folder in ("templates", "simpletuner_configs"):
        assert f'"{folder}" = "kanjiprep/_shipped/{folder}"' in text
        assert (ROOT / folder).is_dir()
