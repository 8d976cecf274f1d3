from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kanjiprep.training.running import moments
from kanjiprep.training.running.moments import Moment


def test_this_moment_is_told_by_the_calendar_and_by_the_machines_own_clock() -> None:
    now = moments.now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", now.at)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(now.at)).total_seconds()) < 60
    assert abs(time.clock_gettime(time.CLOCK_BOOTTIME) - now.up_s) < 60
    assert now.boot == moments.boot_id()


def test_a_machine_without_a_boot_id_has_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "_BOOT_ID", tmp_path / "boot_id")
    assert moments.boot_id() == ""
    (tmp_path / "boot_id").write_text("0a1b2c3d-4e5f-6789\n", "ascii")
    assert moments.boot_id() == "0a1b2c3d"


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        (Moment("2026-01-01T00:00:00.000Z", 10.0, "a"), Moment("2026-01-01T00:00:05.000Z", 15.5, "a"), 5.5),
        (Moment("2026-01-01T00:00:00.000Z", 10.0, "a"), Moment("2031-01-01T00:00:00.000Z", 15.5, "a"), 5.5),
        (Moment("2026-01-01T00:00:00.000Z", 10.0, "a"), Moment("1970-01-01T00:00:00.000Z", 15.5, "a"), 5.5),
        (Moment("2026-01-01T00:00:00.000Z", 900.0, "a"), Moment("2026-01-01T01:00:00.500Z", 3.0, "b"), 3600.5),
        (Moment("2026-01-01T00:00:00.000Z", 900.0, ""), Moment("2026-01-01T00:01:00.000Z", 3.0, ""), 60.0),
        (Moment("2026-01-01T02:00:00.000+02:00", 0.0, ""), Moment("2026-01-01T00:01:00.000Z", 0.0, ""), 60.0),
        (Moment("2026-01-01T00:00:00.000Z", 15.5, "a"), Moment("2026-01-01T00:00:05.000Z", 10.0, "a"), 0.0),
        (Moment("2026-01-01T00:00:05.000Z", 0.0, "a"), Moment("2026-01-01T00:00:00.000Z", 9.0, "b"), 0.0),
    ],
    ids=["one boot", "set on", "set back", "two boots", "no boot", "another zone", "backwards", "backwards by day"],
)
def test_time_passes_by_the_clock_that_nobody_sets_and_never_backwards(
    start: Moment, end: Moment, seconds: float
) -> None:
    assert moments.seconds(start, end) == seconds
