from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.dataset import build as building
from kanjiprep.dataset.build import BuildRequest, Place
from kanjiprep.progress import silent
from kanjiprep.training import presets
from kanjiprep.training.setup_plan import SetupPlan
from tests.conftest import Run

USERS = "sd35-large-lora-lr1.05e-3"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_presets_are_listed_with_their_titles(run: Run) -> None:
    code, out, err = run("presets")
    assert (code, err) == (0, "Next: kanjiprep plan sd35-large-lora\n")
    assert [line.split()[0] for line in out.splitlines()] == list(presets.names())
    _, out, _ = run("presets", "--json")
    assert [one["name"] for one in json.loads(out)] == list(presets.names())


def test_a_preset_is_printed_as_a_run_toml_that_means_the_same(run: Run, tmp_path: Path) -> None:
    code, out, err = run("presets", USERS)
    assert (code, err) == (0, "")
    assert tomllib.loads(out)["lora"]["rank"] == 768
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "run.toml").write_text(out, "utf-8")
    assert presets.load("mine").spec == presets.load(USERS).resolved_spec()
    _, out, _ = run("presets", USERS, "--json")
    document = json.loads(out)
    assert (document["name"], document["prompts"]) == (USERS, {"mountains": "mountains"})
    assert document["spec"]["training"]["steps_by_hand"] == 36_000


def test_a_plan_is_told_with_its_next_step(run: Run) -> None:
    code, out, err = run("plan", USERS, "--samples", 6413)
    assert code == 0
    assert "36,000 as set by hand: 3,930 more" in out
    assert "warning: cosine-returns: " in out
    assert err == f"Next: mend what is warned of, or rehearse it: kanjiprep rehearse {USERS}\n"


def test_a_plan_is_one_json_document(run: Run) -> None:
    code, out, err = run("plan", USERS, "--samples", 6413, "--json", "--gpu", "h100-80gb-sxm")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert set(document) == {
        "preset", "title", "own_templates", "dataset", "digest", "hub", "buckets", "steps", "differences", "rates",
        "pictures", "model", "model_parameters", "trained_parameters", "costs", "findings",
    }  # fmt: skip
    assert (document["steps"]["total"], document["steps"]["textbook"]) == (32_070, 32_065)
    assert document["costs"]["machine"]["gpu"] == "h100-80gb-sxm"
    assert set(document["costs"]["machine"]["hours"]) == {"value", "low", "high", "unit", "how", "source"}
    assert document["findings"][0]["rule"] == "cosine-returns"


def test_a_plan_reads_a_built_dataset_and_draws_its_curve(
    run: Run, request_of: Callable[..., BuildRequest], place: Place, tmp_path: Path
) -> None:
    building.build(request_of(), place, silent)
    settings = ("--set", "training.batch=1", "--set", "schedule.warmup_steps=1")
    code, out, err = run("plan", "sd35-large-lora", *settings, "--curve", "rate.svg")
    assert code == 0
    assert "3 pictures of one shape, digest " in out
    assert "read pictures: 3 of 3" in err
    assert (tmp_path / "rate.svg").read_bytes().startswith(b"<svg")


def test_a_plan_that_would_not_start_says_so(run: Run, request_of: Callable[..., BuildRequest], place: Place) -> None:
    building.build(request_of(), place, silent)
    code, out, err = run("plan", "sd35-large-lora", "--set", "schedule.warmup_steps=1")
    assert code == 2
    assert "error: bucket-too-small: Bucket 1.0 has 3 samples, one step needs 12." in out
    assert err.endswith("This would not start as meant: 1 error above\n")


def test_a_plan_is_exported_for_diffusers_own_script(
    run: Run, request_of: Callable[..., BuildRequest], place: Place, tmp_path: Path
) -> None:
    building.build(request_of(), place, silent)
    arguments = ("plan", "sd15-full", "--set", "training.batch=1", "--export-diffusers", "attempt1")
    code, out, err = run(*arguments)
    assert code == 0
    assert "3 pictures of one shape" in out
    assert "written: attempt1\nOr: see attempt1/READ_ME.md for the same" in err
    assert "attempt1/READ_ME.md" in err.splitlines()[-1]
    assert (tmp_path / "attempt1" / "train" / "metadata.csv").is_file()
    code, out, err = run(*arguments, "--json")
    said = json.loads(out)
    assert (code, err, said["preset"]) == (0, "", "sd15-full")
    assert said["exported"] == {
        "folder": str(tmp_path / "attempt1"), "status": "unchanged", "pictures": 3, "steps": 30, "modal_gpu": "A10",
        "modal_most_hours": said["exported"]["modal_most_hours"],
        "modal_most_usd": round(1.10 * said["exported"]["modal_most_hours"], 2),
    }  # fmt: skip


