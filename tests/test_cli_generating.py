from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kanjiprep.publishing.painting import model
from kanjiprep.training.running.attempts import WEIGHTS
from tests import lora_files, painting_models, run_folders
from tests.conftest import Run
from tests.painting_models import Fake

SMALL = ("--prompt", "cat", "--size-px", "32", "--steps", "2")


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    monkeypatch.chdir(tmp_path)
    painting_models.base(tmp_path / "tiny")
    painting_models.lora(tmp_path / "mine.safetensors")
    return ("generate", "mine.safetensors", "--base", "tiny", *SMALL)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr(model, "opened", fake.opened)
    monkeypatch.setattr(model, "refuse_without_diffusers", lambda: None)
    return fake


def test_pictures_are_painted_and_the_next_step_told(run: Run, words: tuple[str, ...], fake: Fake) -> None:
    code, out, err = run(*words, "--seeds", "1-2")
    assert (code, out) == (0, "")
    assert "note: paints with mine" in err
    assert "device: none at all" in err
    assert err.endswith("painted: 2 pictures\nLook at: pictures/mine/grid.png\n")
    assert "painted: 0 pictures, 2 were there already" in run(*words, "--seeds", "1-2")[2]


def test_json_is_one_document(run: Run, words: tuple[str, ...], fake: Fake) -> None:
    code, out, err = run(*words, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["painted"] == ["mine_cat_seed-42.png"]


def test_a_picture_that_failed_gives_exit_code_6(run: Run, words: tuple[str, ...], fake: Fake) -> None:
    fake.unpainted = (2,)
    code, _, err = run(*words, "--seeds", "1-2")
    assert code == 6
    assert "painted: 1 picture\n" in err
    assert err.splitlines()[-1] == (
        "error: mine: fake: the picture with the seed 2 is not a number in its latent: "
        "1 picture could not be painted; the others are there"
    )


def test_a_dry_run_tells_everything_and_writes_nothing(run: Run, words: tuple[str, ...], tmp_path: Path) -> None:
    code, out, err = run(*words, "--dry-run", "--seeds", "1-30")
    assert code == 0
    assert out.startswith("cat: cat (CLIP-L at most ")
    assert "  mine_cat_seed-1.png\n" in out
    assert out.endswith("  and 10 more\n")
    assert "would paint 30 pictures into pictures/mine, 32 px, 2 steps, guidance 4.5, with tiny" in err
    assert not (tmp_path / "pictures").exists()


def test_a_dry_run_as_json(run: Run, words: tuple[str, ...]) -> None:
    table = json.loads(run(*words, "--dry-run", "--json", "--with-base")[1])
    assert [one["file"] for one in table["pictures"]] == ["base_cat_seed-42.png", "mine_cat_seed-42.png"]
    assert table["tokens"]["cat"][0]["encoder"] == "CLIP-L"
    assert table["placement"]["device"] in ("cpu", "cuda", "mps")


def test_without_diffusers_the_extra_is_named(
    run: Run, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    code, _, err = run(*words)
    assert code == 2
    assert err.splitlines()[-1] == "error: pictures need diffusers; pip install 'kanjiprep[generate]'"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--seeds", "none"), "is no list of seeds"),
        (("--style", "nope"), "no styles file 'nope'"),
        (("--size-px", "40"), "40 is no multiple of 16; give 32"),
        (("--like-validation",), "is of no run"),
        (("--checkpoint", "4"), "is one checkpoint alone"),
        (("--base", ""), "--base: is empty"),
        (("--out", ""), "--out: is empty"),
        (("--style", " "), "--style: is empty"),
        (("--every-checkpoint",), "mine.safetensors: is one checkpoint alone; leave --every-checkpoint out"),
        (("--seeds", "1-999999999"), "is 999,999,999 seeds, which are too many at once; ask for 10,000 at most"),
        (("--steps", "0"), "0 is not in the range"),
        (("--device", "tpu"), "is not one of"),
    ],
)
def test_wrong_options_are_one_line(run: Run, words: tuple[str, ...], more: tuple[str, ...], told: str) -> None:
    code, out, err = run(*words, *more)
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_a_runs_checkpoint_is_judged_next(run: Run, words: tuple[str, ...], fake: Fake, tmp_path: Path) -> None:
    trained = run_folders.trained(tmp_path)
    painting_models.lora(trained / "output" / "checkpoint-8" / WEIGHTS)
    err = run("generate", "mine", "--checkpoint", "8", "--base", "tiny", *SMALL)[2]
    assert err.splitlines()[-1] == (
        "Next: kanjiprep score pictures/mine --pattern 'step-{step}_{prompt}_seed-{seed}.png'"
    )


def test_a_prompt_that_text_encoders_cut_is_warned_of(run: Run, words: tuple[str, ...]) -> None:
    err = run(*words, "--prompt", "山" * 40, "--dry-run")[2]
    assert "the subject may end as late as token 122 of which CLIP reads 77" in err


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_an_unfit_lora_is_refused_before_anything_is_loaded(
    run: Run, words: tuple[str, ...], fake: Fake, tmp_path: Path, more: tuple[str, ...]
) -> None:
    numbers = {name: (0 * down, 0 * up) for name, (down, up) in lora_files.weights().items()}
    lora_files.write(tmp_path / "mine.safetensors", lora_files.named(numbers, "diffusers-peft"))
    code, _, err = run(*words, *more)
    assert code == 6
    assert "mine.safetensors: unfit: all its matrices multiply to zero" in err.splitlines()[-1]
    assert fake.asked == []
    assert not (tmp_path / "pictures").exists()


def test_a_dry_run_warns_of_a_checkpoint_that_is_unfit(run: Run, words: tuple[str, ...], tmp_path: Path) -> None:
    trained = run_folders.trained(tmp_path)
    painting_models.lora(trained / "output" / "checkpoint-8" / WEIGHTS)
    (trained / "output" / "checkpoint-4" / WEIGHTS).write_bytes(b"weights")
    code, _, err = run("generate", "mine", "--every-checkpoint", "--base", "tiny", *SMALL, "--dry-run")
    assert code == 0
    assert "warning: " in err
    assert "checkpoint-4" in err


def test_a_dry_run_tells_prompts_in_their_order_and_in_one_line_each(run: Run, words: tuple[str, ...]) -> None:
    out = run(*words, "--prompt", "two\nlines", "--dry-run")[1]
    assert [line.partition(" (")[0] for line in out.splitlines()[:2]] == ["cat: cat", "two_lines: two lines"]
