"""The wheel, installed without dev tools and run from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests import sources

ROOT = Path(__file__).parent.parent.parent
HEAVY = (
    "lxml",
    "cairosvg",
    "cairocffi",
    "numpy",
    "PIL",
    "pandas",
    "datasets",
    "huggingface_hub",
    "jinja2",
    "torch",
    "scipy",
    "skimage",
    "matplotlib",
    "rich",
    "uv",
    "tomli_w",
    "platformdirs",
)


USERS = "sd35-large-lora-lr1.05e-3"


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COVERAGE_PROCESS_START")
    }
    words = list(map(str, command))
    return subprocess.run(words, capture_output=True, text=True, check=True, cwd=cwd, env=environ)


@pytest.mark.slow
def test_the_wheel_works_from_another_folder(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    sources.write_kanjidic(tmp_path / "k.xml.gz")
    sources.write_zip(tmp_path / "k.zip")
    command = tmp_path / "env" / "bin" / "kanjiprep"
    for caption in ("published", "meaning", "components"):
        out = ["build", caption, "--caption", caption, "--size-px", 64]
        run(command, *out, "--kanjidic", "k.xml.gz", "--kanjivg", "k.zip", cwd=tmp_path)
        assert (tmp_path / caption / "休_kanji_04f11.png").is_file()
        assert "is fit to train on" in run(command, "check", caption, cwd=tmp_path).stderr
    assert "Usage: kanjiprep" in run(command, "--help", cwd=tmp_path).stdout
    assert "tiny-cpu" in run(command, "presets", cwd=tmp_path).stdout
    assert "32,070: 1,069 an epoch" in run(command, "plan", USERS, "--samples", 6413, cwd=tmp_path).stdout
    assert "install SimpleTuner" in run(command, "setup-trainer", "--dry-run", "--where", "e", cwd=tmp_path).stderr
    (shipped,) = (tmp_path / "env").glob("lib/python3*/site-packages/kanjiprep/training")
    for name in ("trainer_lock.txt", "inside/check.py", "inside/words.py", "inside/shim/sitecustomize.py"):
        assert (shipped / name).is_file()


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    commands = ("build", "check", "plan", "launch-simpletuner", "score", "report", "presets", "setup-trainer")
    for arguments in ((), ("--help",), ("--version",), *((command, "--help") for command in commands)):
        code = (
            f"import sys; sys.argv = ['kanjiprep', *{arguments!r}]\n"
            "from kanjiprep.__main__ import main\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            f"print(sorted(set(sys.modules) & set({HEAVY!r})), 'click' in sys.modules)"
        )
        last = run(sys.executable, "-c", code, cwd=tmp_path).stdout.splitlines()[-1]
        needs_click = arguments not in ((), ("--help",))
        assert last == f"[] {needs_click}", arguments
