"""The Modal script of an export, imported with the real package; it is never deployed, and reaches nobody."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kanjiprep.errors import UsageError
from kanjiprep.publishing.first_attempt import export, modal_script, script
from kanjiprep.training import gpus, pictures, plan, presets
from kanjiprep.training.configs import Places
from kanjiprep.training.machines import Market
from kanjiprep.training.plan import Plan
from kanjiprep.training.presets import Preset

EVIL = 'it\'s """ \\ {x} 漢 </script> \\n'


def planned(*settings: str, preset: str = "sd15-full", gpu: str | None = None) -> tuple[Preset, Plan]:
    found = presets.load(preset, settings)
    places, market = Places(Path("run"), Path("tiny")), Market(gpus.load())
    return found, plan.plan(found, pictures.nominal(6414, 512), places, market, gpu)


def imported(folder: Path, preset: Preset, made: Plan) -> ModuleType:
    texts = export.texts(preset, made, "0" * 64)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    spec = importlib.util.spec_from_file_location("modal_app", folder / "modal_app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["modal_app"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    sys.modules.pop("modal_app", None)


def inner(thing: Any) -> Any:
    """The object behind what the package hands out, with what it noted before anything is sent."""
    from modal._utils.async_utils import synchronizer

    return synchronizer._translate_in(thing)


def test_the_real_package_takes_it_and_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import modal

    monkeypatch.setenv("HOME", str(tmp_path))
    module = imported(tmp_path, *planned(gpu="a100-40gb-sxm"))
    assert isinstance(module.app, modal.App)
    assert module.app.name == "kanjiprep-sd15-full"
    assert isinstance(module.image, modal.Image)
    train, painter = inner(module.fine_tune), inner(module.Painter)._class_service_function
    assert train._function_info.gpus == painter._function_info.gpus == [("A100-40GB", 1)]
    assert train._function_info.timeout == module.TIMEOUT_S == 4 * 3600
    assert painter._function_info.timeout == 600
    for one in (train, painter):
        assert one._spec.volumes == {"/volume": inner(module.volume)}
        assert one._spec.image is inner(module.image)
    assert [one.name for one in train._spec.secrets] == ["huggingface-secret"]
    assert list(painter._spec.secrets) == []
    assert isinstance(module.Painter, modal.Cls)
    assert {"paint", "train"} <= set(vars(module))
    assert type(module.train).__name__ == type(module.paint).__name__ == "LocalEntrypoint"


def test_it_compiles_and_holds_the_words_of_the_style_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / EVIL.replace("/", "")
    folder.mkdir()
    found = presets.load("sd15-full")
    style = replace(found.prompts.style, prefix=EVIL, suffix="\u2028'\x00", negative="\\")
    odd = replace(found, name=EVIL, prompts=replace(found.prompts, style=style))
    module = imported(folder, odd, planned()[1])
    assert (module.PREFIX, module.SUFFIX, module.NEGATIVE) == (EVIL, "\u2028'\x00", "\\")
    assert module.NAME == "kanjiprep-it-s-x-script-n"
    assert (module.SIZE_PX, module.INFERENCE_STEPS, module.GUIDANCE, module.SEED) == (512, 50, 7.5, 42)
    assert module.MODEL == "stable-diffusion-v1-5/stable-diffusion-v1-5"


def test_no_name_of_the_old_package_and_no_secret_is_in_it() -> None:
    text = export.texts(*planned(), "0" * 64)["modal_app.py"]
    names = {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
    assert not {"Stub", "persisted", "NetworkFileSystem", "Mount"} & names
    assert "hf_" not in text
    assert 'modal.Secret.from_name("huggingface-secret")' in text
    assert all(f'"{one}"' in text for one in script.REQUIREMENTS)


def test_other_options_or_pictures_are_another_training() -> None:
    def key(content: str, *settings: str) -> str:
        text = export.texts(*planned(*settings), content)["modal_app.py"]
        return next(line for line in text.splitlines() if line.startswith("KEY = "))

    assert key("0") == key("0")
    assert len({key("0"), key("1"), key("0", "training.epochs=3"), key("0", "optimizer.learning_rate=2e-5")}) == 4


def test_the_price_is_told_with_its_source() -> None:
    text = export.texts(*planned("guard.max_hours=2.5", gpu="h100-80gb-sxm"), "0")["modal_app.py"]
    assert (
        "after 2.5 hours at the latest: that is at most 9.88 USD for the GPU, at 3.95 USD\nan hour (modal.com" in text
    )
    assert "TIMEOUT_S = 9000\n" in text


@pytest.mark.parametrize(
    ("settings", "hours"), [((), 8), (("guard.max_hours=2.5",), 2.5), (("training.epochs=99",), 24)]
)
def test_a_training_ends_in_time(settings: tuple[str, ...], hours: float) -> None:
    assert modal_script.most_hours(*planned(*settings)) == hours


def test_without_a_machine_the_limit_is_modals_own() -> None:
    preset, made = planned(gpu="cpu")
    assert modal_script.most_hours(preset, made) == modal_script.LONGEST_H
    with pytest.raises(UsageError, match="--gpu: Modal has no cpu; give one of a10-24gb"):
        modal_script.gpu_of(made)


def test_every_gpu_is_one_of_our_table_and_big_enough() -> None:
    known = {gpu.name: gpu for gpu in gpus.load().gpu}
    assert all(known[name].memory_gib > 20 for name in modal_script.GPUS)


@pytest.mark.parametrize(
    ("preset", "name"),
    [("sd15-full", "kanjiprep-sd15-full"), ("漢字", "kanjiprep"), ("a_b c/..", "kanjiprep-a-b-c"), ("x" * 99, "")],
)
def test_names_are_fit_for_modal(preset: str, name: str) -> None:
    assert modal_script.name(preset) == (name or ("kanjiprep-" + "x" * 54))
