"""The real SimpleTuner, and a tiny model for it. Missing is a failure here, never a skip."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.training import tiny_model
from kanjiprep.training import trainer as trainers
from kanjiprep.training.running import processes
from kanjiprep.training.trainer import Trainer
from tests.trainer.place import SAMPLES, TOKEN, Place

Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def trainer() -> Trainer:
    """The trainer that KANJIPREP_SIMPLETUNER names, or the managed one, or the one on PATH."""
    try:
        return trainers.find(None, os.environ, trainers.managed_folder(os.environ))
    except TrainerError as error:
        pytest.fail(f"the trainer tests need the real SimpleTuner: {error}", pytrace=False)


@pytest.fixture(scope="session")
def tiny_sd3(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny SD3 pipeline."""
    return tiny_model.make(trainer, tmp_path_factory.mktemp("tiny") / "sd3")


@pytest.fixture(scope="session")
def ask(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """A function that asks the oracle, one process for all questions."""
    words = [str(trainer.python), str(Path(__file__).parent / "oracle.py")]
    scratch = tmp_path_factory.mktemp("oracle")
    environ = {**os.environ, "SIMPLETUNER_LOG_LEVEL": "ERROR"}
    with (
        (scratch / "said").open("w") as said,
        subprocess.Popen(
            words, cwd=scratch, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
        ) as oracle,
    ):
        assert oracle.stdin is not None
        assert oracle.stdout is not None

        def put(**question: Any) -> Any:
            assert oracle.stdin is not None
            assert oracle.stdout is not None
            oracle.stdin.write(json.dumps(question) + "\n")
            oracle.stdin.flush()
            answer = oracle.stdout.readline()
            assert answer, (scratch / "said").read_text("utf-8")[-2000:]
            return json.loads(answer)

        yield put
        oracle.stdin.close()


@pytest.fixture(scope="module")
def place(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("runs")
    environ = {**os.environ, "KANJIPREP_SIMPLETUNER": str(trainer.python), "HF_HUB_OFFLINE": "1", "HF_TOKEN": TOKEN}
    found = Place(folder, environ)
    found.run("build", "--limit", str(SAMPLES), "--size-px", "256")
    yield found
    for run in (folder / "runs").iterdir():
        processes.end(processes.run_id(run), 5.0)