def test_what_cannot_be_exported_is_refused_before_anything_is_read(run: Run, tmp_path: Path) -> None:
    for arguments, says in (
        (("sd35-large-lora",), "sd35-large-lora: --export-diffusers is for a full fine-tune of Stable Diffusion 1.5"),
        (
            ("sd15-full", "--samples", 9),
            "--samples: --export-diffusers needs the pictures themselves; give --dataset",
        ),
    ):
        code, out, err = run("plan", *arguments, "--export-diffusers", "attempt1")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert says in err
    assert not list(tmp_path.iterdir())


def test_the_next_step_is_of_the_very_run_that_was_planned(run: Run) -> None:
    arguments = ("plan", "sd35-large-lora", "--samples", 6414, "--set", "lora.rank=64", "--set", "title=a b")
    _, _, err = run(*arguments)
    wanted = "sd35-large-lora --set lora.rank=64 --set 'title=a b'"
    assert err == f"Next: kanjiprep rehearse {wanted}, then kanjiprep launch-simpletuner {wanted}\n"
    _, _, err = run(*arguments, "--gpu", "rtx3060-12gb")
    assert err.startswith("This does not fit: NVIDIA GeForce RTX 3060")


def test_a_plan_is_of_a_number_of_pictures_or_of_a_dataset(run: Run) -> None:
    code, out, err = run("plan", USERS, "--samples", 5, "--dataset", "d")
    assert (code, out) == (2, "")
    assert err == "error: --samples: is for a dataset that is not there yet; leave out one of the two\n"


@pytest.mark.parametrize(
    ("name", "says"),
    [("keep.png", "is there and is no picture"), ("rate.txt", "does not end in .svg or .png"), ("d/c.png", "unfit")],
)
def test_a_curve_takes_no_place_of_what_is_no_picture(run: Run, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "keep.png").write_text("keep")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "metadata.csv").touch()
    code, out, err = run("plan", USERS, "--samples", 6413, "--curve", name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err
    assert (tmp_path / "keep.png").read_text() == "keep"
    assert not (tmp_path / "d" / "c.png").exists()


def test_a_plan_to_go_on_looks_at_the_earlier_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "runs" / "first" / "output" / "checkpoint-16050").mkdir(parents=True)
    arguments = ("plan", "sd35-large-lora", "--samples", 6414)
    assert run(*arguments)[0] == 0
    code, out, _ = run(*arguments, "--name", "first")
    assert code == 2
    assert "nothing-left-to-do" in out


