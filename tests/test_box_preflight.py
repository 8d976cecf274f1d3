from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kanjiprep.errors import RemoteError, UsageError
from kanjiprep.training import setup_plan
from kanjiprep.training.remote.box import preflight, verdict
from kanjiprep.training.remote.box.preflight import BoxGpu, Question, Survey
from kanjiprep.training.remote.box.verdict import Wish
from tests.fake_box import FakeBox, said

GIB = 2**30
LAMBDA = """\
clock=1764200000
system=Linux
machine=x86_64
home=/home/ubuntu
free_kib=497103936
writable=yes
memory_kib=231143652
tool=flock
tool=setsid
tool=rsync
tool=curl
tool=sha256sum
tool=tail
python=3.12.3
python=3.12.3
gpu=NVIDIA A100-SXM4-40GB, 580.105.08, 40960
hub=302
clock_after=1764200001
"""
"""A Lambda instance with image 24.04."""
CPU = """\
clock=1764200000
system=Linux
machine=aarch64
free_kib=1048576
writable=no
memory_kib=
tool=curl
hub=000
gpu=
run=kanji-1
run=kanji 2
own_trainer=/opt/simpletuner
clock_after=1764200000
"""
NOW = (1764200000.2, 1764200001.5)


def test_a_lambda_instance_is_understood() -> None:
    found = preflight.parse("box", LAMBDA, NOW)
    assert found == Survey(
        system="Linux",
        machine="x86_64",
        home="/home/ubuntu",
        free_bytes=497103936 * 1024,
        writable=True,
        memory_bytes=231143652 * 1024,
        tools=frozenset({"flock", "setsid", "rsync", "curl", "sha256sum", "tail"}),
        pythons=("3.12.3",),
        gpus=(BoxGpu("NVIDIA A100-SXM4-40GB", "580.105.08", 40960 * 2**20),),
        clock_off_s=0.0,
        hub="open",
    )


def test_a_poor_box_is_understood() -> None:
    found = preflight.parse("box", CPU, NOW)
    assert (found.machine, found.writable, found.memory_bytes, found.gpus) == ("aarch64", False, None, ())
    assert (found.hub, found.runs, found.own_trainer) == ("unreachable", ("kanji-1", "kanji 2"), "/opt/simpletuner")


def test_foreign_words_and_nonsense_are_passed_over() -> None:
    text = (
        "Willkommen!\n漢字\nsystem=Linux\nmachine=x86_64\nfree_kib=plenty\nmemory_kib=-3\nclock=heute\n"
        "python=Python 3\npython=3.13.1\ngpu=[N/A]\ngpu=NVIDIA H200, 570.1, [N/A]\nsystem=Darwin\n=\nx\n"
    )
    found = preflight.parse("box", text, NOW)
    assert found == Survey(
        "Linux", "x86_64", pythons=("3.13.1",), gpus=(BoxGpu("NVIDIA H200", "570.1", None),), clock_off_s=None
    )


@pytest.mark.parametrize("text", ["", "system=Linux\n", "machine=x86_64", "system=\nmachine=\n", "\0\0"])
def test_a_box_that_does_not_tell_what_it_is_is_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="box: does not tell what machine it is"):
        preflight.parse("box", text, NOW)


@pytest.mark.parametrize(
    ("clock", "off_s"),
    [
        ((1000, 1001), 0.0),
        ((1000, 1002), 0.5),
        ((999, 1000), -0.2),
        ((700, 702), -299.2),
        ((1300, 1302), 300.5),
    ],
)
def test_a_clock_is_off_by_what_the_question_cannot_explain(clock: tuple[int, int], off_s: float) -> None:
    text = f"system=Linux\nmachine=x86_64\nclock={clock[0]}\nclock_after={clock[1]}\n"
    found = preflight.parse("box", text, (1000.2, 1001.5))
    assert found.clock_off_s == pytest.approx(off_s)


@pytest.mark.parametrize(
    ("code", "gate"),
    [
        ("200", "open"),
        ("302", "open"),
        ("307", "open"),
        ("401", "closed"),
        ("403", "closed"),
        ("404", "no such model"),
        ("429", "busy"),
        ("503", "busy"),
        ("000", "unreachable"),
        ("curl: no", "unreachable"),
    ],
)
def test_the_hub_answers_in_codes(code: str, gate: str) -> None:
    assert preflight.parse("box", f"system=Linux\nmachine=x86_64\nhub={code}\n", NOW).hub == gate


