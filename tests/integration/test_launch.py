"""Launching up to the start, with a small script in the trainer's place."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.dataset import build as building
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.progress import silent
from kanjiprep.training import configs
from tests.conftest import Run
from tests.integration.test_trainer_seam import program

ANSWER = {"version": "4.10.1", "problems": [], "arrived": {}, "types": {}}


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that sets up a trainer whose check finds these problems."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KANJIPREP_SIMPLETUNER", str(tmp_path / "env"))

    def put(*problems: tuple[str, str]) -> None:
        told = {**ANSWER, "problems": [{"kind": "unknown", "key": key, "text": text} for key, text in problems]}
        body = f"""
        import json, pathlib, sys
        if sys.argv[1] == "-c":
            print(json.dumps({{"version": "4.10.1", "package": "/env/simpletuner"}}))
        elif sys.argv[1].endswith("check.py"):
            pathlib.Path(sys.argv[2]).write_text({json.dumps(told)!r})
        else:
            (pathlib.Path(sys.argv[2]) / "model_index.json").write_text("{{}}")
        """
        program(tmp_path / "env" / "bin" / "python", body)

    return put


@pytest.fixture(autouse=True)
def dataset(request_of: Callable[..., BuildRequest], place: Place) -> Path:
    request: Any = request_of()
    building.build(request, place, silent)
    return Path(request.out)


LAUNCH = ("launch-simpletuner", "tiny-cpu", "--set", "training.batch=3", "--dry-run", "--name", "try")


def test_a_dry_run_renders_checks_and_prints_the_line_that_starts_it(
    run: Run, trainer: Callable[..., None], tmp_path: Path, dataset: Path
) -> None:
    trainer()
    before = sorted(path.name for path in dataset.iterdir())
    code, out, err = run(*LAUNCH)
    assert code == 0, err
    assert "rendered: " in err
    assert "checked: SimpleTuner 4.10.1 accepts every key" in err
    folder = tmp_path / "runs" / "try"
    words = shlex.split(out)
    assert words[:4] == ["cd", str(folder), "&&", "env"]
    assert words[-2:] == [str(tmp_path / "env" / "bin" / "python"), "/env/simpletuner/train.py"]
    assert f"CONFIG_PATH={folder / 'config'}" in words
    assert "ACCELERATE_USE_CPU=true" in words
    config = json.loads((folder / "config" / "config.json").read_text("utf-8"))
    assert (Path(config["pretrained_model_name_or_path"]) / "model_index.json").is_file()
    assert len((folder / "config" / configs.CAPTIONS).read_text("utf-8").splitlines()) == 3
    assert sorted(path.name for path in dataset.iterdir()) == before


def test_a_dry_run_prints_one_json_document(run: Run, trainer: Callable[..., None], tmp_path: Path) -> None:
    trainer()
    code, out, err = run(*LAUNCH, "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert set(document) == {
        "run", "preset", "dataset", "digest", "hub", "steps", "findings", "trainer", "command", "environment", "line",
    }  # fmt: skip
    assert document["run"] == str(tmp_path / "runs" / "try")
    assert document["environment"]["CONFIG_BACKEND"] == "json"


def test_what_the_trainer_refuses_is_told_at_once_and_nothing_is_written(
    run: Run, trainer: Callable[..., None], tmp_path: Path
) -> None:
    trainer(("lora_rnak", "unknown"), ("seed", "must be int"))
    code, out, err = run(*LAUNCH)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[-3:] == ["error: SimpleTuner 4.10.1: 2 problems", "  lora_rnak: unknown", "  seed: must be int"]
    assert not (tmp_path / "runs").exists()


def test_what_the_rules_call_an_error_is_refused_before_the_trainer_is_asked(
    run: Run, trainer: Callable[..., None], tmp_path: Path
) -> None:
    trainer(("never", "asked"))
    code, _, err = run("launch-simpletuner", "tiny-cpu", "--dry-run")
    assert code == 2
    assert "bucket-too-small: Bucket 1.0 has 3 samples, one step needs 6." in err
    assert not (tmp_path / "runs").exists()


def test_a_begun_run_is_not_overwritten(run: Run, trainer: Callable[..., None], tmp_path: Path) -> None:
    trainer()
    assert run(*LAUNCH)[0] == 0
    assert run(*LAUNCH)[0] == 0
    (tmp_path / "runs" / "try" / "output").mkdir()
    code, _, err = run(*LAUNCH)
    assert code == 2
    assert "holds more than a rendering: output; give the new run another --name" in err


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("machine.gpu=a100-40gb-sxm", "machine.gpus=2"), "2 x a100-40gb-sxm, and nvidia-smi shows 1 GPUs here"),
        (("guard.max_usd=40",), "guard.max_usd: has no price for 1 x cpu; limit the hours with --max-hours"),
    ],
)
def test_what_this_machine_cannot_do_is_refused_before_the_trainer_is_asked(
    run: Run,
    trainer: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: tuple[str, ...],
    says: str,
) -> None:
    trainer(("never", "asked"))
    program(tmp_path / "bin" / "nvidia-smi", "print('NVIDIA A100, 570.1, 0, 1, 40960, 40, 60')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    words = [word for setting in ("training.batch=3", *settings) for word in ("--set", setting)]
    code, _, err = run("launch-simpletuner", "tiny-cpu", *words)
    assert code == 2
    assert says in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", ""])
def test_a_name_that_is_no_folder_is_refused(run: Run, trainer: Callable[..., None], name: str) -> None:
    trainer()
    code, _, err = run(*LAUNCH[:-1], name)
    assert code == 2, err


def test_warnings_are_said_and_do_not_stop_it(run: Run, trainer: Callable[..., None]) -> None:
    trainer()
    code, _, err = run(*LAUNCH, "--set", "validation.guidance=7.5")
    assert code == 0
    assert "warning: guidance-too-high: " in err


def test_setup_tells_where_the_trainer_is(run: Run, trainer: Callable[..., None], monkeypatch: Any) -> None:
    from kanjiprep.training.setup_plan import SetupPlan
    from kanjiprep.training.trainer import Trainer

    agreed = SetupPlan(Path("/env"), "cpu", "3.12", 3.1, 6.5, True, False)
    engine = Trainer(Path("/env/bin/python"), "4.10.1", Path("/env/simpletuner"), "managed")
    monkeypatch.setattr("kanjiprep.training.setup_trainer.plan", lambda _: agreed)
    monkeypatch.setattr("kanjiprep.training.setup_trainer.setup", lambda *_: engine)
    code, out, err = run("setup-trainer")
    assert (code, out) == (0, "")
    assert "ready: SimpleTuner 4.10.1, /env/bin/python" in err
    _, out, _ = run("setup-trainer", "--json")
    package = "/env/simpletuner"
    assert json.loads(out) == {"python": "/env/bin/python", "version": "4.10.1", "package": package, "how": "managed"}
