"""What ``comfyui`` writes, and what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kanjiprep.errors import TrainerError, UsageError
from kanjiprep.evaluation.weights import safetensors_file
from kanjiprep.progress import silent
from kanjiprep.publishing import extras, tuned
from kanjiprep.publishing.comfyui import graph, nodes
from kanjiprep.publishing.comfyui.forms import ui_form
from kanjiprep.publishing.comfyui.graph import Workflow
from kanjiprep.publishing.comfyui.written import copies, export, folder, recipe, strip, words
from kanjiprep.publishing.comfyui.written.export import Exported, Request
from kanjiprep.publishing.comfyui.written.folder import Wanted
from kanjiprep.publishing.comfyui.written.order import Order
from kanjiprep.training import presets
from kanjiprep.training.running.attempts import WEIGHTS
from tests import lora_files
from tests.run_folders import trained

LARGE = presets.load("sd35-large-lora")
Export = Callable[..., Exported]
TEXTS = {"workflow.json", "workflow_api.json", "READ ME.txt"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = trained(tmp_path, preset=LARGE)
    for number in (4, 8):
        weights(made, number)
    return made


@pytest.fixture
def export_it(run: Path) -> Export:
    def make(*prompts: str, wanted: object = None, **more: Any) -> Exported:
        order = Order(prompts=prompts, **{key: more.pop(key) for key in tuple(more) if key in Order.__slots__})
        request = replace(Request(str(wanted or run), None, order), **more)
        try:
            return export.export(request, silent)
        finally:
            assert not list(run.rglob(".writing")), "nothing is left"

    return make


def weights(run: Path, number: int, alpha: float = 4, *, is_finite: bool = True) -> Path:
    path = run / f"output/checkpoint-{number}" / WEIGHTS
    path.unlink()
    pairs = lora_files.weights(seed=number)
    if not is_finite:
        down, up = pairs[lora_files.SD3[0]]
        pairs[lora_files.SD3[0]] = (down * float("nan"), up)
    return lora_files.write(path, lora_files.named(pairs, "diffusers-peft"), lora_files.said(r=4, lora_alpha=alpha))


def names(out: Path) -> set[str]:
    return {str(one.relative_to(out)) for one in out.rglob("*") if one.is_file() and one.name != folder.LEDGER}


def read(path: Path) -> Workflow:
    return graph.from_api(json.loads(path.read_text("utf-8")), str(path))


def test_workflow_lora_and_read_me_stand_beside_each_other(run: Path, export_it: Export) -> None:
    done = export_it()
    assert (done.folder, done.status, done.lora, done.step) == (
        run / "comfyui",
        "written",
        "mine-step-8.safetensors",
        8,
    )
    assert names(done.folder) == set(done.written) == TEXTS | {done.lora}
    drawn = read(done.folder / "workflow_api.json")
    assert drawn.of_kind("LoraLoaderModelOnly")[0].inputs["lora_name"] == done.lora
    assert json.loads((done.folder / "workflow.json").read_text("utf-8")) == ui_form.to_ui(drawn, nodes.TABLE)


def test_a_lora_that_is_fit_shares_its_bytes_with_the_checkpoint(run: Path, export_it: Export) -> None:
    done = export_it()
    ours = done.folder / done.lora
    assert ours.samefile(run / "output/checkpoint-8" / WEIGHTS)
    assert not ours.is_symlink()
    assert (done.is_shared, done.changes, done.lora_bytes) == (True, (), ours.stat().st_size)


def test_a_disk_without_hard_links_gets_a_copy(run: Path, export_it: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    done = export_it()
    source = run / "output/checkpoint-8" / WEIGHTS
    assert (done.folder / done.lora).read_bytes() == source.read_bytes()
    assert not (done.folder / done.lora).samefile(source)
    assert export_it().status == "unchanged"


def test_the_same_again_changes_nothing(run: Path, export_it: Export) -> None:
    weights(run, 8, alpha=2)
    for more in ({}, {"with_strip": True}):
        first = export_it(**more)
        before = {name: (first.folder / name).stat().st_mtime_ns for name in names(first.folder)}
        again = export_it(**more)
        assert (again.status, again.written, again.changes) == ("unchanged", (), first.changes)
        assert {name: (first.folder / name).stat().st_mtime_ns for name in names(first.folder)} == before


def test_a_strength_that_comfyui_would_not_read_is_mended_in_the_copy(run: Path, export_it: Export) -> None:
    source = weights(run, 8, alpha=2)
    before = source.read_bytes()
    done = export_it()
    assert not done.is_shared
    assert "multiplied 6 of 6 second matrices by 0.5" in done.changes[0]
    assert source.read_bytes() == before
    wanted = lora_files.diffusers(source, lora_files.SD3)
    found = lora_files.comfyui(done.folder / done.lora, lora_files.SD3)
    assert isinstance(wanted, dict)
    assert all((found[name] == wanted[name]).all() for name in wanted)
    assert "Mended in the LoRA: multiplied" in (done.folder / "READ ME.txt").read_text("utf-8")


def test_a_checkpoint_whose_weights_are_others_now_is_written_anew(run: Path, export_it: Export) -> None:
    export_it()
    weights(run, 8, alpha=2)
    done = export_it()
    assert done.lora in done.written
    assert not done.is_shared
    weights(run, 8, alpha=4)
    assert export_it().is_shared
    assert (done.folder / done.lora).samefile(run / "output/checkpoint-8" / WEIGHTS)


def test_other_settings_replace_what_we_wrote(export_it: Export) -> None:
    export_it()
    done = export_it("dragon", steps=28)
    assert set(done.written) == TEXTS
    assert read(done.folder / "workflow_api.json").of_kind("KSampler")[0].inputs["steps"] == 28


@pytest.mark.parametrize("alpha", [4, 2], ids=["shared", "mended"])
def test_another_checkpoint_takes_the_first_ones_lora_away(run: Path, export_it: Export, alpha: float) -> None:
    source = weights(run, 8, alpha)
    export_it()
    done = export_it(checkpoint="4")
    assert names(done.folder) == TEXTS | {"mine-step-4.safetensors"}
    assert source.is_file()
    assert export_it().written[-1] == "mine-step-8.safetensors"
    assert names(done.folder) == TEXTS | {"mine-step-8.safetensors"}


def test_a_lora_that_was_changed_since_stays_beside_another_checkpoint(export_it: Export) -> None:
    ours = export_it().folder / "mine-step-8.safetensors"
    ours.unlink()
    ours.write_bytes(b"of the user")
    (ours.parent / "theirs.safetensors").write_bytes(b"of the user")
    export_it(checkpoint="4")
    assert ours.read_bytes() == b"of the user"
    assert (ours.parent / "theirs.safetensors").is_file()


def test_the_last_copy_of_what_was_trained_stays(run: Path, export_it: Export) -> None:
    ours = export_it(checkpoint="4").folder / "mine-step-4.safetensors"
    (run / "output/checkpoint-4" / WEIGHTS).unlink()
    export_it()
    assert ours.is_file()
    assert export_it().status == "unchanged"


def test_another_file_takes_the_first_ones_lora_away_where_nothing_is_lost(export_it: Export, tmp_path: Path) -> None:
    for name in ("a", "b"):
        pairs = lora_files.weights(seed=ord(name))
        path = lora_files.write(tmp_path / f"{name}.safetensors", lora_files.named(pairs, "diffusers-peft"))
        done = export_it(wanted=path, out=tmp_path / "out", checkpoint_file="x.safetensors")
        assert {one for one in names(done.folder) if one.endswith(".safetensors")} == {f"{name}.safetensors"}


def test_two_do_not_write_into_one_folder_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with folder.opened(out) as first:
        (first / "a").write_bytes(b"1")
        with (
            pytest.raises(
                UsageError, match="out: another kanjiprep writes there; wait for it, or give another --out"
            ),
            folder.opened(out),
        ):
            pass
        assert (first / "a").read_bytes() == b"1"
        (out / "b").write_bytes(b"2")
    with folder.opened(out) as second:
        assert list(second.iterdir()) == []
    assert {one.name for one in out.iterdir()} == {"b"}


def test_what_a_killed_one_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "out/.writing").mkdir(parents=True)
    (tmp_path / "out/.writing/half").write_bytes(b"1")
    with folder.opened(tmp_path / "out") as aside:
        assert list(aside.iterdir()) == []
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_is_taken_away_in_between_is_not_held(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    lock = os.open(tmp_path / "out", os.O_RDONLY)
    try:
        (tmp_path / "out").rmdir()
        assert not folder._is_held(lock, tmp_path / "out")
    finally:
        os.close(lock)


@pytest.mark.parametrize("name", ["workflow.json", "mine-step-8.safetensors"])
def test_a_file_of_somebody_else_is_left_alone(run: Path, export_it: Export, name: str) -> None:
    (run / "comfyui").mkdir()
    (run / "comfyui" / name).write_bytes(b"theirs")
    with pytest.raises(UsageError, match=f"{name} is not as kanjiprep wrote, so nothing was written"):
        export_it()
    assert names(run / "comfyui") == {name}
    assert (run / "comfyui" / name).read_bytes() == b"theirs"
    assert export_it(force=True).status == "written"
    assert (run / "comfyui" / name).read_bytes() != b"theirs"


def test_a_file_that_was_changed_since_is_somebody_elses(export_it: Export) -> None:
    out = export_it().folder
    (out / "workflow.json").write_text("{}", "utf-8")
    (out / "READ ME.txt").write_text("mine", "utf-8")
    with pytest.raises(UsageError, match=r"workflow.json, READ ME.txt are not as kanjiprep wrote"):
        export_it()
    (out / "workflow.json").unlink()
    (out / "READ ME.txt").unlink()
    assert set(export_it().written) == {"workflow.json", "READ ME.txt"}


def test_a_link_to_elsewhere_is_not_followed(run: Path, export_it: Export, tmp_path: Path) -> None:
    out = export_it().folder
    elsewhere = tmp_path / "elsewhere.json"
    shutil.copyfile(out / "workflow.json", elsewhere)
    (out / "workflow.json").unlink()
    (out / "workflow.json").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="workflow.json is not as kanjiprep wrote"):
        export_it("dragon")
    export_it("dragon", force=True)
    assert not (out / "workflow.json").is_symlink()
    assert "dragon" not in elsewhere.read_text("utf-8")


def test_a_folder_in_the_way_is_never_removed(run: Path, export_it: Export) -> None:
    (run / "comfyui/workflow.json").mkdir(parents=True)
    with pytest.raises(UsageError, match="is a folder, where a file is to be written"):
        export_it(force=True)


def test_a_folder_that_cannot_be_made_is_one_line(run: Path, export_it: Export, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(UsageError, match="cannot be written: not a directory"):
        export_it(out=tmp_path / "file/out")


def test_a_file_is_no_folder(run: Path, export_it: Export) -> None:
    with pytest.raises(UsageError, match=r"run\.toml: is no folder"):
        export_it(out=run / "run.toml")


def test_a_place_for_a_copy_that_cannot_be_made_is_one_line(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(UsageError, match="cannot be written: not a directory"):
        copies.prepare(tuned.find(str(run)), tmp_path / "a", tmp_path / "file/b/c", None)


def test_a_failure_leaves_no_folder_behind(run: Path, export_it: Export) -> None:
    weights(run, 8, is_finite=False)
    with pytest.raises(TrainerError, match="NaN"):
        export_it()
    assert not (run / "comfyui").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {}}', "\x00"])
def test_a_broken_account_of_what_we_wrote_is_as_none(export_it: Export, text: str) -> None:
    out = export_it().folder
    (out / folder.LEDGER).write_text(text, "utf-8")
    assert export_it().status == "unchanged"
    (out / folder.LEDGER).write_text(text, "utf-8")
    with pytest.raises(UsageError, match="not as kanjiprep wrote"):
        export_it("dragon")


def test_an_account_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    entry = {"print": "", "source": "", "changes": []}
    (tmp_path / folder.LEDGER).write_text(json.dumps({"../x": entry, "/x": entry, "x": entry}), "utf-8")
    assert list(folder.entries(tmp_path)) == ["x"]


def test_two_that_write_one_name_at_once_do_not_overwrite(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"1")
    aside = tmp_path / "aside"
    aside.mkdir()
    (aside / "a").write_bytes(b"2")
    with pytest.raises(UsageError, match="cannot be written: file exists"):
        folder.lay_out(tmp_path, aside, Wanted({}, {"a": tmp_path / "source"}), force=True)


def test_a_lora_file_is_written_beside_the_current_folder(
    run: Path, export_it: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = lora_files.weights(width=2432)
    lora = lora_files.write(tmp_path / "kanji.safetensors", lora_files.named(pairs, "diffusers-peft"))
    monkeypatch.chdir(tmp_path)
    done = export_it(wanted=lora)
    assert done.folder == tmp_path / "comfyui-kanji"
    assert names(done.folder) == TEXTS | {"kanji.safetensors"}
    with pytest.raises(UsageError, match="--strip: is for all checkpoints of a run"):
        export_it(wanted=lora, with_strip=True)


def test_a_lora_of_the_first_model_gets_names_that_comfyui_reads(export_it: Export, tmp_path: Path) -> None:
    pairs = lora_files.weights(lora_files.UNET, width=768)
    lora = lora_files.write(tmp_path / "first.safetensors", lora_files.named(pairs, "no prefix"))
    done = export_it(wanted=lora, out=tmp_path / "out")
    assert done.changes
    assert lora_files.comfyui(done.folder / done.lora, lora_files.UNET).keys() == set(lora_files.UNET)
    text = (done.folder / "READ ME.txt").read_text("utf-8")
    assert "v1-5-pruned-emaonly.safetensors" in text
    assert "text_encoders" not in text
    assert "5388" not in text


def test_the_read_me_says_where_each_file_goes(export_it: Export) -> None:
    text = (export_it().folder / "READ ME.txt").read_text("utf-8")
    for said in (
        "ComfyUI/models/loras/mine-step-8.safetensors",
        "ComfyUI/models/checkpoints/sd3.5_large.safetensors  (16.5 GB)",
        "ComfyUI/models/text_encoders/t5xxl_fp16.safetensors  (9.8 GB)",
        "accept the licence on that page first",
        "(ComfyUI issue 5388)",
        "drag workflow.json into its window",
        "kanjiprep comfyui --check workflow_api.json --server http://127.0.0.1:8188 --run",
        "cfg: 4.5  (Stability AI's own for this model)",
        "Stability AI Community License",
    ):
        assert said in text
    assert "strip" not in text


def test_a_checkpoint_file_of_the_users_own_has_no_page(export_it: Export) -> None:
    text = (export_it(checkpoint_file="mine.safetensors").folder / "READ ME.txt").read_text("utf-8")
    assert "ComfyUI/models/checkpoints/mine.safetensors\n      the checkpoint that you named" in text


def test_a_strip_has_a_workflow_for_every_checkpoint_and_prompt(run: Path, export_it: Export) -> None:
    done = export_it("dragon", "the internet", with_strip=True)
    assert done.strip is not None
    assert done.strip.steps == (4, 8)
    loras = {f"loras/mine-step-{step}.safetensors" for step in (4, 8)}
    strips = {f"strip/step-{step}_{name}.json" for step in (4, 8) for name in ("dragon", "the_internet")}
    assert names(done.folder) == TEXTS | {done.lora, "strip/READ ME.txt"} | loras | strips
    drawn = read(done.folder / "strip/step-4_dragon.json")
    assert drawn.of_kind("LoraLoaderModelOnly")[0].inputs["lora_name"] == "mine/mine-step-4.safetensors"
    assert [node.inputs["filename_prefix"] for node in drawn.of_kind("SaveImage")] == ["mine-step-4_dragon"]
    seeds = {read(done.folder / name).of_kind("KSampler")[0].inputs["seed"] for name in strips}
    assert seeds == {42}
    assert (done.folder / "loras/mine-step-4.safetensors").samefile(run / "output/checkpoint-4" / WEIGHTS)
    assert (done.strip.own_bytes, done.strip.bytes) == (0, 2 * done.lora_bytes)


def test_the_strips_read_me_says_how_to_queue_and_to_choose(export_it: Export) -> None:
    out = export_it("dragon", with_strip=True).folder
    text = (out / "strip/READ ME.txt").read_text("utf-8")
    for said in (
        "2 workflows in API form: 2 checkpoints, steps 4 to 8, and 1 prompt, all with seed 42",
        "ComfyUI/models/loras/mine",
        "with a backslash",
        "kanjiprep comfyui --check . --server http://127.0.0.1:8188 --run",
        "kanjiprep score pictures --pattern 'step-{step}_{prompt}.png'",
    ):
        assert said in text
    assert "see strip/READ ME.txt" in (out / "READ ME.txt").read_text("utf-8")


def test_another_strip_leaves_nothing_of_the_last_but_what_was_changed(export_it: Export) -> None:
    out = export_it("dragon", "sea", with_strip=True).folder
    (out / "strip/step-4_sea.json").write_text("{}", "utf-8")
    (out / "strip/mine.json").write_text("{}", "utf-8")
    export_it("dragon", with_strip=True)
    assert {one.name for one in (out / "strip").glob("*.json")} == {
        "step-4_dragon.json",
        "step-8_dragon.json",
        "step-4_sea.json",
        "mine.json",
    }
    export_it("sky")
    assert (out / "strip/step-4_dragon.json").exists(), "without --strip it is left as it is"


def test_a_strip_does_not_read_files_that_need_no_mending(run: Path, export_it: Export) -> None:
    weights(run, 4, is_finite=False)
    done = export_it("dragon", with_strip=True)
    assert done.strip is not None
    assert done.strip.steps == (4, 8), "its picture is black, as in validation"


def test_a_checkpoint_that_is_unfit_and_is_to_be_mended_is_left_out_of_the_strip(
    run: Path, export_it: Export
) -> None:
    weights(run, 4, alpha=2, is_finite=False)
    weights(run, 8, alpha=2)
    done = export_it("dragon", with_strip=True)
    assert done.strip is not None
    assert done.strip.steps == (8,)
    assert done.strip.left_out[0].startswith("the checkpoint of step 4 is left out: ")
    assert "step 4 is left out" in (done.folder / "strip/READ ME.txt").read_text("utf-8")


def test_a_copy_that_cannot_be_written_ends_a_strip(
    run: Path, export_it: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
        def until_it_is_full() -> Iterator[bytes | memoryview]:
            if path.name == "mine-step-4.safetensors":
                raise OSError(28, "No space left on device")
            yield from pieces

        written(path, until_it_is_full())

    written = safetensors_file._write_aside
    monkeypatch.setattr(safetensors_file, "_write_aside", full)
    weights(run, 4, alpha=2)
    with pytest.raises(UsageError) as told:
        export_it("dragon", with_strip=True)
    assert str(told.value).startswith(
        f"{run}/comfyui/loras/mine-step-4.safetensors: cannot be written: no space left on device; free the space"
    )
    assert not (run / "comfyui").exists()


def test_mended_copies_that_do_not_fit_are_not_begun(
    run: Path, export_it: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (4, 8):
        weights(run, number, alpha=2)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: Usage(100, 90, 10))
        with pytest.raises(UsageError, match="GB free, and copies of the LoRAs take .*; free some space, or give"):
            export_it("dragon", with_strip=True)
    assert not (run / "comfyui").exists()
    source = run / "output/checkpoint-8" / WEIGHTS
    whole = source.read_bytes()
    source.write_bytes(b"no LoRA")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: Usage(100, 90, 10))
        done = export_it("dragon", with_strip=True, checkpoint="4")
        assert done.strip is not None
        assert done.strip.steps == (4,), "the other is no LoRA, and takes no room"
    source.write_bytes(whole)
    export_it("dragon", with_strip=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 90, 10))
    assert export_it("dragon", with_strip=True).status == "unchanged", "what stands there needs no room"


def test_a_run_without_a_fit_checkpoint_has_no_strip(run: Path, tmp_path: Path) -> None:
    every = tuned.every(str(run))
    for one in every:
        one.path.write_bytes(b"no LoRA")
    made = recipe.recipe(every[0], Order())
    with pytest.raises(TrainerError, match="no .safetensors file"):
        strip.strip(every, made, export.workflow, tmp_path, tmp_path, silent)


def test_copies_of_a_strip_are_counted(run: Path, export_it: Export) -> None:
    for number in (4, 8):
        weights(run, number, alpha=2)
    done = export_it("dragon", with_strip=True)
    assert done.strip is not None
    assert done.strip.own_bytes == done.strip.bytes > 0
    assert "Here the files are copies." in (done.folder / "strip/READ ME.txt").read_text("utf-8")
    weights(run, 8)
    done = export_it("dragon", with_strip=True)
    assert done.strip is not None
    assert 0 < done.strip.own_bytes < done.strip.bytes
    text = (done.folder / "strip/READ ME.txt").read_text("utf-8")
    assert f"{words.size(done.strip.own_bytes)} of it are copies, and the rest" in text


def test_copies_that_do_not_fit_are_not_begun(
    run: Path, export_it: Export, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(copies, "can_share", lambda *_: False)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 90, 10))
    with pytest.raises(UsageError, match="GB free, and copies of the LoRAs take .* on the disk of the run"):
        export_it("dragon", with_strip=True, out=tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


class Usage(NamedTuple):
    """What ``shutil.disk_usage`` gives."""

    total: int
    used: int
    free: int


def test_a_file_whose_numbers_matter_is_read_each_time(tmp_path: Path) -> None:
    pairs = lora_files.weights()
    plain = lora_files.write(tmp_path / "a.safetensors", lora_files.named(pairs, "diffusers-peft"))
    alphas = lora_files.write(tmp_path / "b.safetensors", lora_files.named(pairs, "diffusers-peft", alpha=2))
    assert copies.shape(plain) is not None
    assert copies.shape(alphas) is None


def test_publish_takes_the_workflows_along_and_nothing_else_of_them(export_it: Export, tmp_path: Path) -> None:
    out = export_it("dragon", with_strip=True).folder
    assert [name for _, name in extras.extras(out.parent)] == ["comfyui/workflow.json", "comfyui/workflow_api.json"]
    for path in (*out.rglob("*.json"), *out.rglob("*.txt")):
        text = path.read_text("utf-8")
        assert str(tmp_path) not in text
        assert str(Path.home()) not in text


def test_sizes_are_in_words() -> None:
    assert [words.size(count) for count in (7_700, 94_600_000, 1_135_600_000)] == ["7.7 kB", "94.6 MB", "1.1 GB"]


def test_a_file_that_cannot_be_read_has_no_fingerprint(tmp_path: Path) -> None:
    assert folder.fingerprint(tmp_path / "none") == ""
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"x" * 2_999_999 + b"y")
    assert folder.fingerprint(tmp_path / "a") != folder.fingerprint(tmp_path / "b")