def test_the_live_price_is_asked_with_the_key_and_its_failure_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBDA_API_KEY", "secret_key")
    monkeypatch.setenv("KANJIPREP_LAMBDA_ENDPOINT", "http://elsewhere.example")
    code, out, err = run("plan", USERS, "--samples", 6413)
    assert code == 0
    assert "no live price: the key is sent over https only" in out
    assert "secret_key" not in out + err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["plan", "sd35-large-lroa"], 2, "no preset 'sd35-large-lroa', did you mean 'sd35-large-lora'?"),
        (["plan", USERS], 4, "metadata.csv: cannot be read: no such file or directory; run kanjiprep build"),
        (["plan", USERS, "--samples", "9", "--gpu", "a101"], 2, "no GPU is called 'a101'"),
        (["plan", USERS, "--samples", "9", "--curve", "x.gif"], 2, "x.gif: does not end in .svg or .png"),
        (["plan", USERS, "--set", "lora.rnak=4"], 2, "lora.rnak is not a key here, did you mean 'rank'?"),
        (["presets", "gone"], 2, "no preset 'gone'"),
        (["launch-simpletuner", "tiny-cpu", "--max-usd", "0"], 2, "'--max-usd'"),
        (
            ["launch-simpletuner", "gone", "--resume"],
            2,
            "no run 'gone'; launch one with kanjiprep launch-simpletuner",
        ),
        (["launch-simpletuner", "gone", "--resume", "--set", "a=1"], 2, "--set cannot be had with --resume"),
        (["launch-simpletuner", "sd15-full", "--guard", "rollback"], 2, "for model.train 'full' take 'stop'"),
        (["monitor", "gone"], 2, "no run 'gone'"),
        (["stop", "gone"], 2, "no run 'gone'"),
        (["rehearse", "sd35-large-lora", "--trainer", "gone"], 6, "kanjiprep setup-trainer"),
        (["launch-simpletuner", "tiny-cpu", "--dry-run", "--trainer", "gone"], 6, "kanjiprep setup-trainer"),
        (["setup-trainer", "--accelerator", "tpu"], 2, "'tpu' is not one of"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_its_exit_code(
    run: Run, arguments: list[str], code: int, says: str
) -> None:
    found, out, err = run(*arguments)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert says in err


def test_several_problems_are_one_message_with_a_line_each(run: Run) -> None:
    code, out, err = run(
        "plan", "tiny-cpu", "--set", "lora.rnak=4", "--set", "lora.alpha=0", "--set", "training.batch=-1"
    )
    assert (code, out) == (2, "")
    assert err.splitlines()[0].endswith("tiny-cpu/run.toml: 3 problems")
    assert err.splitlines()[1:] == [
        "  --set lora.rnak is not a key here, did you mean 'rank'?",
        "  --set lora.alpha must be above 0 and at most 1000000, not 0.0",
        "  --set training.batch must be at least 1 and at most 1000000, not -1",
    ]


def test_setup_says_what_it_would_download(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = SetupPlan(Path("/env"), "cpu", "/usr/bin/python3.12", 3.1, 6.5, False, True)
    seen: list[Any] = []

    def plan(request: Any) -> SetupPlan:
        seen.append(request)
        return agreed

    monkeypatch.setattr("kanjiprep.training.setup_trainer.plan", plan)
    code, out, err = run("setup-trainer", "--dry-run", "--where", "env", "--accelerator", "cpu")
    assert (code, out) == (0, "")
    assert "download about 3.1 GiB, install SimpleTuner 4.10.1 [cpu], about 6.5 GiB on the disk" in err
    assert (seen[0].where, seen[0].accelerator) == (Path("env").resolve(), "cpu")
    _, out, err = run("setup-trainer", "--dry-run", "--json")
    assert json.loads(out)["steps"][0].startswith("make /env with /usr/bin/python3.12")
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "place", "says"),
    [
        (("monitor", "mine"), "kanjiprep.cli.watching.watch", "the run goes on; kanjiprep stop runs/mine ends it"),
        (("stop", "mine"), "kanjiprep.training.running.starting.stop", "no longer waited for; the stop may go on"),
    ],
)
def test_ctrl_c_ends_the_looking_and_not_the_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], place: str, says: str
) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "launch.json").write_text("{}", "utf-8")

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupt)
    code, out, err = run(*arguments)
    assert (code, out) == (130, "")
    assert says in err


def test_a_folder_of_others_is_refused_before_the_pictures_are_looked_at(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("x")
    code, out, err = run("plan", "sd15-full", "--dataset", "nowhere", "--export-diffusers", "mine")
    assert (code, out) == (2, "")
    assert "is there already, and is no export of kanjiprep" in err


def test_a_folder_with_a_space_is_quoted(run: Run, request_of: Callable[..., BuildRequest], place: Place) -> None:
    building.build(request_of(), place, silent)
    _, _, err = run("plan", "sd15-full", "--export-diffusers", "a $(b)")
    assert "written: 'a $(b)'\nOr: see 'a $(b)/READ_ME.md' for the same" in err


@pytest.mark.parametrize("name", ['a/b:c?*"<>|', "CON", "dots.", " space", "x" * 300, ""])
def test_a_run_has_a_name_that_every_system_takes(run: Run, name: str) -> None:
    code, out, err = run("plan", "sd35-large-lora", "--samples", "100", "--name", name)
    assert (code, out) == (2, "")
    assert "is no name of a folder in runs/: " in err
    assert err.endswith("give another with --name\n")


def test_runs_differ_by_more_than_case(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "Mine").mkdir(parents=True)
    code, out, err = run("plan", "sd35-large-lora", "--samples", "100", "--name", "mine")
    assert (code, out) == (2, "")
    assert err == "error: mine: differs by case only from Mine, which is there; name it Mine, or otherwise\n"
