import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from PIL.PngImagePlugin import PngInfo

from kanjiprep.errors import TrainerError
from kanjiprep.training.running import picture_health
from kanjiprep.training.running.picture_health import Look, faults, gone_bad, look

GOOD = Look(brightest=255, span=200, grain=0, blocks=0, mottle=0)
BLACK = Look(brightest=0, span=0, grain=0, blocks=0, mottle=0)
NOISE = Look(brightest=255, span=90, grain=1, blocks=0, mottle=0)


def seen(tmp_path: Path, picture: Image.Image, name: str = "a.png") -> Look:
    picture.save(tmp_path / name, quality=90)
    return look(tmp_path / name)


def faults_of(tmp_path: Path, picture: Image.Image, name: str = "a.png") -> tuple[str, ...]:
    return faults(seen(tmp_path, picture, name))


def noise(side: int, channels: int = 3, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal((side, side, channels))


def picture(levels: NDArray[np.float64]) -> Image.Image:
    shown = np.broadcast_to(np.clip(levels, 0, 255), (*levels.shape[:2], 3))
    return Image.fromarray(shown.astype(np.uint8))


def fractal(side: int, channels: int = 1, seed: int = 0, slope: float = 1.0) -> NDArray[np.float64]:
    down, right = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    frequency = np.hypot(down, right)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(noise(side, channels, seed), axes=(0, 1)) / frequency[..., None] ** slope
    levels = np.fft.irfft2(spectrum, (side, side), axes=(0, 1))
    return np.asarray(levels / levels.std(axis=(0, 1)))


def kanji(side: int = 256) -> Image.Image:
    """The ten strokes of 書, roughly."""
    drawn = Image.new("RGB", (4 * side, 4 * side), "white")
    draw = ImageDraw.Draw(drawn)
    for row in (15, 25, 35, 45, 60, 72, 90):
        draw.line((side, row * side // 25, 3 * side, row * side // 25), "black", side // 9)
    for column in (32, 50, 68):
        draw.line((column * side // 25, side // 3, column * side // 25, 15 * side // 4), "black", side // 9)
    return drawn.reduce(4)


def thin_stroke(side: int = 256) -> Image.Image:
    drawn = Image.new("RGB", (side, side), "white")
    ImageDraw.Draw(drawn).line((side // 3, side // 2, 2 * side // 3, side // 2), "black", 2)
    return drawn


def grey_paper(drawn: Image.Image) -> Image.Image:
    return drawn.point(lambda level: int(0.6 * level))


def grey_ink(drawn: Image.Image) -> Image.Image:
    return drawn.point(lambda level: int(153 + 0.4 * level))


@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize("draw", [kanji, thin_stroke])
@pytest.mark.parametrize("form", [Image.Image.copy, ImageOps.invert, grey_paper, grey_ink, ImageOps.mirror])
def test_kanji_have_no_fault(
    tmp_path: Path, draw: Callable[[int], Image.Image], form: Callable[[Image.Image], Image.Image], side: int
) -> None:
    found = seen(tmp_path, form(draw(side)))
    assert faults(found) == ()
    assert found.grain < 0.1
    assert found.mottle == 0


def mountains() -> Image.Image:
    return picture(120 + 45 * (fractal(256) + 0.3 * fractal(256, 3, 1)))


def snow() -> Image.Image:
    ground = np.where(np.linspace(0, 1, 256)[:, None, None] > 0.5, 244.0, 224.0)
    return picture(ground + 4 * fractal(256, slope=1.3) + noise(256))


def fog() -> Image.Image:
    return picture(200 + 9 * fractal(256, slope=1.5) + 1.5 * noise(256))


def night() -> Image.Image:
    drawn = picture(6 + 3 * noise(256))
    for x in (40, 90, 200):
        ImageDraw.Draw(drawn).ellipse((x, 120, x + 6, 126), (255, 214, 150))
    return drawn


def stars() -> Image.Image:
    levels = np.zeros((256, 256, 3))
    levels[np.random.default_rng(0).random((256, 256)) > 0.996] = 220
    return picture(levels)


def sunset() -> Image.Image:
    """Red grows as green shrinks, so that brightness hardly changes."""
    down = np.broadcast_to(np.linspace(0, 1, 256)[:, None, None], (256, 256, 1))
    return picture(np.concatenate([60 + 150 * down, 160 - 76 * down, 80 + 0 * down], axis=2) + 2 * noise(256))


def gravel() -> Image.Image:
    drawn = Image.new("RGB", (512, 512), (50, 48, 45))
    draw = ImageDraw.Draw(drawn)
    for x, y, light, size in np.random.default_rng(0).random((4000, 4)):
        radius = 3 + 6 * size
        box = (512 * x - radius, 512 * y - radius, 512 * x + radius, 512 * y + radius)
        draw.ellipse(box, (int(60 + 170 * light),) * 3, (int(30 + 80 * light),) * 3)
    return drawn.reduce(2)


def grass() -> Image.Image:
    drawn = Image.new("RGB", (512, 512), (40, 70, 25))
    draw = ImageDraw.Draw(drawn)
    for x, y, lean, light in np.random.default_rng(0).random((6000, 4)):
        line = (512 * x, 512 * y, 512 * x + 40 * (lean - 0.5), 512 * y - 40)
        draw.line(line, (int(40 + 90 * light), int(70 + 130 * light), 30), 3)
    return drawn.reduce(2)


def fabric() -> Image.Image:
    down, right = np.mgrid[:256, :256]
    weave = (np.sin(down * 0.9) * np.sin(right * 0.9))[..., None]
    return picture(np.array([150, 90, 70]) + 20 * weave + 15 * fractal(256, slope=1.4))


def painting() -> Image.Image:
    random = np.random.default_rng(0)
    drawn = Image.new("RGB", (512, 512), (200, 190, 170))
    draw = ImageDraw.Draw(drawn)
    for x, y, over, down, red, green, blue, broad in random.random((300, 8)):
        line = (512 * x, 512 * y, 512 * x + 170 * (over - 0.5), 512 * y + 170 * (down - 0.5))
        draw.line(line, (int(255 * red), int(255 * green), int(255 * blue)), int(6 + 20 * broad))
    return drawn.filter(ImageFilter.GaussianBlur(1))


@pytest.mark.parametrize(
    "scene",
    [mountains, snow, fog, night, stars, sunset, gravel, grass, fabric, painting],
    ids=lambda one: one.__name__,
)
@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_photographs_and_paintings_have_no_fault(
    tmp_path: Path, scene: Callable[[], Image.Image], suffix: str
) -> None:
    assert faults_of(tmp_path, scene(), f"a.{suffix}") == ()


@pytest.mark.parametrize("levels", [0, 4 + 4 * noise(256)], ids=["exactly", "nearly"])
@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_black_is_black(tmp_path: Path, levels: NDArray[np.float64], suffix: str) -> None:
    assert faults_of(tmp_path, picture(np.zeros((256, 256, 3)) + levels), f"a.{suffix}") == ("black",)


def test_a_few_hot_pixels_leave_black_black(tmp_path: Path) -> None:
    levels = np.zeros((256, 256, 3))
    levels[::64, ::64] = 255
    assert faults_of(tmp_path, picture(levels)) == ("black",)


@pytest.mark.parametrize("colour", ["white", (128, 128, 128), (200, 30, 90)])
@pytest.mark.parametrize("strength", [0, 3])
def test_one_colour_is_blank(tmp_path: Path, colour: str | tuple[int, int, int], strength: int) -> None:
    plain = np.asarray(Image.new("RGB", (256, 256), colour), np.float64)
    assert faults_of(tmp_path, picture(plain + strength * noise(256))) == ("blank",)


def test_two_colours_of_the_same_brightness_are_not_blank(tmp_path: Path) -> None:
    drawn = Image.new("RGB", (256, 256), (128, 0, 0))
    drawn.paste((0, 65, 0), (0, 0, 128, 256))
    assert drawn.convert("L").getextrema() == (38, 38)
    assert faults_of(tmp_path, drawn) == ()


def blocks(channels: int, side: int, cell: int, how: Image.Resampling) -> Image.Image:
    return picture(128 + 50 * noise(side // cell, channels)).resize((side, side), how)


@pytest.mark.parametrize(
    "drawn",
    [
        picture(128 + 40 * noise(256, 1)),
        picture(128 + 40 * noise(1024)),
        picture(np.random.default_rng(0).uniform(0, 255, (256, 256, 3))),
        blocks(1, 256, 8, Image.Resampling.NEAREST),
        blocks(3, 256, 8, Image.Resampling.NEAREST),
        blocks(1, 256, 8, Image.Resampling.BICUBIC),
        blocks(3, 512, 16, Image.Resampling.NEAREST),
        blocks(3, 512, 16, Image.Resampling.BICUBIC),
    ],
    ids=["grey", "colour", "uniform", "blocks", "colour blocks", "smooth latents", "tokens", "smooth tokens"],
)
@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_noise_is_noise(tmp_path: Path, drawn: Image.Image, suffix: str) -> None:
    assert faults_of(tmp_path, drawn, f"a.{suffix}") == ("noise",)


def test_mottled_colours_over_an_uneven_grey_are_noise_by_their_colours_alone(tmp_path: Path) -> None:
    cells = noise(32)
    colours = 30 * (cells - cells @ [[0.299], [0.587], [0.114]])
    smooth = np.asarray(picture(128 + colours).resize((256, 256), Image.Resampling.BICUBIC), np.float64)
    found = seen(tmp_path, picture(smooth + 30 * fractal(256)))
    assert found.grain < picture_health.GRAINY
    assert found.blocks < picture_health.BLOCKY
    assert faults(found) == ("noise",)


def test_half_a_picture_of_noise_is_not_enough(tmp_path: Path) -> None:
    drawn = picture(128 + 40 * noise(256))
    drawn.paste("white", (0, 0, 140, 256))
    assert faults_of(tmp_path, drawn) == ()


def test_noise_in_a_grid_too_small_to_tell_is_left_alone(tmp_path: Path) -> None:
    assert faults_of(tmp_path, blocks(3, 128, 8, Image.Resampling.NEAREST)) == ()


def test_each_threshold_counts_alone() -> None:
    assert faults(Look(23.9, 200, 1, 1, 1)) == ("black",)
    assert faults(Look(24, 7.9, 1, 1, 1)) == ("blank",)
    assert faults(Look(24, 8, 0.79, 0.59, 0.59)) == ()
    assert faults(Look(24, 8, 0.8, 0, 0)) == ("noise",)
    assert faults(Look(24, 8, 0, 0.6, 0)) == ("noise",)
    assert faults(Look(24, 8, 0, 0, 0.6)) == ("noise",)


def test_only_what_was_good_goes_bad() -> None:
    assert gone_bad(GOOD, BLACK) == ("black",)
    assert gone_bad(GOOD, GOOD) == ()
    assert gone_bad(None, NOISE) == ()
    assert gone_bad(NOISE, NOISE) == ()
    assert gone_bad(NOISE, BLACK) == ("black",)


def captioned(drawn: Image.Image) -> Image.Image:
    """As SimpleTuner draws the prompt: white on a black strip below."""
    whole = Image.new("RGB", (drawn.width, drawn.height + 46), "black")
    whole.paste(drawn)
    ImageDraw.Draw(whole).text((12, drawn.height + 10), "Prompt: mountains", "white", font_size=24)
    return whole


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """As SimpleTuner pastes the base model's picture to the left, with labels and a column for luck."""
    whole = Image.new("RGB", (left.width + right.width + 6, right.height), "white")
    whole.paste(left)
    whole.paste((200, 200, 200), (left.width, 0, left.width + 5, right.height))
    whole.paste(right, (left.width + 5, 0))
    for x, text in ((10, "base model"), (left.width + 15, "step 24000")):
        ImageDraw.Draw(whole).text((x, 10), text, "white", stroke_width=2, stroke_fill="black", font_size=28)
    return whole


def test_a_prompt_below_hides_nothing(tmp_path: Path) -> None:
    black, white = Image.new("RGB", (256, 256)), Image.new("RGB", (256, 256), "white")
    assert faults_of(tmp_path, captioned(black), "step_200_mountains_0_256x256.png") == ("black",)
    assert faults_of(tmp_path, captioned(white), "step_200_mountains_0_256x256.png") == ("blank",)
    assert faults_of(tmp_path, captioned(kanji()), "step_200_my_kanji_12_256x256.webp") == ()
    assert faults_of(tmp_path, captioned(black), "mountains.png") == (), "without its size the strip belongs to it"


@pytest.mark.parametrize("side", [128, 512])
def test_only_the_newest_of_pictures_side_by_side_counts(tmp_path: Path, side: int) -> None:
    black, name = Image.new("RGB", (side, side)), f"step_8_a_0_{side}x{side}.png"
    assert faults_of(tmp_path, captioned(beside(kanji(side), black)), name) == ("black",)
    assert faults_of(tmp_path, captioned(beside(black, kanji(side))), name) == ()
    assert faults_of(tmp_path, captioned(beside(beside(kanji(side), kanji(side)), black)), name) == ("black",)
    assert faults_of(tmp_path, captioned(beside(kanji(side), picture(128 + 50 * noise(side)))), name) == ("noise",)


def test_blocks_are_found_beside_another_picture_too(tmp_path: Path) -> None:
    drawn = beside(kanji(512), blocks(1, 512, 8, Image.Resampling.NEAREST))
    assert faults_of(tmp_path, drawn, "step_8_a_0_512x512.png") == ("noise",)


@pytest.mark.parametrize("name", ["step_1_a_0_0x256.png", "step_1_a_0_99999x99999.png", "step_1_a_0_unknown.png"])
def test_a_size_in_the_name_that_cannot_be_leaves_the_picture_whole(tmp_path: Path, name: str) -> None:
    assert seen(tmp_path, kanji(), name) == seen(tmp_path, kanji(), "plain.png")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "PA", "1"])
def test_every_mode_is_read(tmp_path: Path, mode: str) -> None:
    suffix = "png" if mode != "PA" else "webp"
    assert faults_of(tmp_path, kanji().convert(mode), f"a.{suffix}") == ()
    assert faults_of(tmp_path, Image.new("RGB", (256, 256)).convert(mode), f"a.{suffix}") == ("black",)


def test_ink_on_nothing_is_ink_on_white(tmp_path: Path) -> None:
    drawn = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
    drawn.paste("black", (100, 100, 120, 200))
    assert faults_of(tmp_path, drawn) == ()


def test_sixteen_bits_keep_their_range(tmp_path: Path) -> None:
    levels = (np.asarray(kanji().convert("L")).astype(np.uint16)) * 257
    found = seen(tmp_path, Image.fromarray(levels))
    assert found == seen(tmp_path, kanji(), "b.png")
    assert faults_of(tmp_path, Image.fromarray(levels // 64)) == ("black",)


def test_jpegs_of_four_inks_are_read(tmp_path: Path) -> None:
    assert faults_of(tmp_path, kanji().convert("CMYK"), "a.jpg") == ()
    assert faults_of(tmp_path, Image.new("RGB", (256, 256)).convert("CMYK"), "a.jpg") == ("black",)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (7, 7)])
def test_tiny_pictures_are_looked_at(tmp_path: Path, size: tuple[int, int]) -> None:
    assert faults_of(tmp_path, Image.new("RGB", size, "white")) == ("blank",)


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.97])
def test_a_half_written_picture_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a.{suffix}"
    picture(128 + 40 * noise(256)).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(TrainerError, match="cannot be read as a picture: .*may still be writing") as caught:
        look(path)
    assert caught.value.where == str(path)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    kanji().save(tmp_path / "b.png", format="BMP")
    for name in ("a.png", "b.png", "folder.png", "missing.png"):
        with pytest.raises(TrainerError, match=rf"{name}: cannot be read as a picture"):
            look(tmp_path / name)


def test_a_broken_chunk_is_refused(tmp_path: Path) -> None:
    kanji().save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[data.index(b"IDAT") + 40] ^= 255
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(TrainerError, match="cannot be read as a picture"):
        look(tmp_path / "a.png")


def test_a_text_that_swells_is_refused(tmp_path: Path) -> None:
    """Pillow's ValueError, where other harm is an OSError."""
    text = PngInfo()
    text.add_text("prompt", "a" * (1 << 21), zip=True)
    kanji().save(tmp_path / "a.png", pnginfo=text)
    with pytest.raises(TrainerError, match="cannot be read as a picture: Decompressed data too large"):
        look(tmp_path / "a.png")


@pytest.mark.parametrize("side", [6000, 10_000, 60_000])
def test_huge_pictures_are_refused_unread(tmp_path: Path, side: int) -> None:
    """Ours, Pillow's warning and Pillow's error."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    data = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    with pytest.raises(TrainerError, match="has more than 33 million pixels; set a smaller"):
        look(tmp_path / "a.png")
