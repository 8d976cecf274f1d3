"""The whole real data: KANJIDIC2 from Debian's kanjidic-xml, KanjiVG from PyPI's kanjivg."""

from __future__ import annotations

import csv
import functools
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.dataset import kanjivg, path_data, png
from kanjiprep.dataset import sources as finding
from kanjiprep.dataset.raster import Canvas, Style
from kanjiprep.progress import silent

pytestmark = pytest.mark.slow

KNOWN_ROWS = """file_name,text
亜_kanji_04e9c.png,"Image of a Japanese kanji character 亜 in plain font. The character means: Asia, rank next, \
come after, -ous."
唖_kanji_05516.png,"Image of a Japanese kanji character 唖 in plain font. The character means: mute, dumb."
娃_kanji_05a03.png,"Image of a Japanese kanji character 娃 in plain font. The character means: beautiful."
"""
LEAST = 6_400

Kanjiprep = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def kanjiprep() -> Kanjiprep:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kanjiprep", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="module")
def whole(kanjiprep: Kanjiprep, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The whole dataset, built by two workers, and what build said of it."""
    out = tmp_path_factory.mktemp("whole") / "dataset"
    done = kanjiprep("build", out, "--workers", 2, "--json")
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


def test_the_whole_dataset_begins_with_the_three_known_rows(whole: tuple[Path, dict[str, Any]]) -> None:
    out, said = whole
    data = (out / "metadata.csv").read_bytes()
    assert data.decode("utf-8").startswith(KNOWN_ROWS)
    assert b"\r" not in data
    assert said["certificate"]["counts"]["samples"] >= LEAST
    assert said["certificate"]["counts"]["picture_bytes"] < 160e6


def test_every_row_has_its_picture_and_every_kanji_its_place(whole: tuple[Path, dict[str, Any]]) -> None:
    out, said = whole
    with (out / "metadata.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    pictures = {path.name for path in out.glob("*.png")}
    assert {row["file_name"] for row in rows} == pictures
    assert len(rows) == len(pictures) == said["certificate"]["counts"]["samples"]
    with (out / "skipped.csv").open(encoding="utf-8", newline="") as table:
        skipped = list(csv.DictReader(table))
    in_kanjidic = [row for row in skipped if row["reason"] != "not_in_kanjidic"]
    assert len(rows) + len(in_kanjidic) == 13_108
    assert {row["reason"] for row in skipped} == {"no_strokes", "no_meaning", "not_in_kanjidic"}


def test_one_worker_elsewhere_gives_the_same_bytes(
    whole: tuple[Path, dict[str, Any]], kanjiprep: Kanjiprep, tmp_path: Path
) -> None:
    out, _ = whole
    assert kanjiprep("build", tmp_path / "one", "--workers", 1).returncode == 0
    for name in ("SHA256SUMS", "build.json", "README.md"):
        assert (tmp_path / "one" / name).read_bytes() == (out / name).read_bytes()


def test_coreutils_verify_it_too(whole: tuple[Path, dict[str, Any]]) -> None:
    done = subprocess.run(
        ["/usr/bin/sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=whole[0], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_a_second_build_rewrites_nothing(whole: tuple[Path, dict[str, Any]], kanjiprep: Kanjiprep) -> None:
    out, said = whole
    before = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.iterdir()}
    again = json.loads(kanjiprep("build", out, "--json").stdout)
    assert again["status"] == "verified"
    assert again["certificate"] == said["certificate"]
    assert {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.iterdir()} == before


def test_a_sample_equals_cairosvg_to_the_pixel(whole: tuple[Path, dict[str, Any]], kanjiprep: Kanjiprep) -> None:
    said = json.loads(kanjiprep("build", whole[0], "--verify", 120, "--json").stdout)
    assert said["verified_against_cairosvg"] == 120


@pytest.mark.slow
def test_all_pictures_equal_cairosvg_to_the_pixel(kanjiprep: Kanjiprep, tmp_path: Path) -> None:
    done = kanjiprep("build", tmp_path / "d", "--size-px", 128, "--margin-px", 4, "--verify", 100_000, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verified_against_cairosvg"] >= LEAST


def test_a_build_killed_outright_leaves_nothing_finished_and_goes_on(
    whole: tuple[Path, dict[str, Any]], kanjiprep: Kanjiprep, tmp_path: Path
) -> None:
    out = tmp_path / "dataset"
    command = [sys.executable, "-m", "kanjiprep", "build", str(out), "--workers", "2"]
    victim = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    aside = tmp_path / ".dataset.building"
    while len(list(aside.glob("*.png"))) < 500:
        assert victim.poll() is None, "the build ended before it could be killed"
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert not out.exists()
    said = json.loads(kanjiprep("build", out, "--json").stdout)
    assert said["resumed"] > 0
    assert said["certificate"] == whole[1]["certificate"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["dataset"]


def test_an_interrupted_build_says_so_in_one_line_and_goes_on(kanjiprep: Kanjiprep, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    command = [sys.executable, "-m", "kanjiprep", "build", str(out), "--workers", "2", "--json"]
    heeding = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a background shell ignores it
    victim = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heeding)  # noqa: PLW1509
    while len(list((tmp_path / ".dataset.building").glob("*.png"))) < 500:
        assert victim.poll() is None, "the build ended before it could be interrupted"
        time.sleep(0.02)
    victim.send_signal(signal.SIGINT)
    _, err = victim.communicate(timeout=60)
    assert victim.returncode == 130
    assert err == "error: interrupted; run the same command again\n"
    assert json.loads(kanjiprep("build", out, "--json").stdout)["resumed"] > 0


def test_the_datasets_library_reads_it_with_its_captions(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    script = f"""
from datasets import load_dataset
rows = load_dataset("imagefolder", data_dir={str(whole[0])!r}, split="train", cache_dir={str(tmp_path)!r})
first = next(row for row in rows if row["text"].startswith("Image of a Japanese kanji character 亜 "))
print(len(rows), rows.column_names, first["image"].size, first["image"].mode)
"""
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environ, check=False)
    samples = whole[1]["certificate"]["counts"]["samples"]
    assert done.stdout.strip() == f"{samples} ['image', 'text'] (1024, 1024) L", done.stderr


def test_it_is_fit_to_train_on(whole: tuple[Path, dict[str, Any]], kanjiprep: Kanjiprep, tmp_path: Path) -> None:
    done = kanjiprep("check", whole[0], "--json", "--sheet", tmp_path / "sheet.png")
    said = json.loads(done.stdout)
    assert (done.returncode, said["fit"]) == (0, True)
    assert {problem["kind"] for problem in said["problems"]} <= {"near_duplicate", "stroke_count"}
    assert said["statistics"]["clip_tokens"]["most"] <= 77
    assert said["statistics"]["t5_tokens"]["most"] <= 256


def test_zlib_writes_the_same_bytes_as_zlib_ng_on_real_glyphs() -> None:
    from zlib_ng import zlib_ng

    source = finding.read_kanjivg(finding.find(finding.KANJIVG, None, {}, Path("no cache"), silent))
    canvas = Canvas(Style())
    one, other = png.deflate_with(zlib.compressobj), png.deflate_with(zlib_ng.compressobj)
    for glyph in list(kanjivg.parse(source).values())[::40]:
        if glyph.svg is None:
            drawn = [path_data.segments(stroke.path) for stroke in glyph.strokes]
            pixels = canvas.draw([one for one in drawn if one is not None])
            assert one(pixels.copy()) == other(pixels.copy())
