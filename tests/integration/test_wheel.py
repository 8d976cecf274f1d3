"""The wheel, installed without dev tools and run from another folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from kanjiprep import __version__
from kanjiprep.dataset import caption as templates
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
SOURCES = {
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "PKG-INFO",
    "README.md",
    "SECURITY.md",
    "benchmarks",
    "docs",
    "examples",
    "kanjiprep",
    "pyproject.toml",
    "setup.sh",
    "simpletuner_configs",
    "templates",
    "tests",
}


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COVERAGE_PROCESS_START")
    }
    words = list(map(str, command))
    return subprocess.run(words, capture_output=True, text=True, check=True, cwd=cwd, env=environ)


CAPTIONS = ("published", *sorted(set(templates.names()) - {"published"}))
VERSIONS = ("3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("packed")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return {"wheel": next(folder.glob("*.whl")), "sdist": next(folder.glob("*.tar.gz"))}


def python_of(version: str) -> Path:
    """A Python of that version, or the test is skipped."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [Path(sys.base_prefix, "bin", f"python{version}"), *sorted(versions.glob(f"{version}.*/bin/python"))]
    for path in (*found, Path(shutil.which(f"python{version}") or "")):
        words = [str(path), "-c", "import ensurepip, sqlite3"]
        if path.is_file() and subprocess.run(words, capture_output=True, check=False).returncode == 0:
            return path
    pytest.skip(f"there is no Python {version} here")


def installed(package: Path, version: str, folder: Path) -> Path:
    """The ``bin`` folder of an environment of its own with ``package`` in it."""
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "-q", "--python", python_of(version), folder / "env", cwd=folder)
    run(uv, "pip", "install", "-q", "--python", folder / "env/bin/python", package, cwd=folder)
    return folder / "env" / "bin"


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "version"), [*(("wheel", version) for version in VERSIONS), ("sdist", "3.11")])
def test_it_works_from_another_folder_with_every_python(
    packed: dict[str, Path], kind: str, version: str, tmp_path: Path
) -> None:
    command = installed(packed[kind], version, tmp_path) / "kanjiprep"
    sources.write_kanjidic(tmp_path / "k.xml.gz")
    sources.write_zip(tmp_path / "k.zip")
    for caption in CAPTIONS if version == VERSIONS[0] else CAPTIONS[:1]:
        out = ["build", caption, "--caption", caption, "--size-px", 64]
        run(command, *out, "--kanjidic", "k.xml.gz", "--kanjivg", "k.zip", cwd=tmp_path)
        assert (tmp_path / caption / "休_kanji_04f11.png").is_file()
        assert "is fit to train on" in run(command, "check", caption, cwd=tmp_path).stderr
    assert run(command, "--version", cwd=tmp_path).stdout == f"kanjiprep {__version__}\n"
    assert "Usage: kanjiprep" in run(command, "--help", cwd=tmp_path).stdout
    assert "tiny-cpu" in run(command, "presets", cwd=tmp_path).stdout
    assert "32,070: 1,069 an epoch" in run(command, "plan", USERS, "--samples", 6413, cwd=tmp_path).stdout
    assert "install SimpleTuner" in run(command, "setup-trainer", "--dry-run", "--where", "e", cwd=tmp_path).stderr
    (shipped,) = (tmp_path / "env").glob("lib/python3*/site-packages/kanjiprep/training")
    for name in ("trainer_lock.txt", "inside/check.py", "inside/words.py", "inside/shim/sitecustomize.py"):
        assert (shipped / name).is_file()


@pytest.mark.slow
def test_the_packages_hold_what_they_should_and_no_more(packed: dict[str, Path]) -> None:
    with zipfile.ZipFile(packed["wheel"]) as wheel, tarfile.open(packed["sdist"]) as sdist:
        in_wheel = {name.split("/")[0] for name in wheel.namelist()}
        in_sdist = {name.split("/")[1] for name in sdist.getnames()}
    assert in_wheel == {"kanjiprep", f"kanjiprep-{__version__}.dist-info"}
    assert in_sdist == SOURCES


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
