"""Everything a user can get wrong with ``build``: one clear line, the documented exit code, nothing left behind."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import sources
from tests.test_safe_xml import BOMB, EXTERNAL

Break = Callable[[Path], list[str]]
GOOD_DICTIONARY = sources.kanjidic(*sources.ENTRIES)


def dictionary(data: bytes, name: str = "bad.xml") -> Break:
    def prepare(folder: Path) -> list[str]:
        (folder / name).write_bytes(data)
        return ["--kanjidic", str(folder / name)]

    return prepare


def glyph(data: bytes) -> Break:
    def prepare(folder: Path) -> list[str]:
        files = {**sources.svg_files(), "04e00.svg": data}
        return ["--kanjivg", str(sources.write_kanjivg(folder / "bad", files))]

    return prepare


def file(option: str, data: bytes) -> Break:
    def prepare(folder: Path) -> list[str]:
        (folder / "given").write_bytes(data)
        return [option, str(folder / "given")]

    return prepare


def words(*arguments: str) -> Break:
    return lambda _: list(arguments)


ONE = sources.svg(0x4E00, sources.ONE)
CASES: dict[str, tuple[Break, int, str]] = {
    "missing file": (words("--kanjidic", "gone.xml"), 3, "gone.xml: --kanjidic names a file that does not exist"),
    "empty file": (dictionary(b""), 3, "bad.xml: the file is empty"),
    "truncated gzip": (dictionary(gzip.compress(GOOD_DICTIONARY)[:-20], "bad.gz"), 3, "gzip is truncated or damaged"),
    "truncated xml": (dictionary(GOOD_DICTIONARY[:-30]), 3, "not well-formed XML"),
    "xml bomb": (dictionary(BOMB), 3, "bad.xml:3: declares an XML entity"),
    "external entity": (dictionary(EXTERNAL), 3, "bad.xml:2: declares an XML entity"),
    "wrong root": (dictionary(b"<html/>"), 3, "the root element is <html>, not <kanjidic2>"),
    "binary": (dictionary(bytes(range(256))), 3, "not UTF-8 text"),
    "kanjivg for kanjidic": (dictionary(sources.single_xml()), 3, "root element is <kanjivg>, not <kanjidic2>"),
    "kanjidic for kanjivg": (file("--kanjivg", GOOD_DICTIONARY), 3, "root element is <kanjidic2>, not <kanjivg>"),
    "no drawings": (file("--kanjivg", b"<kanjivg/>"), 3, "holds no drawing"),
    "broken path": (glyph(ONE.replace(b"c3.19", b"c3.19.x")), 3, "04e00.svg: stroke 1 of 一 is broken"),
    "empty path": (glyph(ONE.replace(b'd="M11', b'e="M11')), 3, "stroke 1 of 一 is broken: path data must begin"),
    "no strokes": (glyph(sources.svg(0x4E00, sources.Group("一"))), 3, "04e00.svg: 一 has no strokes"),
    "bomb in a drawing": (glyph(BOMB), 3, "04e00.svg:3: declares an XML entity"),
    "empty drawing": (glyph(b""), 3, "04e00.svg: the file is empty"),
    "deep drawing": (
        glyph(ONE.replace(b"<path", b"<g>" * 80 + b"<path").replace(b"/></g>", b"/>" + b"</g>" * 81)),
        3,
        "deep",
    ),
    "unknown field": (
        file("--caption", b"\n{{ meening }}"),
        2,
        "given:2: {{ meening }} is not a field, did you mean",
    ),
    "broken template": (file("--caption", b"{% if %}"), 2, "given:1: not a Jinja template"),
    "empty caption": (file("--caption", b"{# nothing #}"), 2, "for 休: the caption is empty"),
    "unknown literals": (file("--literals", "犬".encode()), 3, "not in KANJIDIC2: 犬"),
    "no literals": (file("--literals", b""), 3, "holds no character"),
    "nothing selected": (words("--grade", "10"), 3, "no kanji meets the selection"),
    "impossible size": (words("--size-px", "0"), 2, "--size-px is 0; give 16 to 4096"),
    "impossible margin": (words("--margin-px", "32"), 2, "--margin-px is 32"),
    "mistyped option": (words("--cpation", "x"), 2, "Did you mean '--caption'?"),
}


def build(out: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    given = [
        "--kanjidic", str(sources.write_kanjidic(folder / "good.xml")),
        "--kanjivg", str(sources.write_kanjivg(folder / "good")),
        "--size-px", "64",
    ]  # fmt: skip
    command = [sys.executable, "-m", "kanjiprep", "build", str(out), *given, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_with_its_exit_code_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    prepare, code, says = CASES[case]
    folder, room = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    room.mkdir()
    done = build(room / "dataset", folder, *prepare(folder))
    errors = [line for line in done.stderr.splitlines() if not line.startswith("draw: ")]
    assert (done.returncode, len(errors), done.stdout) == (code, 1, ""), done.stderr
    assert errors[0].startswith("error: ")
    assert says in errors[0]
    assert list(room.iterdir()) == []


def test_an_output_folder_with_someone_elses_files_is_left_alone(tmp_path: Path) -> None:
    room = tmp_path / "theirs"
    room.mkdir()
    (room / "thesis.tex").write_text("work of years")
    done = build(room, tmp_path, "--replace")
    assert done.returncode == 4
    assert "holds files that kanjiprep did not write: thesis.tex" in done.stderr
    assert [entry.name for entry in room.iterdir()] == ["thesis.tex"]


def in_a_mount(tmp_path: Path, options: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell ``script`` in a namespace of its own, in which ``room`` is a small tmpfs."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare is not installed")
    room = tmp_path / "room"
    room.mkdir()
    command = [unshare, "-rm", "sh", "-c", f"mount -t tmpfs -o {options} none {room} || exit 99; {script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    if done.returncode in (1, 99) and "kanjiprep" not in done.stderr and "error:" not in done.stderr:
        pytest.skip(f"this machine lets no one mount: {done.stderr.strip()}")
    return done


def build_script(tmp_path: Path, more: str = "") -> str:
    dictionary, drawings = sources.write_kanjidic(tmp_path / "good.xml"), sources.write_kanjivg(tmp_path / "good")
    given = f"--kanjidic {dictionary} --kanjivg {drawings}"
    return f"{sys.executable} -m kanjiprep build room/dataset {given} {more}; code=$?; ls -A room; exit $code"


def test_a_full_disk_is_told_and_nothing_stays(tmp_path: Path) -> None:
    done = in_a_mount(tmp_path, "size=16k", build_script(tmp_path, "--size-px 2048"))
    assert (done.returncode, done.stdout) == (4, ""), done.stderr
    assert "cannot be written: no space left on device; free the space" in done.stderr.splitlines()[-1]


def test_a_read_only_folder_is_told_and_nothing_stays(tmp_path: Path) -> None:
    done = in_a_mount(tmp_path, "ro,size=1m", build_script(tmp_path))
    assert (done.returncode, done.stdout) == (4, ""), done.stderr
    assert "cannot be written: read-only file system" in done.stderr.splitlines()[-1]
