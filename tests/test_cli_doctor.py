from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.cli import doctor
from kanjiprep.evaluation.weights import lora
from kanjiprep.training import presets
from kanjiprep.training.running.attempts import WEIGHTS
from tests.conftest import Run
from tests.lora_files import SD3, named, said, weights, write
from tests.run_folders import trained

GOOD: dict[str, Any] = {"r": 4, "lora_alpha": 4.0}


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")


def make(path: str = "a.safetensors", style: str = "diffusers-peft", metadata: Any = None, **more: Any) -> Path:
    return write(Path(path), named(weights(seed=more.pop("seed", 0)), style, **more), metadata)


def test_a_sound_file_is_shown_on_stdout_and_what_to_do_next_on_stderr(run: Run) -> None:
    make(metadata=said(**GOOD, base_model_name_or_path="a/b") | {f"word {n}": "x" for n in range(10)})
    code, out, err = run("lora", "a.safetensors")
    assert code == 0
    assert "verdict     sound, as far as its header tells" in out
    assert "rank        4" in out
    assert "alpha       4, from the metadata; applied times 1" in out
    assert "modules     6 in 2 of 2 blocks" in out
    assert "targets     to_k, to_out.0, to_q" in out
    assert "ComfyUI     patches 6 of 6 modules, as they were trained" in out
    assert "base        a/b (base_model_name_or_path)" in out
    assert "metadata    and 2 more; --json has all" in out
    assert err == "Next: kanjiprep lora a.safetensors --deep\n"


def test_numbers_are_shown_when_they_are_read(run: Run) -> None:
    pairs = weights()
    pairs[SD3[0]][1][:] = 0
    write(Path("a.safetensors"), named(pairs, "diffusers-peft"), said(**GOOD))
    code, out, err = run("lora", "a.safetensors", "--deep")
    assert code == 0
    for part in (
        "verdict     sound\n",
        "numbers     all finite",
        "zeros       1 of 6 modules",
        "norms  ",
        "sha256  ",
    ):
        assert part in out
    assert "modules: 6 of 6" in err
    assert "Next" not in err


def test_a_file_with_a_bad_prefix_is_to_be_mended(run: Run) -> None:
    make(style="diffusion_model")
    code, out, err = run("lora", "a.safetensors")
    assert code == 0
    assert "verdict     to be mended" in out
    assert "alpha       not said" in out
    assert "warning     ComfyUI patches 0 of 6 modules: it has no place for the names of diffusion_model" in out
    assert err == "Next: kanjiprep lora a.safetensors --fix\n"


def test_several_ranks_and_alphas_are_shown(run: Run) -> None:
    tensors = named(weights(SD3[:3]), "kohya", alpha=4) | named(weights(SD3[3:], rank=8), "kohya", alpha=2)
    write(Path("a.safetensors"), tensors)
    _, out, _ = run("lora", "a.safetensors")
    assert "rank        4 to 8" in out
    assert "alpha       of several sizes, from beside the matrices\n" in out


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_an_unfit_file_ends_with_six(run: Run, as_json: list[str]) -> None:
    pairs = {module: (first, second * 0) for module, (first, second) in weights().items()}
    write(Path("a.safetensors"), named(pairs, "diffusers-peft"))
    code, out, err = run("lora", "a.safetensors", "--deep", *as_json)
    assert code == 6
    assert "unfit: all its matrices multiply to zero, so it does nothing; take another checkpoint" in err
    assert (json.loads(out)["verdict"] == "unfit") if as_json else ("problem     all its matrices" in out)


def test_a_file_with_nan_is_shown(run: Run) -> None:
    pairs = weights()
    pairs[SD3[0]][1][0] = float("nan")
    write(Path("a.safetensors"), named(pairs, "diffusers-peft"))
    code, out, _ = run("lora", "a.safetensors", "--deep")
    assert code == 6
    assert "numbers     1 of 12 matrices with NaN or infinity" in out


def test_a_run_whose_alpha_is_not_its_rank_is_to_be_mended(run: Run, tmp_path: Path) -> None:
    folder = trained(tmp_path, preset=presets.load("tiny-cpu", ("lora.rank=4", "lora.alpha=2")))
    for file in folder.glob(f"output/*/{WEIGHTS}"):
        make(str(file))
    for wanted in (folder, folder / "output/checkpoint-8", folder / "output/checkpoint-8" / WEIGHTS):
        code, out, err = run("lora", wanted)
        assert code == 0
        assert "verdict     to be mended" in out
        assert "alpha       2, of the run's run.toml; to be applied times 0.5" in out
        assert "ComfyUI     patches 6 of 6 modules; the file does not say alpha 2, so it applies it 2 times" in out
        assert "alpha = rank is assumed" not in out
        assert "--fix" in err
    code, _, err = run("lora", folder / "output/checkpoint-8", "--fix")
    assert code == 0
    assert "by 0.5" in err
    assert Path("mine-8-fixed.safetensors").is_file()


