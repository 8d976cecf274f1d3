"""The session of the fuzzing, with real processes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from kanjiprep.errors import InputError
from tests.fuzz import __main__ as program
from tests.fuzz import session
from tests.fuzz.judge import Reader
from tests.fuzz.target import Target


def target(what: str) -> Target:
    """A reader to which something happens when it meets a zero byte."""

    def make(_: Path) -> Reader:
        def read(data: bytes) -> None:
            if b"\0" not in data:
                raise InputError("is no such file", "a")
            if what == "hang":
                time.sleep(60)
            elif what == "die":
                os._exit(3)
            elif what == "memory":
                bytearray(3 << 29)
            elif what == "raise":
                raise LookupError(what)

        return read

    return Target(what, make, lambda: [b"a"], (InputError,))


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("raise", "LookupError: raise"),
        ("hang", "takes longer than 0.2 s"),
        ("die", "the process ended with 3"),
        ("memory", "MemoryError: more than 1024 MiB"),
    ],
)
def test_whatever_happens_to_a_process_is_a_crash_with_its_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, says: str
) -> None:
    if what == "hang":
        monkeypatch.setattr(session, "LONGEST_S", 0.2)
    told = session.run(target(what), 0.5, tmp_path, None)
    assert [crash.what for crash in told.crashes] == [says]
    assert b"\0" in told.crashes[0].data


def test_a_corpus_grows_and_is_begun_with_next_time(tmp_path: Path) -> None:
    told = session.run(target("nothing"), 0.3, tmp_path, None)
    assert told.crashes == ()
    assert told.rate > 0
    (kept,) = tmp_path.iterdir()
    assert b"\0" in kept.read_bytes()
    session.run(target("nothing"), 0.2, tmp_path, None)
    assert list(tmp_path.iterdir()) == [kept]


def test_the_program_tells_a_table_and_a_document_and_can_repeat_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "_targets", lambda: (target("raise"), target("nothing")))
    words = ["--seconds", "0.8", "--corpus", str(tmp_path), "--dice"]
    assert program.main(words) == 1
    lines = capsys.readouterr().out.splitlines()
    document = json.loads(lines[-1])
    assert [(one["target"], len(one["crashes"])) for one in document["targets"]] == [("raise", 1), ("nothing", 0)]
    assert document["crashes"] == 1
    assert any(line.startswith("nothing ") for line in lines)
    (path,) = [one for one in (tmp_path / "crashes").iterdir() if not one.suffix]
    assert f"    again with: python -m tests.fuzz --only raise --replay {path}" in lines
    assert program.main([*words, "--only", "raise", "--replay", str(path)]) == 1
    assert "LookupError: raise" in capsys.readouterr().out
    assert program.main([*words, "--only", "nothing", "--replay", str(path)]) == 0
    assert program.main([*words, "--only", "nothing"]) == 0
    with pytest.raises(SystemExit, match="no target 'nothin'; there are raise, nothing"):
        program.main([*words, "--only", "nothin"])
    with pytest.raises(SystemExit, match="--replay needs the one target that --only names"):
        program.main([*words, "--replay", str(path)])
