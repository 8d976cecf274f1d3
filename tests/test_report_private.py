from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep.evaluation.judged import Fact
from kanjiprep.evaluation.report.private import private
from tests import judged_runs

SECRET = "hf_" + "aB3" * 12


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("read from /home/alice/x/run.toml", "read from …"),
        ("read from FOLDER/output/metrics.jsonl, then", "read from …/output/metrics.jsonl, then"),
        ("by alice@host:/srv/x and ~/y", "by alice@host:… and …"),
        (r"in C:\Users\alice", "in …"),
        ("file:///home/alice/x", "…"),
        ("https://huggingface.co/me/kanji and 1/2", "https://huggingface.co/me/kanji and 1/2"),
        (f"with {SECRET}.", "with …."),
        ("api_key=abc", "…"),
    ],
)
def test_paths_and_secrets_go_from_texts(tmp_path: Path, text: str, clean: str) -> None:
    folder = tmp_path / "my runs" / "x"
    text = text.replace("FOLDER", str(folder))
    run = replace(judged_runs.one_checkpoint(folder), reason=text, warnings=(text,), facts=(Fact("a", text),))
    made = private(run)
    assert (made.reason, made.warnings, made.facts) == (clean, (clean,), (Fact("a", clean),))
    assert made.pictures == run.pictures


def test_a_setting_that_is_a_path_keeps_its_name(tmp_path: Path) -> None:
    made = private(judged_runs.one_checkpoint(tmp_path / "x"))
    assert made.settings["dataset.path"] == "…/dataset"
    assert made.settings["lora.rank"] == "768"
