"""The logs are of the real SimpleTuner 4.10.1 with the tiny model on a CPU, cut: lines and frames left out, runs of
spaces and long lines shortened, folders renamed. Those of names with hub_ had a stand-in for the Hub, or none;
those with handmade_ are written from what is known."""

from __future__ import annotations

from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.training.running import trainer_lines, trainer_log, trainer_reason
from kanjiprep.training.running.trainer_lines import last_lines
from kanjiprep.training.running.trainer_log import Reader, Stage, StageSeen
from kanjiprep.training.running.trainer_reason import is_non_finite, reason

LOGS: Final = Path(__file__).parent / "trainer_logs"
MODEL: Final = "stabilityai/stable-diffusion-3.5-large"
CHECKPOINT: Final = "/run/output/checkpoint-8/pytorch_lora_weights.safetensors"
NON_FINITE: Final = "Non-finite training loss detected: loss nan at"

REASONS: Final = {
    "accelerate_one_process": "Optimizer nope_optimizer not found.",
    "accelerate_two_processes": "Optimizer nope_optimizer not found.",
    "corrupt_checkpoint": f"the weights cannot be read: {CHECKPOINT}",
    "corrupt_optimizer": "a file of the checkpoint cannot be read: failed finding central directory",
    "corrupt_picture": "pictures that could not be read or cached: 悪_kanji_060aa.png",
    "disk_full": "No space left on device",
    "disk_full_while_caching": "No space left on device",
    "disk_full_while_saving": "No space left on device",
    "disk_full_while_saving_the_optimizer": (
        "a file could not be written whole, most likely because no space is left on device"
    ),
    "file_too_large": "File too large: pictures that could not be read or cached: 渥_kanji_06e25.png",
    "handmade_cuda_out_of_memory": (
        "CUDA out of memory: tried to allocate 2.25 GiB, 1.06 GiB of 39.39 GiB free on GPU 0"
    ),
    "handmade_killed_by_the_kernel": "Killed",
    "handmade_segmentation_fault": "Fatal Python error: Segmentation fault",
    "handmade_two_gpus_one_out_of_memory": (
        "CUDA out of memory: tried to allocate 512.00 MiB, 310.19 MiB of 79.15 GiB free on GPU 0"
    ),
    "hub_downloading": "",
    "hub_gated": f"the Hub refuses {MODEL}: accept its licence there and set HF_TOKEN",
    "hub_gated_for_this_account": f"the Hub refuses {MODEL}: accept its licence there and set HF_TOKEN",
    "hub_unknown": f"the Hub does not show {MODEL}: look at its name, accept its licence there and set HF_TOKEN",
    "hub_unreachable": f"the Hub cannot be reached, and {MODEL} was not downloaded before",
    "missing_dataset": "the dataset folder does not exist: /nowhere/pictures",
    "missing_model": "the folder of the model does not exist: /nowhere/tiny-sd3",
    "non_finite": (
        f"{NON_FINITE} 斡_kanji_065a1.png, 穐_kanji_07a50.png, 梓_kanji_06893.png and 3 more of kanji-256px"
    ),
    "output_is_file": "File exists: '/run/output'",
    "sigint": "",
    "sigkill": "",
    "sigterm": "",
    "success": "",
    "success_in_colours": "",
    "two_processes_non_finite": (
        f"{NON_FINITE} 葵_kanji_08475.png, 渥_kanji_06e25.png, 亜_kanji_04e9c.png and 3 more of kanji-256px"
    ),
    "two_processes_one_killed": "a process of the trainer was killed by SIGKILL",
    "unknown_optimizer": "Optimizer nope_optimizer not found.",
    "unknown_option": "unrecognized arguments: --definitely_not_an_option=1",
}
OF_SUCCESS: Final = [
    Stage.STARTING, Stage.ENCODERS, Stage.DATASET, Stage.CAPTIONS, Stage.PICTURES, Stage.PROMPTS, Stage.MODEL,
    Stage.TRAINING, Stage.SAVING, Stage.TRAINING, Stage.VALIDATING, Stage.TRAINING,
    Stage.SAVING, Stage.TRAINING, Stage.VALIDATING, Stage.TRAINING, Stage.ENDING,
]  # fmt: skip


