from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kanjiprep.publishing.painting import model
from kanjiprep.training.running.attempts import WEIGHTS
from tests import painting_models, run_folders
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
    assert err.splitlines()[-1].endswith(
        "1 picture could not be painted; see the warnings; the other pictures are there"
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
        (("--base", ""), "give --base MODEL"),
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
