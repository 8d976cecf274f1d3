from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.progress import silent
from kanjiprep.training import gpus, pictures, plan, presets
from kanjiprep.training.configs import Places
from kanjiprep.training.machines import Market
from kanjiprep.training.pictures import Dataset
from kanjiprep.training.remote import place as places
from kanjiprep.training.remote import there
from kanjiprep.training.remote.box import preflight, secrets
from kanjiprep.training.remote.place import Place
from kanjiprep.training.remote.there import GIB, Job
from kanjiprep.training.run_spec import RunSpec
from tests.fake_box import FakeBox, said
from tests.test_box_preflight import LAMBDA

DIGEST = "ab" * 32
NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)
PLACE = Place("ssh://me@box", "mine")
CERTIFIED = LAMBDA.encode() + b"own_trainer=/env/bin/python\n"


def job_of(name: str = "tiny-cpu", *settings: str, run: Path = Path("/runs/mine"), **changes: Any) -> Job:
    preset = presets.load(name, settings)
    whole: Dataset = replace(pictures.nominal(20, 256), folder=run.parent / "kanji", digest=DIGEST)
    planned = plan.plan(preset, whole, Places(run, Path("/tiny")), Market(gpus.load()))
    return replace(Job(preset, whole, "", planned, "mine", run, environ={}), **changes)


def launched(box: FakeBox, job: Job, place: Place = PLACE) -> dict[str, Any]:
    return there.launch(box, place, job, silent, lambda _: None)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "stored_token", lambda: None)


# What is wished of a box, and what is told it


def test_the_command_there_names_what_was_sent_and_no_secret() -> None:
    job = replace(job_of(), name="水 one", environ={"HF_TOKEN": "hf_secret"})
    words = there.launch_words(job, "../datasets/abc")
    assert words == [
        "launch-simpletuner", "presets/水 one", "--dataset", "../datasets/abc",
        "--name", "水 one", "--detach", "--json",
    ]  # fmt: skip
    assert "hf_secret" not in repr(job)


def test_a_run_on_the_cpu_wishes_for_no_gpu_and_no_model() -> None:
    wish = there.wish_of(job_of(), DIGEST)
    assert (wish.accelerator, wish.gpus, wish.gpu_bytes, wish.disk_bytes) == ("cpu", 0, None, 0.0)
    assert (wish.repo_id, wish.has_token, wish.allow_arm, wish.wheel) == ("", False, False, DIGEST)


def test_a_run_on_gpus_wishes_for_what_it_was_planned_to_take() -> None:
    job = job_of("sd35-large-lora", "machine.gpus=2", allow_arm=True, environ={"HF_TOKEN": " hf_one "})
    wish = there.wish_of(job, DIGEST)
    assert (wish.accelerator, wish.gpus, wish.allow_arm, wish.has_token) == ("cuda", 2, True, True)
    assert wish.gpu_bytes == job.planned.costs.memory.peak.low * GIB
    assert wish.disk_bytes == job.planned.costs.disk.total.value > GIB
    assert wish.repo_id == "stabilityai/stable-diffusion-3.5-large"


@pytest.mark.parametrize(
    ("path", "repo"), [("me/mine", "me/mine"), ("/models/mine", ""), ("./mine", ""), ("../mine", "")]
)
def test_a_model_of_the_user_s_own_is_fetched_if_it_is_on_the_hub(path: str, repo: str, tmp_path: Path) -> None:
    job = job_of("sd35-large-lora")
    model = replace(job.preset.spec.model, path=path)
    own = replace(job, preset=replace(job.preset, spec=replace(job.preset.spec, model=model)))
    assert there.wish_of(own, DIGEST).repo_id == repo


@pytest.mark.parametrize(
    ("service", "environ", "found"),
    [
        ("none", {"HF_TOKEN": "a", "WANDB_API_KEY": "b", "AWS_SECRET": "c"}, {"HF_TOKEN": "a"}),
        ("wandb", {"HF_TOKEN": "a", "WANDB_API_KEY": "b"}, {"HF_TOKEN": "a", "WANDB_API_KEY": "b"}),
        ("wandb", {"WANDB_API_KEY": " "}, {}),
        ("", {}, {}),
    ],
)
def test_a_box_gets_the_tokens_that_its_run_needs_and_no_others(
    service: str, environ: Mapping[str, str], found: Mapping[str, str]
) -> None:
    assert there.tokens(service, environ) == found


def test_a_box_that_is_not_fit_is_refused_with_all_that_forbids_it() -> None:
    survey = preflight.parse("ssh://me@box", LAMBDA, (1764200000.0, 1764200001.0))
    wish = there.wish_of(job_of("sd35-large-lora", "machine.gpus=8"), DIGEST)
    with pytest.raises(RemoteError) as caught:
        there.refuse_unfit(replace(survey, machine="aarch64"), wish, "ssh://me@box")
    message = str(caught.value)
    assert message.startswith("ssh://me@box: is not fit: its processor is aarch64")
    assert "8 GPUs are wished for, and the driver shows 1" in message
    assert message.endswith("; mend that, or take another box")
    fit = there.wish_of(job_of(), DIGEST)
    slow = replace(survey, clock_off_s=500.0)
    assert there.refuse_unfit(slow, fit, "x") == ("its clock is 500 s ahead of ours, so its times will not fit",)