def log(name: str) -> str:
    return (LOGS / f"{name}.txt").read_bytes().decode("utf-8")


def stages(data: str) -> list[Stage]:
    return [stage for stage, _ in groupby(seen.stage for seen in Reader().feed(data.encode()))]


def in_pieces(data: bytes, cuts: set[int]) -> list[StageSeen]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    reader = Reader()
    return [seen for begin, end in pairwise(places) for seen in reader.feed(data[begin:end])]


def test_every_log_is_short_and_has_its_reason() -> None:
    assert sorted([*REASONS, "caching"]) == sorted(path.stem for path in LOGS.iterdir())
    assert all(path.stat().st_size < 6000 for path in LOGS.iterdir())


@pytest.mark.parametrize("name", sorted(REASONS))
def test_the_reason_is_one_line(name: str) -> None:
    assert reason(log(name)) == REASONS[name]


@pytest.mark.parametrize("name", sorted(REASONS))
def test_only_a_loss_that_is_not_finite_is_told_as_such_from_the_log_and_from_its_reason(name: str) -> None:
    expected = name in {"non_finite", "two_processes_non_finite"}
    assert is_non_finite(log(name)) is expected
    assert is_non_finite(REASONS[name]) is expected


@pytest.mark.parametrize("name", ["success", "success_in_colours"])
def test_the_stages_of_a_run_come_in_order(name: str) -> None:
    assert stages(log(name)) == OF_SUCCESS


def test_stages_tell_how_far_they_are() -> None:
    told = Reader().feed(log("success").encode())
    assert [seen for seen in told if seen.stage in {Stage.CAPTIONS, Stage.PICTURES, Stage.VALIDATING}] == [
        StageSeen(Stage.CAPTIONS, 0, 24),
        StageSeen(Stage.CAPTIONS, 24, 24),
        StageSeen(Stage.PICTURES),
        StageSeen(Stage.PICTURES, 0, 24),
        StageSeen(Stage.PICTURES, 24, 24),
        *(StageSeen(Stage.VALIDATING, done, 2) for _ in range(2) for done in range(3)),
    ]
    steps = [seen.done for seen in told if seen.stage is Stage.TRAINING]
    assert [step for step, _ in groupby(steps)] == list(range(9))


def test_pictures_that_could_not_be_cached_are_missing_from_the_count() -> None:
    told = Reader().feed(log("corrupt_picture").encode())
    assert StageSeen(Stage.PICTURES, 23, 24) in told


def test_nothing_left_to_cache_is_no_count() -> None:
    reader = Reader()
    reader.feed(b"[RANK 0] 2026-11-25 17:28:54,109 [INFO] Loading data backend config from /run\n")
    assert reader.feed(b"[RANK 0] 2026-11-25 17:28:54,638 [INFO] VAECache has 0 unprocessed files.\n") == [
        StageSeen(Stage.PICTURES)
    ]


def test_many_pictures_are_counted_while_they_are_cached() -> None:
    told = Reader().feed(log("caching").encode())
    captions = [seen.done for seen in told if seen.stage is Stage.CAPTIONS]
    pictures = [seen.done for seen in told if seen.stage is Stage.PICTURES]
    assert captions == [0, 100, 200, 300, 400, 500, 600]
    assert pictures == [None, 0, 101, 107, 201, 209, 301, 311, 401, 409, 501, 506, 600]
    assert {seen.total for seen in told if seen.done is not None} == {600}


def test_a_download_is_told_in_bytes() -> None:
    assert Reader().feed(log("hub_downloading").encode())[:4] == [
        StageSeen(Stage.STARTING),
        StageSeen(Stage.DOWNLOADING, 0, 308_000),
        StageSeen(Stage.DOWNLOADING, 308_000, 308_000),
        StageSeen(Stage.ENCODERS),
    ]
    bar = "model-00001-of-00002.safetensors:  23%|██▎       | 2.31G/9.95G [01:00<03:10, 40.1MB/s]"
    assert Reader().feed(bar.encode())[-1] == StageSeen(Stage.DOWNLOADING, 2_310_000_000, 9_950_000_000)


