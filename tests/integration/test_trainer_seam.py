"""The seam to the trainer's environment, with small scripts in the trainer's place."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.progress import Progress
from kanjiprep.training import deep_check, setup_plan, setup_trainer, tiny_model
from kanjiprep.training import trainer as trainers
from kanjiprep.training.setup_plan import SetupRequest
from kanjiprep.training.trainer import Trainer

ANSWER = {"version": "4.10.1", "problems": [], "arrived": {"lora_rank": 4}, "types": {"lora_rank": "int"}}


def program(path: Path, body: str) -> Path:
    """An executable Python script at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n" + textwrap.dedent(body), "utf-8")
    path.chmod(0o755)
    return path


def telling(version: str) -> str:
    answer = json.dumps({"version": version, "package": "/env/simpletuner" if version else ""})
    return f"print('a library talks')\nprint({answer!r})\n"


def trainer_of(path: Path, body: str) -> Trainer:
    return Trainer(program(path / "bin" / "python", body), "4.10.1", path / "simpletuner", "option")


# Finding -----------------------------------------------------------------------------------------------------------


def test_the_four_places_are_looked_at_in_order(tmp_path: Path) -> None:
    for name in ("option", "variable", "managed", "path"):
        program(tmp_path / name / "bin" / "python", telling("4.10.1"))
    (tmp_path / "managed" / trainers.MARKER).touch()
    script = program(tmp_path / "path" / "bin" / "simpletuner", "")
    script.write_text(f"#!{tmp_path}/path/bin/python\n", "utf-8")
    environ = {"KANJIPREP_SIMPLETUNER": str(tmp_path / "variable"), "PATH": str(script.parent)}
    found = trainers.find(str(tmp_path / "option"), environ, tmp_path / "managed")
    assert found == Trainer(tmp_path / "option/bin/python", "4.10.1", Path("/env/simpletuner"), "option")
    del environ["PATH"]
    assert trainers.find(None, environ, tmp_path / "managed").how == "environment variable"
    environ = {"PATH": str(script.parent)}
    assert trainers.find(None, environ, tmp_path / "managed").how == "managed"
    found = trainers.find(None, environ, tmp_path / "nowhere")
    assert (found.how, found.python) == ("PATH", tmp_path / "path/bin/python")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (telling("3.1.6"), "SimpleTuner 3.1.6 is not supported: 4.8 and newer 4.x are, tested with 4.10.1"),
        (telling("5.0.0"), "SimpleTuner 5.0.0 is not supported"),
        (telling(""), "has no SimpleTuner; give another environment, or run kanjiprep setup-trainer"),
        ("print('hello')", "does not answer like a Python"),
        ("", "does not answer like a Python"),
        ("import sys; sys.exit('No module named what\\n\\n')", "failed with code 1: No module named what"),
        ("raise SystemExit(3)", "failed with code 3: without a word"),
    ],
)
def test_a_named_trainer_that_does_not_work_is_told_and_not_passed_over(tmp_path: Path, body: str, says: str) -> None:
    program(tmp_path / "broken" / "bin" / "python", body)
    program(tmp_path / "managed" / "bin" / "python", telling("4.10.1"))
    (tmp_path / "managed" / trainers.MARKER).touch()
    with pytest.raises(TrainerError, match=says) as caught:
        trainers.find(str(tmp_path / "broken"), {}, tmp_path / "managed")
    assert "kanjiprep setup-trainer" in str(caught.value)
    assert "broken/bin/python" in str(caught.value)
    assert caught.value.exit_code == 6


def test_a_python_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("no program", "utf-8")
    with pytest.raises(TrainerError, match="python: cannot be started: permission denied"):
        trainers.find(str(tmp_path / "python"), {}, tmp_path)


def test_a_real_python_without_simpletuner_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="has no SimpleTuner"):
        trainers.find(sys.executable, {}, tmp_path)


# Asking ------------------------------------------------------------------------------------------------------------


def test_the_check_puts_the_question_and_reads_the_answer_from_a_folder_of_its_own(tmp_path: Path) -> None:
    body = f"""
    import json, os, sys
    question = json.load(sys.stdin)
    print("libraries talk", question)
    answer = {ANSWER!r}
    script = os.path.basename(sys.argv[1])
    facts = {{"question": question, "script": script, "files": os.listdir(), "cwd": os.getcwd()}}
    answer["arrived"] = facts | {{"hub": os.environ["HF_HUB_OFFLINE"]}}
    open(sys.argv[2], "w").write(json.dumps(answer))
    """
    found = deep_check.check(trainer_of(tmp_path, body), {"prompt": "亜"}, [{"id": "kanji"}])
    assert found.arrived["question"] == {"config": {"prompt": "亜"}, "backends": [{"id": "kanji"}]}
    assert (found.arrived["script"], found.arrived["files"], found.arrived["hub"]) == ("check.py", [], "1")
    assert not Path(str(found.arrived["cwd"])).exists()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("import sys; sys.exit('Traceback\\nImportError: no torch')", "failed with code 1: ImportError: no torch"),
        ("import os; os.kill(os.getpid(), 9)", "failed with code -9"),
        ("pass", "its check gave no answer that is understood"),
        ("import sys; open(sys.argv[2], 'w').write('{')", "its check gave no answer that is understood"),
    ],
)
def test_a_check_that_fails_is_told(tmp_path: Path, body: str, says: str) -> None:
    with pytest.raises(TrainerError, match=says):
        deep_check.check(trainer_of(tmp_path, body), {}, [])


