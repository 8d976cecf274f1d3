import tomllib
from pathlib import Path

import pytest

from kanjiprep import spec as tables
from kanjiprep.errors import UsageError
from kanjiprep.resources import shipped
from kanjiprep.spec import SpecError
from kanjiprep.training import presets
from kanjiprep.training.run_spec import RunSpec

USERS = "sd35-large-lora-lr1.05e-3"
GOOD = """
title = "mine"
[training]
epochs = 2
[checkpoints]
every_epochs = 1
[validation]
prompts = { a = "b" }
"""


def preset(folder: Path, text: str = GOOD) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.toml").write_text(text, "utf-8")
    return folder


def test_every_shipped_preset_is_whole_and_says_why() -> None:
    assert len(presets.names()) >= 7
    for name in presets.names():
        found = presets.load(name).spec
        assert len(found.title) > 20
        assert len(found.why) > 100


def test_the_users_two_runs_are_as_they_were_but_for_their_rate() -> None:
    first, second = (presets.load(f"sd35-large-lora-lr{rate}").spec for rate in ("1.05e-3", "9.5e-4"))
    assert (first.lora.rank, first.lora.alpha, first.training.batch) == (768, None, 6)
    assert first.validation.prompts == {"mountains": "mountains"}
    assert (first.schedule.shape, first.training.steps_by_hand) == ("periodic-cosine", 36_000)
    assert (first.optimizer.learning_rate, second.optimizer.learning_rate) == (1.05e-3, 9.5e-4)
    assert first.schedule == second.schedule
    assert first.training == second.training


def test_a_folder_and_a_file_are_presets_too(tmp_path: Path) -> None:
    folder = preset(tmp_path / "mine")
    assert presets.load(str(folder)).spec.title == "mine"
    assert presets.load(str(folder / "run.toml")).name == "mine"
    (folder / "other.toml").write_text(GOOD, "utf-8")
    assert presets.load(str(folder / "other.toml")).name == "other"


def test_settings_change_values_and_keep_their_types(tmp_path: Path) -> None:
    folder = str(preset(tmp_path / "mine"))
    settings = (
        "lora.rank=16",
        "optimizer.learning_rate = 2e-5",
        "title=a b",
        'model.flavour="medium"',
        "why=3\nx = 4",
    )
    found = presets.load(folder, settings).spec
    assert (found.lora.rank, found.optimizer.learning_rate) == (16, 2e-5)
    assert (found.title, found.model.flavour, found.why) == ("a b", "medium", "3\nx = 4")


def test_setting_one_of_a_pair_drops_the_presets_other(tmp_path: Path) -> None:
    folder = str(preset(tmp_path / "mine"))
    found = presets.load(folder, ("training.steps=36_000", "checkpoints.every_steps=600")).spec
    assert (found.training.epochs, found.training.steps) == (None, 36_000)
    assert (found.checkpoints.every_epochs, found.checkpoints.every_steps) == (None, 600)
    assert presets.load(USERS, ("schedule.shape=polynomial",)).spec.schedule.half_period_steps is None
    with pytest.raises(SpecError, match="training.epochs and training.steps are both set"):
        presets.load(folder, ("training.steps=5", "training.epochs=2"))


