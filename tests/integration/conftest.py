"""What tests of several commands need: a Hub on this machine, and a desk with a dataset to push to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import pushes
from tests.conftest import Run
from tests.hub_server import Hub
from tests.pushes import Desk


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset; it is only copied."""
    return pushes.build(tmp_path_factory.mktemp("built") / "dataset")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub") as open_hub:
        yield open_hub


@pytest.fixture
def desk(hub: Hub, built: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return pushes.desk(hub, built, tmp_path, run, monkeypatch)