def test_a_check_that_hangs_is_ended_and_told(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=r"check.py: gave no answer within 0\.3 s"):
        deep_check.check(trainer_of(tmp_path, "import time; time.sleep(60)"), {}, [], timeout_s=0.3)


# The tiny model ----------------------------------------------------------------------------------------------------

FILLING = "import sys; open(sys.argv[2] + '/model_index.json', 'w').write(sys.argv[3])"


def test_the_model_is_made_aside_and_renamed(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "tiny"
    assert tiny_model.make(trainer_of(tmp_path, FILLING), out, seed=7) == out
    assert (out / "model_index.json").read_text("utf-8") == "7"
    assert [entry.name for entry in out.parent.iterdir()] == ["tiny"]
    tiny_model.make(trainer_of(tmp_path, "raise SystemExit(1)"), out)


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="tiny_model.py: failed with code 1: out of memory"):
        tiny_model.make(trainer_of(tmp_path, FILLING + "\nsys.exit('out of memory')"), tmp_path / "out" / "tiny")
    assert list((tmp_path / "out").iterdir()) == []


def test_whoever_is_first_wins(tmp_path: Path) -> None:
    meanwhile = f"import pathlib; other = pathlib.Path({str(tmp_path / 'tiny')!r}); other.mkdir()\n"
    body = f"{FILLING}\n{meanwhile}(other / 'model_index.json').write_text('theirs')"
    tiny_model.make(trainer_of(tmp_path, body), tmp_path / "tiny")
    assert (tmp_path / "tiny" / "model_index.json").read_text("utf-8") == "theirs"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bin", "tiny"]


# Setting up --------------------------------------------------------------------------------------------------------

UV = """
import json, os, pathlib, sys, time
log = pathlib.Path(__file__).with_name("log")
with log.open("a") as stream:
    stream.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1:3] == ["python", "find"]:
    sys.exit("pyenv: python3.12: command not found")
elif sys.argv[1] == "venv":
    where = pathlib.Path(sys.argv[-1])
    (where / "bin").mkdir(parents=True, exist_ok=True)
    python = where / "bin" / "python"
    python.write_text("#!" + sys.executable + "\\n" + os.environ["FAKE_PYTHON"])
    python.chmod(0o755)
else:
    print("Resolved 2 packages\\n Downloaded torch\\n    Built mup\\n Downloaded numpy", file=sys.stderr, flush=True)
    time.sleep(float(os.environ.get("FAKE_SLEEP_S", "0")))
    if os.environ.get("FAKE_FAILURE"):
        sys.exit(os.environ["FAKE_FAILURE"])
"""
GOOD = telling("4.10.1")
UNLOADABLE = f"import sys\nif 'helpers.training' in sys.argv[2]: sys.exit('ImportError: Qwen')\n{GOOD}"