def test_a_bar_counts_before_its_line_is_complete() -> None:
    reader = Reader()
    assert reader.feed(b"\rEpoch 3/30, Steps:   1%| ") == []
    assert reader.feed("▏        | 123/32070 [10:00<99:00, 4.9s/it".encode()) == [
        StageSeen(Stage.STARTING),
        StageSeen(Stage.TRAINING, 123, 32070),
    ]
    assert reader.seen == StageSeen(Stage.TRAINING, 123, 32070)


def test_captions_read_for_a_checkpoint_are_no_new_beginning() -> None:
    reader = Reader()
    reader.feed(b"\rEpoch 1/2, Steps:  50%|#####     | 4/8 [00:08<00:05,  1.29s/it]\n")
    assert reader.feed(b"\rLoading captions:   0%|     | 0/24 [00:00<?, ?it/s]\x1b[A\n") == []


def test_the_bar_that_is_drawn_once_more_at_the_end_is_no_training() -> None:
    assert stages(log("non_finite"))[-1] is Stage.ENDING


def test_another_attempt_in_the_same_log_begins_again() -> None:
    assert stages(log("sigterm") + "\n" + log("success"))[-len(OF_SUCCESS) + 2 :] == OF_SUCCESS[2:]


@given(st.sets(st.integers(0, 6000), max_size=40), st.sampled_from(["success", "success_in_colours", "non_finite"]))
def test_the_same_bytes_give_the_same_stages_however_they_are_cut(cuts: set[int], name: str) -> None:
    data = log(name).encode()
    assert in_pieces(data, cuts) == Reader().feed(data)


def test_the_same_bytes_give_the_same_stages_one_by_one() -> None:
    data = log("success_in_colours").encode()
    assert in_pieces(data, set(range(len(data)))) == Reader().feed(data)


PIECES: Final = st.sampled_from([
    b"\n", b"\r", b"\x1b", b"\x1b[3", b"2m", b"\x1b]0;", b"\x07", b"\x1b[0m", b"\xe3\x80", b"\x80", b"\xff", b" ",
    b"Epoch 1/2, Steps:  50%|#####     | 4/8 [", b"Loading captions:   0%|     | 0/24 [00:00<?, ?it/s]",
    b"Loading weights:   0%|          | 0/37 [00:00<?, ?it/s]", b"w.safetensors:   1%|  | 1.5M/2G [00:00<?, ?B/s]",
    b"[RANK 0] 2026-11-25 17:28:54,109 [INFO] ", b"Loading data backend config from /run\n", b"(id=a) ",
    b"Loading tokenizer 1: ", b"Saving current state to /run\n", b"VAECache has 24 unprocessed files.\n", b"x" * 5000,
    b"Traceback (most recent call last):\n", b"  File \"x\"\n", b"ValueError: no\n", b"Killed\n",
])  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=8), max_size=30).map(b"".join), st.sets(st.integers(0, 20_000)))
def test_the_same_bytes_of_any_kind_give_the_same_stages(data: bytes, cuts: set[int]) -> None:
    assert in_pieces(data, cuts) == Reader().feed(data)


