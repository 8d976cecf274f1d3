from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.training import trainer as trainers
from kanjiprep.training.trainer import Trainer

TRAINER = Trainer(Path("/env/bin/python"), "4.10.1", Path("/env/simpletuner"), "option")
CONFIG = Path("/run/config")


@pytest.mark.parametrize("version", ["4.8", "4.8.0", "4.10.1", "4.11.0rc1", "4.99.3.dev1"])
def test_4_8_and_newer_4_are_supported(version: str) -> None:
    assert trainers.is_supported(version)


@pytest.mark.parametrize("version", ["3.1.6", "4.7.9", "5.0.0", "5.10", "40.8", "four", ""])
def test_older_newer_and_odd_versions_are_not(version: str) -> None:
    assert not trainers.is_supported(version)


def test_one_gpu_is_served_by_train_py_itself() -> None:
    assert trainers.command(TRAINER) == ["/env/bin/python", "/env/simpletuner/train.py"]
    assert trainers.command(TRAINER, gpus=1) == trainers.command(TRAINER)


def test_more_gpus_are_served_by_accelerate() -> None:
    line = trainers.command(TRAINER, gpus=4)
    assert line[:3] == ["/env/bin/python", "-m", "accelerate.commands.launch"]
    assert line[line.index("--num_processes") + 1] == "4"
    assert line[line.index("--mixed_precision") + 1] == "bf16"
    assert line[-1] == "/env/simpletuner/train.py"


def test_a_run_on_a_gpu_reads_our_config_and_tells_no_one() -> None:
    ours = trainers.environment(CONFIG, {"HOME": "/home/me", "HF_TOKEN": "t", "PYTHONPATH": "/mine"}, on_gpu=True)
    assert ours == {
        "HOME": "/home/me",
        "HF_TOKEN": "t",
        "PYTHONPATH": f"{trainers.INSIDE / 'shim'}:/mine",
        "CONFIG_BACKEND": "json",
        "CONFIG_PATH": "/run/config",
        "SIMPLETUNER_DISABLE_COLORS": "1",
        "PYTHONUNBUFFERED": "1",
        "TQDM_POSITION": "-1",
        "TOKENIZERS_PARALLELISM": "false",
        "WANDB_MODE": "disabled",
    }


def test_wandb_is_left_alone_when_asked_for() -> None:
    assert "WANDB_MODE" not in trainers.environment(CONFIG, {}, on_gpu=True, wandb=True)
    assert trainers.environment(CONFIG, {"WANDB_MODE": "offline"}, on_gpu=True, wandb=True)["WANDB_MODE"] == "offline"
    assert trainers.environment(CONFIG, {"WANDB_MODE": "online"}, on_gpu=True)["WANDB_MODE"] == "disabled"


def test_the_shim_comes_first_and_a_run_without_a_gpu_is_told_so() -> None:
    ours = trainers.environment(CONFIG, {"PYTHONPATH": "/mine"}, on_gpu=False)
    shim, _, rest = ours["PYTHONPATH"].partition(os.pathsep)
    assert (Path(shim) / "sitecustomize.py").is_file()
    assert [path.name for path in Path(shim).glob("*.py")] == ["sitecustomize.py"]
    assert rest == "/mine"
    assert (ours["ACCELERATE_USE_CPU"], ours["ACCELERATE_MIXED_PRECISION"]) == ("true", "bf16")
    assert trainers.environment(CONFIG, {}, on_gpu=False)["PYTHONPATH"] == shim


@pytest.mark.parametrize("name", ["ENV", "SIMPLETUNER_CONFIG_BACKEND", "SIMPLETUNER_ENVIRONMENT", "PYTHONHOME"])
def test_what_would_lead_the_trainer_to_another_config_is_not_passed_on(name: str) -> None:
    assert name not in trainers.environment(CONFIG, {name: "x"}, on_gpu=True)


def test_the_managed_folder_can_be_moved(tmp_path: Path) -> None:
    assert trainers.managed_folder({"KANJIPREP_TRAINER_HOME": str(tmp_path)}) == tmp_path
    assert trainers.managed_folder({"KANJIPREP_TRAINER_HOME": "~/x"}) == Path.home() / "x"
    assert trainers.managed_folder({}).parts[-2:] == ("kanjiprep", "simpletuner")