def test_the_question_goes_over_stdin_and_the_token_into_no_text() -> None:
    question = Question("stabilityai/sd", "hf_secret", "https://hub.example/")
    box = FakeBox([said(LAMBDA.encode())])
    preflight.survey(box, question, clock=lambda: 1764200000.5)
    ((words, script),) = box.asked
    assert words == ("sh", "-s")
    assert "kanjiprep_token=hf_secret\n" in script
    assert "kanjiprep_url=https://hub.example/stabilityai/sd/resolve/main/model_index.json\n" in script
    assert "hf_secret" not in repr(question)
    assert Question().url == ""


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question("a/b", "hf_a b"), "HF_TOKEN: holds spaces or letters that no token has"),
        (Question("a/b", 'hf"x'), "HF_TOKEN: holds"),
        (Question("a/b", "hf\\x"), "HF_TOKEN: holds"),
        (Question("a/b", "hf_x\n"), "HF_TOKEN: holds"),
        (Question("a/b", "", "ftp://x"), "'ftp://x/a/b.*is no address; look at HF_ENDPOINT"),
        (Question('a/"b'), "HF_ENDPOINT"),
    ],
)
def test_what_curl_would_read_otherwise_is_not_asked(question: Question, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        preflight.survey(FakeBox([]), question)
    assert not question.token or question.token not in str(caught.value)


GOOD = preflight.parse("box", LAMBDA, NOW)
WISH = Wish("cuda", 1, 30.0 * GIB, 60.0 * GIB, repo_id="stabilityai/sd", has_token=True)


def test_a_box_that_fits_has_no_problems() -> None:
    assert verdict.judge(GOOD, WISH) == verdict.Verdict((), ())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"system": "Darwin"}, "its system is Darwin, and the trainer needs Linux"),
        ({"machine": "aarch64"}, "its processor is aarch64, for which the trainer was not tried"),
        ({"machine": "riscv64"}, "its processor is riscv64, for which there are no wheels"),
        ({"tools": frozenset({"tail", "curl"})}, "flock, rsync, setsid, sha256sum cannot be found there"),
        ({"writable": False}, "our folder there cannot be written"),
        ({"gpus": ()}, "no NVIDIA driver answers here"),
        ({"gpus": (BoxGpu("A10", "550.90", 24 * GIB),)}, "the NVIDIA driver is 550.90, and CUDA 13.0 needs 580"),
        ({"gpus": (BoxGpu("A10", "[N/A]", 40 * GIB),)}, "no NVIDIA driver answers"),
        ({"gpus": (BoxGpu("A10", "580.1", 24 * GIB),)}, "A10 has 24.0 GiB of memory, and the run needs 30.0 GiB"),
        ({"free_bytes": 65 * GIB}, "70.2 GiB are needed on its disk, and 65.0 GiB are free"),
        ({"pythons": (), "tools": GOOD.tools - {"curl"}}, "neither uv, python3 nor curl is there"),
        ({"hub": "closed"}, "the Hub refuses stabilityai/sd to this token's account; accept its licence at https://"),
        ({"hub": "no such model"}, "the Hub does not show stabilityai/sd"),
        ({"hub": "unreachable"}, "the Hub cannot be reached from there"),
    ],
)
def test_what_does_not_fit_is_a_problem(changes: dict[str, object], problem: str) -> None:
    problems = verdict.judge(replace(GOOD, **changes), WISH).problems  # type: ignore[arg-type]
    assert [one for one in problems if one.startswith(problem)], problems


def test_arm_may_be_allowed_and_gpus_may_be_too_few() -> None:
    assert verdict.judge(replace(GOOD, machine="aarch64"), replace(WISH, allow_arm=True)).problems == ()
    problems = verdict.judge(GOOD, replace(WISH, gpus=2)).problems
    assert problems == ("2 GPUs are wished for, and the driver shows 1",)
    refused = verdict.judge(replace(GOOD, hub="closed"), replace(WISH, has_token=False)).problems
    assert "to anybody without a token" in refused[0]


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"clock_off_s": 300.0}, "its clock is 300 s ahead of ours"),
        ({"clock_off_s": -4000.0}, "its clock is 4,000 s behind ours"),
        ({"clock_off_s": None}, "its clock could not be read"),
        ({"free_bytes": None}, "its free disk could not be read"),
        ({"hub": "busy"}, "the Hub is busy"),
    ],
)
def test_what_one_should_know_is_a_warning(changes: dict[str, object], warning: str) -> None:
    found = verdict.judge(replace(GOOD, **changes), WISH)  # type: ignore[arg-type]
    assert found.problems == ()
    assert [one for one in found.warnings if one.startswith(warning)]


def test_what_is_there_already_is_not_installed_again() -> None:
    finished = replace(GOOD, trainer=json.dumps(setup_plan.certificate("cuda13")), wheel="abc")
    assert verdict.to_install_gib(finished, replace(WISH, wheel="abc")) == 0
    assert verdict.to_install_gib(finished, WISH) == verdict.OURS_GIB
    assert verdict.to_install_gib(replace(GOOD, own_trainer="/opt/x"), WISH) == verdict.OURS_GIB
    assert verdict.to_install_gib(replace(GOOD, trainer="[" * 100_000), WISH) == pytest.approx(10.2)
    other = replace(GOOD, trainer='{"simpletuner": "4.9.0"}')
    assert verdict.to_install_gib(other, WISH) == pytest.approx(10.2)
    assert verdict.judge(replace(GOOD, own_trainer="/opt/x", gpus=()), Wish("cuda")).problems == ()
