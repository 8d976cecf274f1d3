import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.training import configs, pictures, presets, run_folder, schedule
from kanjiprep.training.configs import Places, RenderedConfig
from kanjiprep.training.pictures import Dataset, Picture
from kanjiprep.training.presets import Preset


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "亜.png").write_bytes(b"picture")
    return Dataset(tmp_path / "dataset", (Picture("亜.png", 'a "b"', 8, 8),))


TINY = presets.load("tiny-cpu")


def rendered(run: Path, preset: Preset = TINY) -> RenderedConfig:
    steps = schedule.count(preset.spec, {"1.0": 12})
    return configs.render(preset.spec, steps, preset.prompts, Places(run, run / "tiny"), preset.templates)


def test_a_run_folder_holds_what_the_trainer_reads(tmp_path: Path, dataset: Dataset) -> None:
    run = tmp_path / "runs" / "mine"
    run_folder.write(run, TINY, rendered(run), dataset)
    assert sorted(path.name for path in run.iterdir()) == ["SHA256SUMS", "config", "pictures", "run.toml"]
    assert {path.name for path in (run / "config").iterdir()} == {*configs.FILES, configs.CAPTIONS}
    assert json.loads((run / "config" / "config.json").read_text("utf-8"))["output_dir"] == str(run / "output")
    assert (run / "config" / "captions.jsonl").read_bytes() == pictures.captions_jsonl(dataset)
    assert (run / "pictures" / "亜.png").read_bytes() == b"picture"
    assert presets.load(str(run)).spec == TINY.resolved_spec()
    assert sorted(path.name for path in dataset.folder.iterdir()) == ["亜.png"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mine"]


def test_a_rendering_is_replaced_and_a_begun_run_is_not(tmp_path: Path, dataset: Dataset) -> None:
    run = tmp_path / "mine"
    run_folder.write(run, TINY, rendered(run), dataset)
    run_folder.write(run, TINY, rendered(run), dataset)
    (run / "output").mkdir()
    with pytest.raises(UsageError, match="mine: holds more than a rendering: output; give the new run"):
        run_folder.write(run, TINY, rendered(run), dataset)


@pytest.mark.parametrize(
    ("touch", "says"),
    [
        ("config/notes.txt", "config/notes.txt"),
        ("config/config.json", "config/config.json"),
        ("SHA256SUMS", "config/captions.jsonl, config/config.json, config/multidatabackend.json"),
        ("run.toml", "run.toml"),
        ("pictures/photo.png", "pictures/photo.png"),
        ("notes.txt", "notes.txt"),
    ],
)
def test_what_a_user_put_or_changed_there_is_not_lost(
    tmp_path: Path, dataset: Dataset, touch: str, says: str
) -> None:
    run = tmp_path / "mine"
    run_folder.write(run, TINY, rendered(run), dataset)
    (run / touch).write_bytes(b"\xff mine")
    with pytest.raises(UsageError, match=f"holds more than a rendering: {says}; give the new run another --name"):
        run_folder.write(run, TINY, rendered(run), dataset)
    assert (run / touch).read_bytes() == b"\xff mine"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        ("config/inner/", "config/inner"),
        ("run.toml", "run.toml"),
        ("run.toml/", "run.toml"),
        ("config", "config"),
        ("pictures", "pictures"),
        ("SHA256SUMS/", "SHA256SUMS"),
    ],
)
def test_what_bears_a_renderings_name_is_not_taken_for_one(
    tmp_path: Path, dataset: Dataset, make: str, says: str
) -> None:
    path = tmp_path / "mine" / make
    if make.endswith("/"):
        path.mkdir(parents=True)
        (path / "file").touch()
    else:
        path.parent.mkdir(parents=True)
        path.touch()
    with pytest.raises(UsageError, match=f"holds more than a rendering: {says}"):
        run_folder.write(tmp_path / "mine", TINY, rendered(tmp_path / "mine"), dataset)
    assert path.exists()


def test_a_file_in_the_place_of_the_run_is_told(tmp_path: Path, dataset: Dataset) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file: is no folder; move it away, or give the run another --name"):
        run_folder.write(tmp_path / "file", TINY, rendered(tmp_path / "file"), dataset)


def test_nothing_half_written_stays_behind(tmp_path: Path, dataset: Dataset) -> None:
    twice = Dataset(dataset.folder, (*dataset.pictures, *dataset.pictures))
    with pytest.raises(UsageError, match="cannot be written: file exists"):
        run_folder.write(tmp_path / "mine", TINY, rendered(tmp_path / "mine"), twice)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_an_earlier_run_is_known_by_its_checkpoints_and_config(tmp_path: Path, dataset: Dataset) -> None:
    run = tmp_path / "mine"
    assert run_folder.earlier(run) == ((), None)
    run_folder.write(run, TINY, rendered(run), dataset)
    for name in ("checkpoint-600", "checkpoint-90", "checkpoint-90-tmp", "other"):
        (run / "output" / name).mkdir(parents=True)
    steps, config = run_folder.earlier(run)
    assert steps == (90, 600)
    assert config is not None
    assert config["learning_rate"] == 1e-4
    for text in ("[]", "[" * 100_000):
        (run / "config" / "config.json").write_text(text, "utf-8")
        assert run_folder.earlier(run) == ((90, 600), None)


def test_templates_of_the_presets_own_travel_with_the_run(tmp_path: Path, dataset: Dataset) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "run.toml").write_bytes(presets.to_toml(TINY.resolved_spec()))
    (folder / "prompts.json.j2").write_text('{"mine": {{ run_name | tojson }}}', "utf-8")
    own = presets.load(str(folder))
    run = tmp_path / "mine"
    run_folder.write(run, own, rendered(run, own), dataset)
    again = presets.load(str(run))
    assert rendered(run, again).prompts == {"mine": "mine"}
    assert again.own_templates() == own.own_templates()
    run_folder.write(run, again, rendered(run, again), dataset)


def test_what_a_kill_left_is_swept_away(tmp_path: Path, dataset: Dataset) -> None:
    run = tmp_path / "mine"
    run_folder.write(run, TINY, rendered(run), dataset)
    run.rename(tmp_path / ".mine.replaced")
    (tmp_path / ".mine.preparing" / "config").mkdir(parents=True)
    run_folder.write(run, TINY, rendered(run), dataset)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "mine"]


def test_a_run_that_a_kill_moved_away_is_put_back(tmp_path: Path, dataset: Dataset) -> None:
    run, replaced = tmp_path / "mine", tmp_path / ".mine.replaced"
    (replaced / "output").mkdir(parents=True)
    with pytest.raises(UsageError, match="mine: holds more than a rendering: output"):
        run_folder.write(run, TINY, rendered(run), dataset)
    assert (run / "output").is_dir()
    (replaced / "output").mkdir(parents=True)
    with pytest.raises(UsageError, match="is a run that was moved away and could not be put back; move it yourself"):
        run_folder.write(run, TINY, rendered(run), dataset)
    assert (replaced / "output").is_dir()


def test_a_run_that_begins_in_the_last_moment_is_put_back(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "mine"
    run_folder.write(run, TINY, rendered(run), dataset)
    link = run_folder.link

    def begin(folder: Path, whole: Path, names: Iterable[str]) -> None:
        link(folder, whole, names)
        (run / "output").mkdir()

    monkeypatch.setattr(run_folder, "link", begin)
    with pytest.raises(UsageError, match="holds more than a rendering: output"):
        run_folder.write(run, TINY, rendered(run), dataset)
    assert (run / "output").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "mine"]
