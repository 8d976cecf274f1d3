"""What ``plan --export-diffusers`` writes; the real ``datasets`` reads it in the integration tests."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kanjiprep import metadata
from kanjiprep.errors import DatasetError, KanjiprepError, UsageError
from kanjiprep.progress import silent
from kanjiprep.publishing import tuned
from kanjiprep.publishing.first_attempt import command, export, imagefolder, leftovers, script, standing
from kanjiprep.publishing.first_attempt.export import Exported
from kanjiprep.training import gpus, pictures, plan, presets, schedule
from kanjiprep.training.configs import Places
from kanjiprep.training.machines import Market

BY_KIND = {
    "flag": "allow_tf32 center_crop dream_training enable_xformers_memory_efficient_attention foreach_ema "
    "gradient_checkpointing offload_ema push_to_hub random_flip scale_lr use_8bit_adam use_ema",
    "int": "checkpointing_steps checkpoints_total_limit dataloader_num_workers gradient_accumulation_steps "
    "local_rank lr_warmup_steps max_train_samples max_train_steps num_train_epochs resolution seed train_batch_size "
    "validation_epochs",
    "float": "adam_beta1 adam_beta2 adam_epsilon adam_weight_decay dream_detail_preservation input_perturbation "
    "learning_rate max_grad_norm noise_offset snr_gamma",
    "text": "cache_dir caption_column dataset_config_name dataset_name hub_model_id hub_token image_column "
    "image_interpolation_mode logging_dir lr_scheduler mixed_precision non_ema_revision output_dir prediction_type "
    "pretrained_model_name_or_path report_to resume_from_checkpoint revision tracker_project_name train_data_dir "
    "variant",
    "texts": "validation_prompts",
}

OPTIONS = {name: kind for kind, names in BY_KIND.items() for name in names.split()}
"""Every option of diffusers' script by name, with what it takes; a flag takes nothing.

Source: its argument parser at ``script.COMMIT``.
"""

ROWS = (("一_kanji_04e00.png", 'one, "I".'), ("丁_kanji_04e01.png", "street"), ("七_kanji_04e03.png", "seven"))
Export = Callable[..., Exported]


def dataset(folder: Path, rows: tuple[tuple[str, str], ...] = ROWS, size_px: tuple[int, int] = (8, 8)) -> Path:
    folder.mkdir(exist_ok=True)
    for name, _ in rows:
        Image.new("L", size_px, 255).save(folder / name, "PNG")
    (folder / metadata.NAME).write_bytes(metadata.to_csv(rows))
    for name in ("README.md", "build.json", "skipped.csv"):
        (folder / name).write_text("{}", "utf-8")
    return folder


def planned(source: Path, *settings: str, preset: str = "sd15-full", gpu: str | None = None) -> tuple[Any, Any, Any]:
    found, whole = presets.load(preset, settings), pictures.read(source, silent)
    return found, whole, plan.plan(found, whole, Places(Path("run"), Path("tiny")), Market(gpus.load()), gpu)


@pytest.fixture
def export_it(tmp_path: Path) -> Export:
    source = dataset(tmp_path / "dataset")

    def make(*settings: str, into: str = "attempt1", rows: Any = None, **more: Any) -> Exported:
        if rows is not None:
            shutil.rmtree(source)
            dataset(source, rows)
        try:
            return export.export(*planned(source, *settings, **more), tmp_path / into, silent)
        finally:
            assert not [path for path in tmp_path.rglob(".*") if path.name.endswith((".exporting", ".old"))]

    return make


def words(folder: Path) -> list[str]:
    """The command of train.sh after the script's name, as the shell would split it."""
    text = (folder / "train.sh").read_text("utf-8")
    return shlex.split(text.partition('exec python3 "$SCRIPT"')[2])


