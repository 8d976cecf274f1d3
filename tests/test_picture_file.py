from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kanjiprep.errors import TrainerError
from kanjiprep.training.running import picture_file
from kanjiprep.training.running.picture_file import Layout, Named, layout, named, opened, read, size_of

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8))


def claimed(side: int) -> bytes:
    """A PNG that claims to be ``side`` pixels wide and high, and has none."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


# Names and layouts


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("step_800_mountains_0_1024x768.png", Named(800, "mountains", 0, 1024, 768)),
        ("step_0_my_kanji_2_11_64x64.webp", Named(0, "my_kanji_2", 11, 64, 64)),
        ("step_8_a_0_64x64.jpeg", Named(8, "a", 0, 64, 64)),
        ("step_8_a_0_64x64.gif", None),
        ("step_8__0_64x64.png", None),
        ("step_8_a_0_unknown.png", None),
        ("step_8_a_0_123456x64.png", None),
        ("strip.png", None),
    ],
)
def test_a_name_tells_step_prompt_index_and_size(name: str, means: Named | None) -> None:
    assert named(name) == means


NAME = "step_8_a_0_64x48.png"


@pytest.mark.parametrize(
    ("size", "means"),
    [
        ((64, 48), Layout((0, 0, 64, 48), None, 1)),
        ((64, 90), Layout((0, 0, 64, 48), None, 1)),
        ((60, 40), Layout((0, 0, 60, 40), None, 1)),
        ((127, 90), Layout((0, 0, 64, 48), None, 1)),
        ((133, 90), Layout((69, 0, 133, 48), (0, 0, 64, 48), 2)),
        ((134, 90), Layout((69, 0, 133, 48), (0, 0, 64, 48), 2)),
        ((202, 90), Layout((138, 0, 202, 48), (0, 0, 64, 48), 3)),
        ((204, 90), Layout((139, 0, 203, 48), (0, 0, 64, 48), 3)),
    ],
)
def test_of_pictures_side_by_side_the_last_is_the_newest(size: tuple[int, int], means: Layout) -> None:
    assert layout(NAME, size) == means


def test_a_column_that_was_added_between_moves_the_newest() -> None:
    """43 + 5 + 43 is no multiple of 16; 43 + 5 + 43 + 1 + 5 + 43 is none either, and 32 + 5 + 27 is one."""
    assert layout("step_8_a_0_43x48.png", (141, 48)) == Layout((97, 0, 140, 48), (0, 0, 43, 48), 3)
    assert layout("step_8_a_0_43x48.png", (91, 48)) == Layout((48, 0, 91, 48), (0, 0, 43, 48), 2)


@pytest.mark.parametrize("name", ["a.png", "step_8_a_0_0x64.png", "step_8_a_0_64x0.png"])
def test_without_a_size_in_the_name_all_is_one_picture(name: str) -> None:
    assert layout(name, (133, 90)) == Layout((0, 0, 133, 90), None, 1)


def test_a_size_in_the_name_that_is_too_large_is_that_of_the_file() -> None:
    assert layout("step_8_a_0_99999x99999.png", (64, 48)) == Layout((0, 0, 64, 48), None, 1)


@pytest.mark.parametrize("text", ["base model", "step 99999"])
def test_labels_end_above_the_rows_that_are_cut_away(text: str) -> None:
    drawn = Image.new("RGB", (400, 100), "grey")
    ImageDraw.Draw(drawn).text((10, 10), text, "white", font_size=28, stroke_width=2, stroke_fill="black")
    rows = np.flatnonzero((np.asarray(drawn) != np.asarray(drawn)[0, 0]).any(axis=(1, 2)))
    assert 20 < rows[-1] < picture_file.LABEL_PX


# Pixels


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_a_picture_is_read_in_rgb(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (48, 64), (250, 10, 10)).save(tmp_path / f"a.{suffix}", quality=95)
    found = read(tmp_path / f"a.{suffix}")
    assert (found.mode, found.size) == ("RGB", (48, 64))
    assert np.abs(np.asarray(found, int) - (250, 10, 10)).max() <= 6
    assert size_of(tmp_path / f"a.{suffix}") == (48, 64)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    drawn = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    drawn.putpixel((1, 1), (0, 0, 0, 255))
    if mode in {"RGBA", "LA"}:
        drawn.convert(mode).save(tmp_path / "a.png")
    else:
        clear = Image.new("L", (4, 4), 7)
        clear.putpixel((1, 1), 0)
        transparent = (7, 7, 7) if mode == "RGB" else 7
        clear.convert(mode if mode != "P" else "L").save(tmp_path / "a.png", transparency=transparent)
    found = np.asarray(read(tmp_path / "a.png"))
    assert found[1, 1].tolist() == [0, 0, 0]
    assert found.sum() == 15 * 3 * 255


def test_sixteen_bits_keep_their_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 256, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert np.asarray(read(tmp_path / "a.png"))[0, :, 0].tolist() == [0, 1, 255]


def test_exif_does_not_turn_a_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    NOISE.save(tmp_path / "a.jpg", exif=exif)
    assert read(tmp_path / "a.jpg").size == size_of(tmp_path / "a.jpg") == NOISE.size


# What cannot be read


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.9])
def test_a_half_written_picture_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a.{suffix}"
    NOISE.save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    for look in (read, size_of):
        with pytest.raises(TrainerError, match="cannot be read as a picture: .*may still be writing") as caught:
            look(path)
        assert caught.value.where == str(path)


def test_a_broken_chunk_is_refused(tmp_path: Path) -> None:
    NOISE.save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[data.index(b"IDAT") + 40] ^= 255
    (tmp_path / "a.png").write_bytes(data)
    for look in (read, size_of):
        with pytest.raises(TrainerError, match="cannot be read as a picture"):
            look(tmp_path / "a.png")


def test_a_jpeg_with_more_behind_its_end_is_looked_through(tmp_path: Path) -> None:
    NOISE.save(tmp_path / "a.jpg")
    with (tmp_path / "a.jpg").open("ab") as stream:
        stream.write(bytes(10_000))
    assert size_of(tmp_path / "a.jpg") == read(tmp_path / "a.jpg").size == NOISE.size


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("text.png", "is neither PNG nor WebP nor JPEG"),
        ("bitmap.png", "is neither PNG nor WebP nor JPEG"),
        ("empty.png", "it is empty"),
        ("folder.png", "is a directory"),
        ("missing.png", "no such file or directory"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    NOISE.save(tmp_path / "bitmap.png", format="BMP")
    for look in (read, size_of):
        with pytest.raises(TrainerError, match=f"{name}: cannot be read as a picture: {says}"):
            look(tmp_path / name)


@pytest.mark.parametrize("side", [6000, 10_000, 60_000])
def test_huge_pictures_are_refused_unread(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(claimed(side))
    for look in (read, size_of):
        with pytest.raises(TrainerError, match="has more than 33 million pixels; set a smaller"):
            look(tmp_path / "a.png")


def test_the_limit_is_the_callers(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(claimed(16_000))
    with opened(tmp_path / "a.png", 1 << 28) as picture:
        assert picture.size == (16_000, 16_000)
    with (
        pytest.raises(TrainerError, match="has more than 200 million pixels"),
        opened(tmp_path / "a.png", 200_000_000),
    ):
        pass