def test_a_lora_of_another_model_gets_no_advice_to_mend_it(run: Run) -> None:
    write(Path("a.safetensors"), named(weights(["single_transformer_blocks.0.attn.to_q"]), "diffusers-peft"))
    code, out, err = run("lora", "a.safetensors")
    assert code == 6
    assert "it is no LoRA for SD3 or SD1.5: its modules are of another model, such as 'single_tr" in err
    assert "kind        LoRA of a model that is not known here" in out
    for word in ("--fix", "patches", "diffusers "):
        assert word not in out + err
    assert run("lora", "a.safetensors", "--fix")[0] == 6


def test_names_out_of_a_file_stay_on_their_line(run: Run) -> None:
    write(Path("a.safetensors"), named(weights(["transformer_blocks.0.attn.to\nq"]), "diffusers-peft"))
    _, out, _ = run("lora", "a.safetensors")
    assert "targets     to\\nq\n" in out


def test_no_lora_is_shown_as_such(run: Run) -> None:
    write(Path("a.safetensors"), {})
    code, out, err = run("lora", "a.safetensors")
    assert code == 6
    assert "kind        no LoRA\n" in out
    assert "it holds no tensors" in err


def test_mending_writes_a_copy_beside_it(run: Run) -> None:
    make(style="diffusion_model")
    code, out, err = run("lora", "a.safetensors", "--fix", "--dtype", "fp32", "--alpha", "2")
    assert (code, out) == (0, "")
    assert "renamed 12 tensors" in err
    assert "multiplied 6 of 6 second matrices by 0.5" in err
    assert "wrote its numbers as F32, not BF16; this is exact" in err
    assert "Next: kanjiprep lora a-fixed.safetensors" in err
    assert run("lora", "a-fixed.safetensors", "--json")[0] == 0


def test_nothing_to_mend_is_said(run: Run) -> None:
    make(metadata=said(**GOOD))
    assert "nothing to mend: the copy is the same, byte for byte" in run("lora", "a.safetensors", "--fix")[2]


def test_a_smaller_copy_says_what_it_loses(run: Run) -> None:
    make(metadata=said(**GOOD))
    code, _, err = run("lora", "a.safetensors", "--resize", "2", "--out", "b.safetensors")
    assert code == 0
    assert "rank 2, which loses " in err
    assert "most is lost by transformer_blocks." in err
    assert "modules of less than rank 2 before: 0%" in err
    found = json.loads(run("lora", "a.safetensors", "--resize", "auto:0.5", "--json")[1])
    assert found["rank"] in (1, 2, 3)
    assert len(found["losses"]) == 6


def test_several_files_are_added_up(run: Run) -> None:
    make(metadata=said(**GOOD))
    make("b.safetensors", seed=1)
    code, _, err = run("lora", "--merge", "a.safetensors", "b.safetensors", "--weights", "0.7,0.3")
    assert code == 0
    assert "added up 0.7 of a.safetensors, 0.3 of b.safetensors, at rank 8, the sum of theirs" in err
    assert lora.inspect(Path("a-merged.safetensors")).rank == 8


def test_the_alpha_of_a_run_counts(run: Run, tmp_path: Path) -> None:
    folder = trained(tmp_path)
    for file in folder.glob(f"output/*/{WEIGHTS}"):
        make(str(file))
    code, out, _ = run("lora", folder, "--checkpoint", "4", "--json")
    assert (code, json.loads(out)["alpha"], json.loads(out)["alpha_from"]) == (0, 4.0, "run")
    code, _, err = run("lora", folder, "--checkpoint", "4", "--fix")
    assert code == 0
    assert Path(f"{folder.name}-4-fixed.safetensors").is_file()
    assert "wrote" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a.safetensors", "b.safetensors"], "2 files are given; give one, or --merge"),
        (["a.safetensors", "--weights", "1"], "is only for --merge"),
        (["a.safetensors", "--out", "x.safetensors"], "is only for a copy; add --fix"),
        (["a.safetensors", "--fix", "--alpha", "0"], "0 is no number above 0"),
        (["a.safetensors", "--fix", "--alpha", "nan"], "nan is no number above 0"),
        (["a.safetensors", "--resize", "many"], "'many' is no rank"),
        (["a.safetensors", "--fix", "--deep"], "is only for looking"),
        (["a.safetensors", "--merge"], "one file alone is nothing to add up"),
        (["a.safetensors", "--fix", "--out", "a.safetensors"], "exists already, and nothing is overwritten"),
        (["model"], "is a whole model and no LoRA"),
        (["nothing"], "or give the file of a LoRA"),
        (["nosuch.safetensors"], "nosuch.safetensors: there is no such file; check its path"),
        (["a.safetensors", "--fix", "--alpha", "8"], "8 would do nothing: the file says alpha 4 itself"),
        (["a.safetensors", "--resize", "4"], "its rank is 4, so nothing would be smaller at rank 4"),
    ],
)
def test_what_makes_no_sense_is_one_line(run: Run, words: list[str], says: str) -> None:
    make(metadata=said(**GOOD))
    make("b.safetensors")
    Path("model/transformer").mkdir(parents=True)
    Path("model/transformer/config.json").write_text("{}")
    before = sorted(Path().iterdir())
    code, out, err = run("lora", *words)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(("count", "says"), [(12, "12 bytes"), (189_000_000, "189.0 MB"), (1_135_600_000, "1.14 GB")])
def test_sizes_are_said_in_units(count: int, says: str) -> None:
    assert doctor._size(count) == says