def options(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    name = ""
    for word in words(folder):
        if word.startswith("--"):
            name = word.removeprefix("--")
            assert name not in found
            found[name] = []
        elif word.strip():
            found[name].append(word)
    return found


def test_pictures_are_links_and_stand_alone_with_their_captions(export_it: Export, tmp_path: Path) -> None:
    done = export_it()
    train = done.folder / "train"
    assert {path.name for path in train.iterdir()} == {metadata.NAME, *(name for name, _ in ROWS)}
    assert (train / metadata.NAME).read_bytes() == (tmp_path / "dataset" / metadata.NAME).read_bytes()
    assert all((train / name).samefile(tmp_path / "dataset" / name) for name, _ in ROWS)
    assert (done.status, done.pictures, done.steps) == ("written", 3, 10)
    assert {path.name for path in done.folder.iterdir()} == {*export.FILES, "train", "export.json"}


def test_pictures_are_copied_where_links_are_not_to_be_had(
    export_it: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_disk(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_disk)
    copy = export_it().folder / "train" / ROWS[0][0]
    assert copy.read_bytes() == (tmp_path / "dataset" / ROWS[0][0]).read_bytes()
    assert copy.stat().st_nlink == 1


def test_a_picture_is_never_laid_over_a_file(tmp_path: Path) -> None:
    source = dataset(tmp_path / "dataset", ((metadata.NAME, "a table"),))
    Image.new("L", (8, 8)).save(source / metadata.NAME, "PNG")
    whole = pictures.Dataset(source, (pictures.Picture(metadata.NAME, "a table", 8, 8),))
    with pytest.raises(FileExistsError):
        imagefolder.write(whole, tmp_path / "train", silent)


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("training.accumulation=2", "training.gradient_checkpointing=false", "optimizer.weight_decay=0.05"),
        ("schedule.warmup_steps=0", "checkpoints.every_steps=7", "optimizer.clip=off"),
        ("schedule.shape=cosine", "training.steps=177"),
        ("schedule.shape=linear", "training.repeats=2", "validation.prompts={a='--help me', b='x y'}"),
    ],
)
def test_every_option_is_one_of_the_scripts_with_what_it_takes(export_it: Export, settings: tuple[str, ...]) -> None:
    kinds: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "text": str, "texts": str}
    found = options(export_it(*settings).folder)
    for name, values in found.items():
        kind = OPTIONS[name]
        if kind == "flag":
            assert values == []
            continue
        assert values
        assert kind == "texts" or len(values) == 1
        if not values[0].startswith("$"):
            assert [kinds[kind](value) for value in values]
    assert not {"random_flip", "center_crop", "use_ema", "hub_token", "push_to_hub"} & set(found)
    assert found["train_data_dir"] == ["$TRAIN_DATA_DIR"]


def test_the_record_of_the_script_is_whole() -> None:
    assert len(OPTIONS) == 57
    assert len(script.COMMIT) == 40
    assert len(script.SHA256) == 64
    assert script.URL.endswith(f"/v{script.VERSION}/examples/text_to_image/{script.NAME}")
    assert f"diffusers=={script.VERSION}" in script.REQUIREMENTS
    assert all(one.count("==") == 1 for one in script.REQUIREMENTS)


def test_the_command_says_what_the_preset_asks(export_it: Export) -> None:
    found = options(export_it().folder)
    assert {name: values[0] for name, values in found.items() if len(values) == 1} == {
        "pretrained_model_name_or_path": "$MODEL", "train_data_dir": "$TRAIN_DATA_DIR", "output_dir": "$OUTPUT_DIR",
        "resolution": "512", "train_batch_size": "4", "gradient_accumulation_steps": "1", "max_train_steps": "10",
        "learning_rate": "1e-05", "lr_scheduler": "constant_with_warmup", "lr_warmup_steps": "100",
        "max_grad_norm": "1.0", "mixed_precision": "bf16", "seed": "42", "checkpointing_steps": "1",
        "checkpoints_total_limit": "10", "resume_from_checkpoint": "latest", "validation_epochs": "1",
        "report_to": "tensorboard",
    }  # fmt: skip
    assert found["gradient_checkpointing"] == []
    style = presets.load("sd15-full").prompts
    assert found["validation_prompts"] == list(style.by_name.values())
    assert all(prompt.startswith("A minimal, black and white kanji character.") for prompt in style.by_name.values())


def test_other_settings_become_other_options(export_it: Export) -> None:
    found = options(
        export_it(
            "training.accumulation=2", "training.repeats=1", "training.batch=1", "schedule.warmup_steps=0",
            "optimizer.clip=off", "optimizer.weight_decay=0.05", "training.gradient_checkpointing=false",
            "checkpoints.keep=3", "validation.prompts={a='-x', b='y'}", "validation.libraries=[]",
            "validation.style=plain", "model.path=me/own",
        ).folder
    )  # fmt: skip
    assert (found["lr_scheduler"], found["max_grad_norm"]) == (["constant"], ["inf"])
    assert (found["adam_weight_decay"], found["checkpoints_total_limit"]) == (["0.05"], ["3"])
    assert found["max_train_steps"] == ["30"], "3 pictures twice an epoch in batches of 1, 2 batches a step"
    assert found["checkpointing_steps"] == ["3"]
    assert found["validation_epochs"] == ["2"], "the script has 2 steps an epoch"
    assert found["validation_prompts"] == [" -x", "y"], "a prompt is never taken for an option"
    assert "gradient_checkpointing" not in found


