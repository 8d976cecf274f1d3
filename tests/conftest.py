from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from kanjiprep import cli
from kanjiprep.dataset import build as building
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.dataset.raster import Style
from kanjiprep.progress import silent
from tests import sources

if TYPE_CHECKING:
    from kanjiprep.evaluation.judging import Ways

Run = Callable[..., tuple[int, str, str]]

settings.register_profile("house", deadline=None, derandomize=True)  # a slow machine is no failure
settings.load_profile("house")

# Under nohup or in the background of a script these are ignored, and so they would be by all that tests start.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

_FORBIDDEN = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.fork", "os.posix_spawn", "os.system")
_is_unit_test = False

_SETTINGS = (
    "KANJIPREP_DEBUG",
    "KANJIPREP_KANJIDIC",
    "KANJIPREP_KANJIVG",
    "KANJIPREP_LAMBDA_ENDPOINT",
    "LAMBDA_API_KEY",
    "NO_COLOR",
)


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    if _is_unit_test and event in _FORBIDDEN:
        raise RuntimeError(f"a unit test must not reach out: {event}")


sys.addaudithook(_guard)


@pytest.fixture(autouse=True)
def _no_reaching_out(request: pytest.FixtureRequest) -> Iterator[None]:
    """Unit tests reach neither the network nor other processes; integration and trainer tests may."""
    global _is_unit_test  # noqa: PLW0603
    _is_unit_test = not {"integration", "trainer"} & set(request.path.parts)
    yield
    _is_unit_test = False


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Any:
    """A function that compares bytes with the golden file of a name, or writes it."""

    def compare(name: str, data: bytes) -> None:
        path = Path(__file__).parent / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        assert path.read_bytes() == data, f"{name} changed; make golden, and look at the difference"

    return compare


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place({}, tmp_path / "cache")


@pytest.fixture
def request_of(tmp_path: Path) -> Any:
    """A function that gives a build request on the small hand-written sources."""
    dictionary = sources.write_kanjidic(tmp_path / "kanjidic2.xml.gz")
    strokes = sources.write_kanjivg(tmp_path / "kanji")

    def make(name: str = "dataset", **changes: Any) -> BuildRequest:
        defaults: dict[str, Any] = {"kanjidic": str(dictionary), "kanjivg": str(strokes), "style": Style(64)}
        return BuildRequest(tmp_path / name, **{**defaults, **changes})

    return make


@pytest.fixture
def dataset(request_of: Callable[..., BuildRequest], place: Place) -> Path:
    """The folder of a dataset of the small hand-written sources."""
    return building.build(request_of(), place, silent).folder


@pytest.fixture(scope="module")
def few_pictures() -> Iterator[None]:
    """The judge is content with as few training pictures as a painted run has."""
    from kanjiprep.evaluation import reference
    from tests.painted_run import TRAINING

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "LEAST", TRAINING)
        yield


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory, few_pictures: None) -> Ways:
    """How painted runs are judged: by their pictures alone, with a cache of its own for each module."""
    from kanjiprep.evaluation.judging import Ways

    folder = tmp_path_factory.mktemp("ways")
    return Ways(None, "off", False, folder / "cache", folder / "judges")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs the command line and gives its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = cli.run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(os.environ, "COLUMNS", "80")