class Workshop:
    """A folder with a fake uv, and a setup that uses it."""

    def __init__(self, folder: Path) -> None:
        self.where = folder / "home" / "env"
        self.heard: list[tuple[str, int, int | None]] = []
        self._uv = program(folder / "tools" / "uv", UV)
        self.environ = {"HOME": str(folder), "PATH": str(folder / "tools"), "FAKE_PYTHON": GOOD}

    def set_up(self, accelerator: Any = "auto", hear: Progress | None = None, **variables: str) -> Trainer:
        request, environ = SetupRequest(self.where, accelerator), self.environ | variables
        return setup_trainer.setup(request, hear or self._hear, environ, lambda: str(self._uv))

    def lines(self) -> list[list[str]]:
        log = self._uv.with_name("log")
        return [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []

    def made(self) -> list[str]:
        return [line[0] for line in self.lines() if line[0] != "python"]

    def _hear(self, stage: str, done: int, total: int | None) -> None:
        self.heard.append((stage, done, total))


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_setup_makes_the_environment_and_a_second_one_only_looks(workshop: Workshop) -> None:
    found = workshop.set_up()
    assert found == Trainer(workshop.where / "bin" / "python", "4.10.1", Path("/env/simpletuner"), "managed")
    assert workshop.made() == ["venv", "pip"]
    assert workshop.lines()[-1][-1] == "simpletuner[cpu]==4.10.1"
    assert sorted(entry.name for entry in workshop.where.iterdir()) == [trainers.MARKER, "bin"]
    assert [entry for entry in workshop.heard if entry[0] == "install SimpleTuner"][-1] == (
        "install SimpleTuner",
        3,
        3,
    )
    assert workshop.heard[-1] == ("try it", 1, 1)
    assert workshop.set_up() == found
    assert workshop.made() == ["venv", "pip"]
    assert trainers.find(None, {"PATH": ""}, workshop.where) == found


def test_a_failed_download_is_told_with_uvs_own_words_and_leaves_nothing(workshop: Workshop) -> None:
    says = r"could not install SimpleTuner: .*Downloaded numpy no route to host; look at the network and the disk"
    with pytest.raises(TrainerError, match=says):
        workshop.set_up(FAKE_FAILURE="no route to host")
    assert not workshop.where.exists()


def test_an_environment_that_cannot_be_loaded_is_told_and_not_kept(workshop: Workshop) -> None:
    with pytest.raises(TrainerError, match="failed with code 1: ImportError: Qwen"):
        workshop.set_up(FAKE_PYTHON=UNLOADABLE)
    assert not workshop.where.exists()


def test_an_unfinished_one_is_finished_and_kept_if_that_fails(workshop: Workshop) -> None:
    workshop.where.mkdir(parents=True)
    (workshop.where / setup_plan.BUILDING).touch()
    with pytest.raises(TrainerError, match="could not install"):
        workshop.set_up(FAKE_FAILURE="full disk")
    assert (workshop.where / setup_plan.BUILDING).exists()
    with pytest.raises(TrainerError, match="was not found"):
        trainers.find(None, {"PATH": ""}, workshop.where)
    assert workshop.set_up().how == "managed"


def test_one_of_another_lock_is_made_anew_in_place(workshop: Workshop) -> None:
    workshop.set_up()
    (workshop.where / trainers.MARKER).write_text("{}", "utf-8")
    workshop.set_up()
    assert workshop.made() == ["venv", "pip"] * 2
    assert (workshop.where / trainers.MARKER).read_text("utf-8") == setup_plan.written("cpu")


def test_a_driver_makes_it_cuda_and_a_cpu_one_grows_into_it(workshop: Workshop) -> None:
    workshop.set_up()
    program(Path(workshop.environ["PATH"]) / "nvidia-smi", "print('580.105.08\\n580.105.08')")
    workshop.set_up()
    assert workshop.lines()[-1][-1] == "simpletuner[cuda13]==4.10.1"
    assert workshop.set_up("cpu").how == "managed"
    assert workshop.made() == ["venv", "pip"] * 2


def test_a_driver_tool_that_fails_counts_as_no_driver(workshop: Workshop) -> None:
    program(Path(workshop.environ["PATH"]) / "nvidia-smi", "raise SystemExit('could not communicate')")
    with pytest.raises(TrainerError, match="no NVIDIA driver answers here"):
        workshop.set_up("cuda")


def test_pyenvs_python_is_taken_where_its_stand_in_stops_uv(workshop: Workshop) -> None:
    versions = Path(workshop.environ["HOME"]) / ".pyenv" / "versions"
    program(versions / "3.12.1" / "bin" / "python3.12", "raise SystemExit('broken')")
    python = program(versions / "3.13.0" / "bin" / "python3.13", "print('it runs')")
    workshop.set_up()
    (line,) = (line for line in workshop.lines() if line[0] == "venv")
    assert line[line.index("--python") + 1] == str(python)


def test_two_setups_at_once_are_told(workshop: Workshop) -> None:
    workshop.where.parent.mkdir()
    with workshop.where.with_name(".env.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TrainerError, match="another setup is at work here; wait for it or stop it"):
            workshop.set_up()


def test_a_place_that_cannot_be_written_is_told(workshop: Workshop) -> None:
    workshop.where.parent.touch()
    with pytest.raises(TrainerError, match="cannot be set up: file exists"):
        workshop.set_up()


def test_a_folder_of_others_is_left_alone(workshop: Workshop) -> None:
    workshop.where.mkdir(parents=True)
    (workshop.where / "letters.txt").touch()
    with pytest.raises(TrainerError, match="is in the way and not ours"):
        workshop.set_up()
    assert os.listdir(workshop.where) == ["letters.txt"]  # noqa: PTH208


def test_an_interrupt_keeps_what_is_there_and_ends_uv(workshop: Workshop) -> None:
    def interrupt(stage: str, done: int, total: int | None) -> None:
        if done == 1:
            raise KeyboardInterrupt

    started_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        workshop.set_up(hear=interrupt, FAKE_SLEEP_S="60")
    assert time.monotonic() - started_s < 30
    assert (workshop.where / setup_plan.BUILDING).exists()
    assert not (workshop.where / trainers.MARKER).exists()