def test_files_named_on_the_command_line_are_looked_for_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "ink.toml").write_text('prefix = "ink, "\n', "utf-8")
    (tmp_path / "cats.toml").write_text('[prompts]\ncat = "a cat"\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    settings = ("model.path=model", "validation.style=ink.toml", 'validation.libraries=["cats.toml"]')
    found = presets.load("sd35-large-lora", settings)
    assert found.spec.model.path == str(tmp_path / "model")
    assert found.prompts.by_name == {"cat": "ink, a cat"}


def test_texts_may_look_like_numbers(tmp_path: Path) -> None:
    folder = str(preset(tmp_path / "mine"))
    found = presets.load(folder, ("model.family=sd1x", "model.flavour=1.5", "model.train=full", "title=7")).spec
    assert (found.model.flavour, found.title) == ("1.5", "7")


def test_a_model_beside_its_preset_is_found_from_anywhere_and_a_repository_stays(tmp_path: Path) -> None:
    folder = preset(tmp_path / "mine")
    (folder / "weights").mkdir()
    found = presets.load(str(folder), ("model.path=weights",)).spec
    assert found.model.path == str(folder / "weights")
    assert presets.load(str(folder), ("model.path=me/mine",)).spec.model.path == "me/mine"


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    text = """
[lora]
rnak = 4
alpha = 0
[optimizer]
learning_rate = "fast"
[training]
epochs = 2
batch = -1
[checkpoints]
every_epochs = 1
[validation]
libraries = ["gone.toml"]
[machine]
gpu = "a100"
"""
    folder = preset(tmp_path / "bad", text)
    (folder / "config.json.j2").write_text('{"a": {{ rnak | tojson }}}', "utf-8")
    with pytest.raises(SpecError) as caught:
        presets.load(str(folder), ('lora.targets=["to_qq"]', "nonsense", "title.x=1"))
    problems = caught.value.problems
    for part in (
        "--set 'nonsense' is not of the form key=value",
        "lora.rnak is not a key here, did you mean 'rank'?",
        "lora.alpha must be above 0",
        "optimizer.learning_rate must be a number, not 'fast'",
        "training.batch must be at least 1 and at most 1000000, not -1",
        "no prompts file 'gone.toml'",
        "config.json.j2:1: {{ rnak }} is not a name here, did you mean 'rank'?",
        "machine.gpu 'a100' is not known; known are cpu, a100-40gb-sxm",
        "lora.targets: ",
        "--set title must be a text",
    ):
        assert any(part in problem for problem in problems), part
    assert caught.value.exit_code == 2


def test_a_key_with_a_problem_of_its_own_contradicts_nothing(tmp_path: Path) -> None:
    folder = preset(tmp_path / "bad", GOOD.replace("epochs = 2", 'epochs = "two"'))
    with pytest.raises(SpecError) as caught:
        presets.load(str(folder))
    assert caught.value.problems == ("training.epochs must be a whole number, not 'two'",)


def test_a_setting_inside_something_that_is_no_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="--set title.x: title is no table"):
        presets.load(str(preset(tmp_path / "mine")), ("title.x=1",))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sd35-large-lroa", "no preset 'sd35-large-lroa', did you mean 'sd35-large-lora'?; give one of sd15-full"),
        ("broken", "not TOML: "),
        ("binary", "not TOML: "),
        ("deep", "not TOML: "),
        ("digits", "not TOML: "),
        ("x" * 5000, "no preset 'xxxx"),
    ],
)
def test_what_is_no_preset_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    preset(tmp_path / "broken", "[lora")
    preset(tmp_path / "deep", "a = " + "[" * 5000)
    preset(tmp_path / "digits", "a = " + "9" * 5000)
    (preset(tmp_path / "binary") / "run.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=says.replace("?", r"\?")):
        presets.load(name)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    folder = preset(tmp_path / "secret")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UsageError, match="run.toml: cannot be read: permission denied"):
        presets.load(str(folder))


def test_the_resolved_spec_means_the_same_anywhere(tmp_path: Path) -> None:
    folder = preset(tmp_path / "mine", GOOD + 'libraries = ["more.toml"]\nstyle = "ink.toml"\n')
    (folder / "more.toml").write_text('[prompts]\ncat = "a \\"cat\\""\n', "utf-8")
    (folder / "ink.toml").write_text('prefix = "ink, "\n', "utf-8")
    found = presets.load(str(folder), ("lora.rank=16",))
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "run.toml").write_bytes(presets.to_toml(found.resolved_spec()))
    again = presets.load(str(tmp_path / "else"))
    assert again.prompts == found.prompts
    assert again.spec == again.resolved_spec() == found.resolved_spec()


def test_every_shipped_spec_survives_being_written_out() -> None:
    for name in presets.names():
        found = presets.load(name).spec
        assert tables.from_table(RunSpec, tomllib.loads(presets.to_toml(found).decode()), name) == found


def test_shipped_presets_lie_where_the_readme_says() -> None:
    assert (shipped("simpletuner_configs") / "README.md").is_file()
