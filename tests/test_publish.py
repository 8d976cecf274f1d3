"""What ``publish`` lays out and decides; the real trainer's own adapter is published in the trainer's tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import DatasetError, HubError, TrainerError
from kanjiprep.evaluation.weights import safetensors_file
from kanjiprep.publishing import adapter, publish
from kanjiprep.publishing.destination import Wish
from kanjiprep.publishing.publish import Published, PublishRequest
from kanjiprep.training.running.attempts import WEIGHTS
from tests import lora_files
from tests.fake_hub import FakeHub, patient
from tests.run_folders import paint, trained, write_environment
from tests.test_events import step

Publish = Callable[..., Published]
TOKEN = "hf_" + "q" * 34


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = trained(tmp_path)
    for number in (4, 8):
        weights(made, number, "diffusers-peft")
    return made


def weights(run: Path, number: int, style: str, alpha: float = 4, seed: int | None = None) -> None:
    pairs = lora_files.weights(seed=number if seed is None else seed)
    path = run / f"output/checkpoint-{number}" / WEIGHTS
    path.unlink()
    lora_files.write(path, lora_files.named(pairs, style), lora_files.said(r=4, lora_alpha=alpha))


@pytest.fixture
def publish_it(hub: FakeHub, run: Path, tmp_path: Path) -> Publish:
    request = PublishRequest(run, None, Wish("me/lora", "model"), False, False, tmp_path / "cache", {})

    def make(**more: Any) -> Published:
        try:
            return publish.publish(replace(request, **more), hub, patient())
        finally:
            assert not list((tmp_path / "cache").glob("*")), "nothing is left"

    return make


def files(hub: FakeHub) -> dict[str, bytes]:
    return dict(hub.repos["me/lora"]["branches"]["main"])


def test_the_last_checkpoint_goes_with_its_card(hub: FakeHub, run: Path, publish_it: Publish) -> None:
    done = publish_it()
    assert (done.hub.status, done.step, done.rank, done.alpha, done.repairs) == ("pushed", 8, 4, 4.0, ())
    assert files(hub)[WEIGHTS] == (run / "output/checkpoint-8" / WEIGHTS).read_bytes()
    assert f"`{done.sha256}`" in files(hub)["README.md"].decode()
    assert publish_it().hub.status == "unchanged"


def test_another_checkpoint_may_be_asked_for(hub: FakeHub, publish_it: Publish) -> None:
    assert publish_it(checkpoint="4").step == 4
    with pytest.raises(TrainerError, match="has no checkpoint of step 5"):
        publish_it(checkpoint="5")


def test_a_card_says_which_checkpoint_it_is_of(hub: FakeHub, publish_it: Publish) -> None:
    publish_it(checkpoint="8")
    assert "this one is the last." in files(hub)["README.md"].decode()
    publish_it(checkpoint="4")
    assert "this one is not the last, and was chosen by hand." in files(hub)["README.md"].decode()


def test_the_last_checkpoint_of_a_run_that_went_on_a_little_is_the_last(
    hub: FakeHub, publish_it: Publish, tmp_path: Path
) -> None:
    made = trained(tmp_path / "other", step(9))
    weights(made, 8, "diffusers-peft")
    assert publish_it(run=made).step == 8
    assert "this one is the last." in files(hub)["README.md"].decode()


def test_an_adapter_whose_modules_differ_has_the_rank_that_was_planned(
    hub: FakeHub, run: Path, publish_it: Publish
) -> None:
    pairs = lora_files.weights()
    first = next(iter(pairs))
    down, up = pairs[first]
    pairs[first] = (down[:2], up[:, :2])
    path = run / "output/checkpoint-8" / WEIGHTS
    path.unlink()
    lora_files.write(path, lora_files.named(pairs, "diffusers-peft"), {})
    assert publish_it().rank is None
    assert "| rank, alpha | 4, 4 |" in files(hub)["README.md"].decode()


def test_a_dry_run_sends_nothing(hub: FakeHub, publish_it: Publish) -> None:
    done = publish_it(dry_run=True)
    assert (done.hub.status, set(done.hub.sent), hub.repos) == ("dry run", {WEIGHTS, "README.md"}, {})


@pytest.mark.parametrize("style", ["diffusion_model", "no prefix"])
def test_a_prefix_that_loaders_pass_over_is_mended_in_the_copy_and_said(
    hub: FakeHub, run: Path, publish_it: Publish, tmp_path: Path, style: str
) -> None:
    weights(run, 8, style)
    before = (run / "output/checkpoint-8" / WEIGHTS).read_bytes()
    done = publish_it()
    assert done.key_style == "diffusers-peft"
    assert any("renamed 12 tensors" in change for change in done.repairs)
    assert (run / "output/checkpoint-8" / WEIGHTS).read_bytes() == before, "the run is only read"
    (tmp_path / "sent").write_bytes(files(hub)[WEIGHTS])
    names = safetensors_file.read(tmp_path / "sent").tensors
    assert all(name.startswith("transformer.transformer_blocks.") for name in names)
    assert "changed after training" in files(hub)["README.md"].decode()


def test_an_adapter_that_does_nothing_is_refused(hub: FakeHub, run: Path, publish_it: Publish) -> None:
    pairs = {module: (down, up * 0) for module, (down, up) in lora_files.weights().items()}
    path = run / "output/checkpoint-8" / WEIGHTS
    path.unlink()
    lora_files.write(path, lora_files.named(pairs, "diffusers-peft"), lora_files.said(r=4, lora_alpha=4))
    with pytest.raises(TrainerError, match="zero"):
        publish_it()
    assert hub.repos == {}


def test_pictures_report_and_workflows_go_along_and_what_is_no_more_goes(
    hub: FakeHub, publish_it: Publish, tmp_path: Path
) -> None:
    shown = [paint(tmp_path / "painted", 8, name) for name in ("mountains", "pikachu")]
    made = trained(tmp_path / "other", *shown)
    shutil.copytree(tmp_path / "painted", made, dirs_exist_ok=True)
    weights(made, 8, "diffusers-peft")
    (made / "comfyui").mkdir()
    (made / "comfyui" / "workflow.json").write_text('{"lora_name": "mine-step-8.safetensors"}')
    (made / "report").mkdir()
    (made / "report" / "report.html").write_text("<p>")
    (made / "report" / "scores.csv").write_text("step,score,chosen\n4,0.5,\n8,0.75,yes\n")
    done = publish_it(run=made)
    along = {"images/mountains.png", "comfyui/workflow.json", "report/report.html", "report/scores.csv"}
    assert along < set(files(hub))
    assert done.how == "the best by report/scores.csv"
    card = files(hub)["README.md"].decode()
    assert "| 8 | 0.75 |" in card
    assert "Step 8 is published: the judge chose it." in card
    assert "images/mountains.png" in card
    assert "open `comfyui/workflow.json`" not in card, "a toy is of no use there"
    hub.repos["me/lora"]["branches"]["main"] |= {"images/theirs.png": b"theirs", "mine.txt": b"x"}
    shutil.rmtree(made / "comfyui")
    assert publish_it(run=made).hub.removed == ("comfyui/workflow.json",)
    assert {"images/theirs.png", "mine.txt"} < set(files(hub))


def test_a_workflow_of_another_checkpoint_stays_here_and_is_told(
    hub: FakeHub, run: Path, publish_it: Publish
) -> None:
    (run / "comfyui").mkdir()
    (run / "comfyui" / "workflow.json").write_text('{"lora_name": "mine-step-4.safetensors"}')
    assert publish_it().notes[-1] == (
        "comfyui/workflow.json is left out, since it is made of step 4, and step 8 is published; "
        f"export it again with kanjiprep comfyui {run} --checkpoint 8"
    )
    assert "comfyui/workflow.json" not in files(hub)
    publish_it(checkpoint="4")
    assert files(hub)["comfyui/workflow.json"] == b'{"lora_name": "pytorch_lora_weights.safetensors"}'
    publish_it()
    assert "comfyui/workflow.json" not in files(hub), "it is not left there beside another checkpoint either"


def test_a_licence_that_wants_a_notice_gets_one(hub: FakeHub, run: Path, publish_it: Publish) -> None:
    spec = (run / "run.toml").read_text("utf-8")
    large = spec.replace('flavour = "tiny"', 'flavour = "large"')
    assert large != spec
    (run / "run.toml").write_text(large)
    publish_it()
    assert files(hub)["NOTICE"].decode().startswith("This Stability AI Model is licensed under")
    assert "license_name: stabilityai-ai-community" in files(hub)["README.md"].decode()


def test_a_path_of_this_machine_in_a_report_stays_here(hub: FakeHub, run: Path, publish_it: Publish) -> None:
    (run / "report").mkdir()
    (run / "report" / "report.html").write_text(f"made in {run}/output")
    with pytest.raises(DatasetError, match="report.html:1 holds a path of this machine"):
        publish_it()
    assert hub.repos == {}


def test_a_secret_in_a_workflow_stays_here(hub: FakeHub, run: Path, publish_it: Publish) -> None:
    (run / "comfyui").mkdir()
    (run / "comfyui" / "workflow.json").write_text(f'["mine-step-8.safetensors", "{TOKEN}"]')
    with pytest.raises(DatasetError, match="workflow.json:1 holds a token of the Hub"):
        publish_it()


def test_a_card_of_somebody_else_is_merged_and_nothing_of_theirs_removed(hub: FakeHub, publish_it: Publish) -> None:
    theirs = b"---\nauthors: [me]\nwidget:\n- text: a\n  output: {url: images/a.png}\n---\n# Mine\n"
    hub.has("me/lora", {"README.md": theirs, "images/a.png": b"a"})
    done = publish_it()
    assert done.hub.removed == ()
    assert "# Mine" in files(hub)["README.md"].decode()
    assert "images/a.png" in files(hub)


def test_the_dataset_on_the_hub_is_named(hub: FakeHub, run: Path, publish_it: Publish) -> None:
    write_environment(run, hub_dataset="me/kanji", hub_revision="c" * 40)
    publish_it()
    assert "datasets:\n- me/kanji\n" in files(hub)["README.md"].decode()


def test_a_card_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "README.md").mkdir()
    with pytest.raises(HubError, match="README.md: cannot be written: is a directory; free some space"):
        adapter._write(tmp_path, {"README.md": b"x"})


def test_an_adapter_of_somebody_else_is_not_published_over(hub: FakeHub, publish_it: Publish) -> None:
    hub.has("me/lora", {WEIGHTS: b"theirs", "README.md": b"# Theirs"})
    with pytest.raises(
        HubError, match="holds pytorch_lora_weights.safetensors that kanjiprep did not publish. Nothing"
    ):
        publish_it()
    assert files(hub)[WEIGHTS] == b"theirs"
    assert publish_it(force=True).hub.status == "pushed"