# The time that a rented box has


@pytest.mark.parametrize(
    ("clock", "says"), [(b"clock=999\n", r"its clock is -\d+ s off ours"), (b"clock=\n", "its clock cannot be read")]
)
def test_a_rented_box_with_another_clock_would_have_another_end(job: Job, clock: bytes, says: str) -> None:
    box = FakeBox(
        [
            said(
                CERTIFIED.replace(b"clock=1764200000\n", clock).replace(
                    b"clock_after=1764200001\n", clock.replace(b"clock", b"clock_after")
                )
            )
        ]
    )
    with pytest.raises(RemoteError, match=f"{says}, so its end would not be ours; set the clock of this machine"):
        launched(box, replace(job, until=NOW))
    assert len(box.asked) == 1


def spec_of(*settings: str) -> RunSpec:
    return presets.load("tiny-cpu", settings).spec


def test_a_rented_box_has_its_end_in_hours_from_now() -> None:
    until = NOW + timedelta(hours=3)
    dear = there.limited(spec_of("guard.max_usd=5"), until, NOW).guard
    assert (dear.max_hours, dear.max_usd) == (3.0, None)
    assert there.limited(spec_of("guard.max_hours=2"), until, NOW).guard.max_hours == 2.0
    assert there.limited(spec_of("guard.max_hours=4"), until, NOW).guard.max_hours == 3.0
    own = spec_of("guard.max_usd=5")
    assert there.limited(own, None, NOW) == own


def test_a_rented_box_without_time_left_is_not_begun_with() -> None:
    with pytest.raises(RemoteError, match="no time is left to train in: setting up took all of it"):
        there.limited(spec_of(), NOW, NOW)


# Launching


VERIFIED = b"version=kanjiprep 1\ntrainer=/env/bin/python\n"
FINE = said()


def answers(*last: Any) -> list[Any]:
    """What a box says that is set up and has the dataset, up to the launch itself."""
    return [said(CERTIFIED), said(VERIFIED), FINE, said(b"there\n"), FINE, *last]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "kanji").mkdir()
    (tmp_path / "kanji" / "metadata.csv").write_text("x")
    return job_of(run=tmp_path / "mine", environ={"HF_TOKEN": "hf_one"})


def test_a_run_is_launched_by_the_tool_there_with_all_that_it_needs(job: Job) -> None:
    box = FakeBox(answers(said(b"started\n"), said(b"over 0 0\n"), said(b'{"attempt": 1}')))
    assert launched(box, job) == {"attempt": 1}
    assert [target for _, target in box.sent] == [".kanjiprep/work/presets/mine"]
    assert places.read(job.run) == PLACE
    words = "launch-simpletuner presets/mine --dataset ../datasets/"
    assert [words in text for _, text in box.asked] == [False, False, False, False, False, True, False, False]
    assert ["hf_one" in text for _, text in box.asked].index(True) == 0, "the gate of the Hub is asked with it"
    assert "export HF_TOKEN=hf_one" in box.asked[4][1]
    assert all("hf_one" not in " ".join(words) for words, _ in box.asked)


def test_tokens_do_not_stay_where_the_launch_failed(job: Job) -> None:
    error = b"error: no preset\n"
    log = f"over 2 {len(error)}\n".encode() + error
    box = FakeBox(answers(said(b"started\n"), said(log), said(b""), FINE))
    with pytest.raises(UsageError, match="the box says: no preset"):
        launched(box, job)
    assert f"file={PLACE.secrets}\n" in box.asked[-1][1]
    assert 'rm -f "$root/$file"' in box.asked[-1][1]
    failing = FakeBox(answers(said(b"started\n"), said(log), said(b""), said(code=1)))
    with pytest.raises(UsageError, match="the box says: no preset"):
        launched(failing, job)


def test_a_run_of_that_name_there_is_refused_unless_our_launch_of_it_was_cut_off(job: Job) -> None:
    taken = CERTIFIED + b"run=mine\n"
    box = FakeBox([said(taken)])
    with pytest.raises(RemoteError, match=r"a run 'mine' was launched there; .* another --name than mine"):
        launched(box, job)
    assert not job.run.exists()
    places.write(job.run, PLACE)
    assert launched(box, job)["attempt"] is None
    (job.run / "launch.json").write_text("{}")
    with pytest.raises(RemoteError, match="a run 'mine' was launched there"):
        launched(box, job)
    assert len(box.asked) == 3


@dataclass(frozen=True)
class Odd:
    """A preset with a template that no file can have the name of."""

    name: str
    spec: RunSpec

    def resolved_spec(self) -> RunSpec:
        return self.spec

    def own_templates(self) -> dict[str, str]:
        return {"none/such.j2": ""}


def test_a_preset_that_cannot_be_written_is_one_line(job: Job) -> None:
    odd: Any = Odd("odd", job.preset.spec)
    with pytest.raises(RemoteError, match="cannot be written: no such file or directory; free some space"):
        launched(FakeBox(answers()), replace(job, preset=odd))