def test_the_steps_are_those_that_the_script_counts_itself(export_it: Export) -> None:
    rows = tuple((f"{number}.png", f"number {number}") for number in range(11))
    done = export_it("training.epochs=3", "training.accumulation=2", rows=rows)
    text = (done.folder / "train.sh").read_text("utf-8")
    assert done.steps == 6
    assert "# Steps: ceil(ceil(11 pictures / batch 4) / accumulation 2) = 2 in an epoch,\n# and 6 in the 3" in text
    assert "which the script will call 3" in text
    asked = (export_it("training.steps=5", "schedule.warmup_steps=1", into="other").folder / "train.sh").read_text(
        "utf-8"
    )
    assert "asks for 5 steps, which the script will call 2 epochs" in asked


def test_the_shell_script_is_strict_and_names_the_very_script(export_it: Export) -> None:
    folder = export_it().folder
    text = (folder / "train.sh").read_text("utf-8")
    assert text.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in text
    assert script.URL in text
    assert script.SHA256 in text
    assert "MODEL=${MODEL:-stable-diffusion-v1-5/stable-diffusion-v1-5}" in text
    assert os.access(folder / "train.sh", os.X_OK)
    requirements = (folder / "requirements.txt").read_text("utf-8").splitlines()
    assert tuple(requirements[1:]) == script.REQUIREMENTS