@given(st.lists(PIECES | st.binary(), max_size=30).map(b"".join))
def test_no_bytes_fail_and_what_is_told_is_one_clean_line(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    told = reason(text)
    assert len(told) <= trainer_reason.LONGEST
    assert not set(told) & {"\n", "\r", "\x1b"}
    assert all(not set(line) & {"\n", "\r", "\x1b"} for line in last_lines(text, 50))


def test_a_line_without_end_takes_no_memory() -> None:
    reader = Reader()
    for _ in range(20):
        reader.feed(b"x" * 100_000)
    assert len(reader._line) <= trainer_log.LONGEST
    assert reader.feed(b"\nEpoch 1/2, Steps:  50%|#####     | 4/8 [") == [
        StageSeen(Stage.STARTING),
        StageSeen(Stage.TRAINING, 4, 8),
    ]


WORK: Final = "[RANK 0] 2026-11-25 17:36:40,264 [INFO] Saving current state to /run/output/checkpoint-4\n"
FAILURE: Final = "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\nKeyError: 'text'\n"
BARS: Final = "".join(f"\rEpoch 1/2, Steps:  50%|#####     | {step}/80 [00:08<00:05,  1.29s/it]" for step in range(9))


def test_an_error_that_the_trainer_outlived_is_no_reason() -> None:
    assert reason(FAILURE) == "KeyError: 'text'"
    assert reason(FAILURE + WORK) == ""
    assert reason(FAILURE + BARS) == ""
    assert reason(log("non_finite") + "\n" + log("sigkill")) == ""
    assert reason(WORK.replace("INFO", "ERROR")) == "Saving current state to /run/output/checkpoint-4"
    assert reason(WORK.replace("INFO", "ERROR") + BARS) == ""


def test_a_reason_is_found_behind_a_bar_and_without_its_traceback() -> None:
    assert reason(BARS + FAILURE) == "KeyError: 'text'"
    assert reason("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.") == (
        "CUDA out of memory: tried to allocate 2.00 GiB"
    )
    assert reason("bash: /venv/bin/python: No such file or directory\n\n") == (
        "bash: /venv/bin/python: No such file or directory"
    )
    assert reason("") == ""


def test_a_launcher_alone_says_how_its_process_ended() -> None:
    wrapped = "Traceback (most recent call last):\n  File \"x\"\nsubprocess.CalledProcessError: Command '['a']' "
    assert reason(f"{wrapped}returned non-zero exit status 3.") == "a process of the trainer ended with code 3"
    assert reason(f"{wrapped}died with <Signals.SIGABRT: 6>.") == "a process of the trainer was killed by SIGABRT"
    assert reason(f"{wrapped}was odd.") == "Command '['a']' was odd."


def test_a_process_killed_at_once_goes_before_what_the_others_said_of_it() -> None:
    killed = log("two_processes_one_killed")
    assert reason(f"{FAILURE}\n{killed}") == "a process of the trainer was killed by SIGKILL"


def test_processes_that_fail_together_and_say_goodbye_do_not_hide_the_reason() -> None:
    header, rest = FAILURE.split("\n", 1)
    goodbye = WORK.replace("Saving current state to", "Unloading all model components")
    assert reason(f"{header}\n{FAILURE}{rest}{goodbye}") == "KeyError: 'text'"


def test_a_long_message_of_many_lines_becomes_one_short_line() -> None:
    told = reason(FAILURE.replace("'text'", "one\n\n  - two\n" + "three " * 100))
    assert told.startswith("KeyError: one - two three three")
    assert (len(told), told[-1]) == (trainer_reason.LONGEST, "…")


TOKEN: Final = "hf_" + "aB3" * 11


def test_secrets_are_masked() -> None:
    text = FAILURE.replace("'text'", f"{TOKEN} and s3cret-key, not abc") + f"token={TOKEN}"
    secrets = ["s3cret", "s3cret-key", "abc", ""]
    assert reason(text, secrets) == "KeyError: hf_*** and ***, not abc token=hf_***"
    assert last_lines(text, 1, secrets) == ["token=hf_***"]
    assert trainer_lines.masked("hf_hub_download and hf_transfer") == "hf_hub_download and hf_transfer"


def test_the_last_lines_are_without_bars_and_colours_and_blank_ones_are_not_repeated() -> None:
    text = f"\x1b[32mfirst\x1b[0m\n\n \r\n\n{BARS}second\n\rCopying: 12it [00:01, 3.2it/s]\n\n{BARS}\n"
    assert last_lines(text, 9) == ["first", "", "second"]
    assert last_lines(text, 2) == ["second"]
    assert last_lines(text, 0) == []
    assert last_lines(f"{text}\rEpoch 1/2, Steps:  50%|###", 1) == ["second"]
    assert last_lines(log("missing_dataset"), 3) == [
        "  - (id=kanji-256px) instance_data_dir: /nowhere/pictures",
        "",
        "Please ensure all dataset paths exist before starting training.",
    ]