@pytest.mark.parametrize("name", ["nowhere", "nowhere/simpletuner"])
def test_a_place_where_nothing_is_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrainerError, match=f"{name}: is not there; .*run kanjiprep setup-trainer"):
        trainers.find(str(tmp_path / name), {}, tmp_path)


def test_a_folder_without_a_python_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="bin/python: is not there"):
        trainers.find(str(tmp_path), {}, tmp_path)


def test_the_variable_is_never_passed_over(tmp_path: Path) -> None:
    (tmp_path / trainers.MARKER).touch()
    with pytest.raises(TrainerError, match="gone: is not there"):
        trainers.find(None, {"KANJIPREP_SIMPLETUNER": str(tmp_path / "gone")}, tmp_path)


def test_nothing_found_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "managed").mkdir()  # without its marker an environment is unfinished
    says = "SimpleTuner was not found; run kanjiprep setup-trainer, or set KANJIPREP_SIMPLETUNER"
    with pytest.raises(TrainerError, match=says):
        trainers.find(None, {"PATH": str(tmp_path)}, tmp_path / "managed")


def script(folder: Path, text: str) -> Path:
    path = folder / "simpletuner"
    path.write_text(text, "utf-8")
    return path


def interpreter(folder: Path, name: str = "python") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_scripts_python_is_read_from_its_first_line(tmp_path: Path) -> None:
    python = interpreter(tmp_path / "env" / "bin", "python3.12")
    assert trainers.python_of(script(tmp_path, f"#!{python}\nimport sys\n")) == python


def test_a_script_reached_by_a_link_belongs_to_its_own_environment(tmp_path: Path) -> None:
    python = interpreter(tmp_path / "env" / "bin")
    link = tmp_path / "bin"
    link.mkdir()
    (link / "simpletuner").symlink_to(script(python.parent, f"#!{python}\n"))
    assert trainers.python_of(link / "simpletuner") == python


def test_a_script_whose_first_line_would_be_too_long_names_its_python_in_the_second(tmp_path: Path) -> None:
    python = interpreter(tmp_path / "env" / "bin")
    assert trainers.python_of(script(tmp_path, f"#!/bin/sh\n'''exec' {python} \"$0\" \"$@\"\n' '''\n")) == python
    quoted = interpreter(tmp_path / "my env" / "bin")
    assert trainers.python_of(script(tmp_path, f'#!/bin/sh\n\'\'\'exec\' "{quoted}" "$0" "$@"\n')) == quoted


def test_a_movable_script_belongs_to_the_python_beside_it(tmp_path: Path) -> None:
    python = interpreter(tmp_path)
    movable = '#!/bin/sh\n\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")"/\'python\' "$0" "$@"\n'
    assert trainers.python_of(script(tmp_path, movable)) == python


def test_a_python_is_itself_and_its_link_is_not_followed(tmp_path: Path) -> None:
    base = interpreter(tmp_path / "base")
    link = tmp_path / "env" / "bin" / "python"
    link.parent.mkdir(parents=True)
    link.symlink_to(base)
    assert trainers.python_of(link) == link
    assert trainers.python_of(tmp_path / "env") == link


def test_the_last_line_is_the_last_that_says_something() -> None:
    assert trainers.last_line("one\n\x1b[31mtwo\x1b[0m\n \x1b[0m\n") == "two"
    assert trainers.last_line("") == ""


@pytest.mark.parametrize("path", sorted(trainers.INSIDE.rglob("*.py")), ids=lambda path: path.stem)
def test_what_runs_inside_the_trainer_needs_nothing_of_ours_and_raises_nothing(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    assert [name for name in modules if name.startswith("kanjiprep")] == []
    assert [node.lineno for node in nodes if isinstance(node, ast.Raise)] == []


def test_a_path_that_cannot_be_looked_at_is_told() -> None:
    with pytest.raises(TrainerError, match="cannot be looked at: file name too long; check its permissions"):
        trainers._existing(Path("x" * 5000))