def test_no_secret_is_written(export_it: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    folder = export_it().folder
    assert all(b"hf_very_secret" not in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_words_of_a_preset_do_nothing_in_a_shell(export_it: Export, tmp_path: Path) -> None:
    evil = tmp_path / "a'\n$(touch evil)\"'"
    evil.mkdir()
    (evil / "run.toml").write_bytes(presets.to_toml(presets.load("sd15-full").spec))
    done = export_it('validation.prompts={a="it\'s $(touch evil) `x` \\\\ \\n 漢"}', preset=str(evil))
    assert "it's $(touch evil) `x` \\ \n 漢" in options(done.folder)["validation_prompts"][0]
    head = (done.folder / "train.sh").read_text("utf-8").partition("\nset -eu\n")[0]
    assert all(line.startswith("#") for line in head.splitlines())


def test_the_read_me_names_the_differences(export_it: Export) -> None:
    text = (export_it("schedule.shape=cosine", "training.repeats=1").folder / "READ_ME.md").read_text("utf-8")
    for said in (
        "No random flip", "`App` for `Stub`", "`Volume.from_name` for `Volume.persisted`", "kanjiprep generate out",
        "kanjiprep app out", "No caption is ever left out; the preset asks for a share of 0.1", "falls to 0",
        "an epoch of the preset is 2 of its epochs", "12.8 GiB", "modal run --detach modal_app.py::train",
    ):  # fmt: skip
        assert said in text


def test_without_dropout_nothing_is_said_of_it() -> None:
    spec = presets.load("sd15-full", ("training.caption_dropout=0",)).spec
    assert not any("caption" in note for note in command.notes(spec))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("model.flavour=tiny",), "the tiny model has no repository on the Hub; --set model.flavour=1.5"),
        (("optimizer.name=optimi-lion",), "the script has no optimi-lion; take one of adamw_bf16"),
        (("optimizer.clip=value",), "by the norm of the gradient only; --set optimizer.clip=norm"),
        (("schedule.shape=polynomial",), "cannot be told a polynomial schedule as asked; take one of constant"),
        (("machine.gpus=2",), "what is exported trains on one GPU; --set machine.gpus=1"),
        (('validation.prompts={a="\\u0000"}',), "the prompt 'a' holds a NUL"),
        (("machine.gpu=rtx4090-24gb",), "Modal has no rtx4090-24gb; give one of a10-24gb, "),
        (("machine.gpu=cpu",), "Modal has no cpu; give one of"),
    ],
)
def test_what_the_script_cannot_do_is_refused(
    export_it: Export, tmp_path: Path, settings: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        export_it(*settings)
    assert says in str(caught.value)
    assert not (tmp_path / "attempt1").exists()


def test_a_model_in_a_folder_is_given_to_the_shell_script_instead(export_it: Export, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give that folder to train.sh in the variable MODEL"):
        export_it(f"model.path={tmp_path}")


@pytest.mark.parametrize(
    ("preset", "says"),
    [
        ("sd35-large-lora", "sd35-large-lora: --export-diffusers is for a full fine-tune of Stable Diffusion 1.5, "
         "and this trains a LoRA of sd3; take the preset sd15-full, or train this one with kanjiprep launch-sim"),
        ("sd35-large-full", "and this trains all weights of sd3"),
    ],
)  # fmt: skip
def test_other_presets_are_refused_with_what_to_do_instead(preset: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        command.refuse_unfit(presets.load(preset))
    assert says in str(caught.value)


@pytest.mark.parametrize("caption", ["None", "null", "NA", "", "nan"])
def test_a_caption_that_pandas_takes_for_nothing_is_refused(export_it: Export, caption: str) -> None:
    with pytest.raises(DatasetError, match=r"the row of '2\.png' would be read as something else"):
        export_it(rows=(("1.png", "one"), ("2.png", caption)))


@pytest.mark.parametrize("captions", [("1", "02"), ("True", "False"), ("1.5", "2")])
def test_captions_that_are_all_numbers_are_refused(export_it: Export, captions: tuple[str, str]) -> None:
    with pytest.raises(DatasetError, match="a number or no text at all; give it a caption of words"):
        export_it(rows=(("1.png", captions[0]), ("2.png", captions[1])))


@pytest.mark.parametrize("name", ["a,b.png", '"ab".png', "a\nb.png"])
def test_file_names_that_a_bare_table_cannot_hold_are_refused(tmp_path: Path, name: str) -> None:
    whole = pictures.Dataset(tmp_path, tuple(pictures.Picture(one, "word", 8, 8) for one in ("x.png", name)))
    with pytest.raises(DatasetError, match="would be read as something else|pandas cannot read it"):
        imagefolder.table(whole)


def test_a_table_that_pandas_cannot_read_is_refused(tmp_path: Path) -> None:
    rows = tuple(pictures.Picture(one, "word", 8, 8) for one in ("x.png", "y,y,y.png"))
    with pytest.raises(DatasetError, match="pandas cannot read it"):
        imagefolder.table(pictures.Dataset(tmp_path, rows))


def test_oblong_pictures_are_refused(export_it: Export, tmp_path: Path) -> None:
    Image.new("L", (8, 16)).save(tmp_path / "dataset" / ROWS[1][0], "PNG")
    with pytest.raises(DatasetError, match=r"1 pictures are not square, as '丁.*would cut strokes off"):
        export_it()


def test_the_same_again_is_unchanged_whatever_was_trained_meanwhile(export_it: Export) -> None:
    first = export_it()
    before = (first.folder / "train.sh").stat().st_mtime_ns
    (first.folder / "out" / "unet").mkdir(parents=True)
    (first.folder / "out" / "unet" / "config.json").write_text("{}")
    assert export_it().status == "unchanged"
    assert (first.folder / "train.sh").stat().st_mtime_ns == before
    assert tuned.find(str(first.folder / "out")).path == first.folder / "out" / "unet"


def test_an_export_that_nobody_touched_is_replaced(export_it: Export) -> None:
    first = export_it()
    (first.folder / script.NAME).write_text("fetched")
    assert export_it("training.epochs=3").status == "replaced"
    assert options(first.folder)["max_train_steps"] == ["3"]
    assert not (first.folder / script.NAME).exists()


@pytest.mark.parametrize("spoil", ["out/x", "train.sh", "train/new.png", "train/metadata.csv", "READ_ME.md"])
def test_an_export_with_files_of_others_is_left_alone(export_it: Export, spoil: str) -> None:
    folder = export_it().folder
    path = folder / spoil
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(UsageError, match=f"files that came or were changed since: {spoil.partition('/')[0]}"):
        export_it("training.epochs=3")
    assert path.read_text() == "mine"


def test_an_export_with_a_file_gone_is_left_alone(export_it: Export) -> None:
    folder = export_it().folder
    (folder / "READ_ME.md").unlink()
    with pytest.raises(UsageError, match=r"came or were changed since: READ_ME\.md"):
        export_it("training.epochs=3")


def test_all_checkpoints_are_kept_where_the_preset_does_not_count_them() -> None:
    found = presets.load("sd15-full")
    kept = replace(found.spec.checkpoints, keep=None)
    endless = replace(found, spec=replace(found.spec, checkpoints=kept))
    names = [one.name for one in command.arguments(endless, schedule.count(endless.spec, {"1.0": 9}))]
    assert "checkpointing_steps" in names
    assert "checkpoints_total_limit" not in names


@pytest.mark.parametrize("damage", ["", "[]", '{"tool": 1}', "[" * 9999])
def test_a_folder_with_a_spoiled_certificate_is_no_export(export_it: Export, damage: str) -> None:
    folder = export_it().folder
    (folder / "export.json").write_text(damage)
    with pytest.raises(UsageError, match="is there already, and is no export of kanjiprep; give another folder"):
        export_it("training.epochs=3")


def test_what_is_not_ours_is_never_touched(export_it: Export, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("mine", "file"):
        with pytest.raises(UsageError, match="is there already, and is no export of kanjiprep"):
            export_it(into=name)
    assert (tmp_path / "mine" / "x").read_text() == "x"
    (tmp_path / "empty").mkdir()
    assert export_it(into="empty").status == "written"


@pytest.mark.parametrize("into", ["dataset", "dataset/inside"])
def test_nothing_is_written_into_the_dataset(export_it: Export, into: str) -> None:
    with pytest.raises(UsageError, match="is the dataset or inside it; give a folder beside it"):
        export_it(into=into)


def test_a_place_that_cannot_be_written_is_one_line(export_it: Export, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot be exported: .*; give another folder"):
        export_it(into="file/inside")


def test_a_failed_replacement_puts_the_old_one_back(
    export_it: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export_it().folder
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name.endswith(".exporting"):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(KanjiprepError, match="input/output error"):
        export_it("training.epochs=3")
    assert options(folder)["max_train_steps"] == ["10"]


def test_the_certificate_says_what_was_written(export_it: Export) -> None:
    folder = export_it().folder
    said = json.loads((folder / standing.NAME).read_bytes())
    assert (said["preset"], set(said["sha256"])) == ("sd15-full", set(export.FILES))
    assert len(said["content"]) == 64


def left(folder: Path, name: str) -> Path:
    (folder / name / "train").mkdir(parents=True)
    (folder / name / "train" / "x.png").write_text("x")
    return folder / name


def test_leftovers_of_a_killed_export_go_with_the_next_one(export_it: Export, tmp_path: Path) -> None:
    ours = left(tmp_path, ".attempt1.5xo0r__p.exporting")
    theirs = [
        left(tmp_path, name) for name in (".attempt10.5xo0r__p.x", "attempt1.5xo0r__p.exporting", ".attempt1.a.b")
    ]
    assert export_it().status == "written"
    assert not ours.exists()
    assert all((path / "train" / "x.png").is_file() for path in theirs)


def test_leftovers_stay_while_another_export_is_at_work(tmp_path: Path) -> None:
    ours = left(tmp_path, ".attempt1.5xo0r__p.exporting")
    with leftovers.cleared(tmp_path / "other"), leftovers.cleared(tmp_path / "attempt1"):
        assert ours.is_dir()
    with leftovers.cleared(tmp_path / "attempt1"):
        assert not ours.exists()


def test_an_export_that_was_moved_out_of_the_way_comes_back(export_it: Export, tmp_path: Path) -> None:
    folder = export_it().folder
    old = folder.rename(tmp_path / ".attempt1.5xo0r__p.exporting.old")
    assert export_it().status == "unchanged"
    assert not old.exists()
    old = left(tmp_path, old.name)
    assert export_it().status == "unchanged"
    assert not old.exists()


def test_an_old_export_of_a_name_that_was_cut_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / ("a" * 21)
    old = left(tmp_path, f"{leftovers.prefix(target)}5xo0r__p.exporting.old")
    with leftovers.cleared(target):
        assert old.is_dir()
        assert not target.exists()


def test_a_folder_of_others_is_refused_before_pictures_are_laid_out(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("x")
    heard: list[str] = []
    with pytest.raises(UsageError, match="is no export of kanjiprep"):
        export.export(
            *planned(dataset(tmp_path / "dataset")), tmp_path / "mine", lambda stage, *_: heard.append(stage)
        )
    assert heard == []
