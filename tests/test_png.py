import io
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from kanjiprep.dataset import png
from kanjiprep.dataset.raster import Canvas, Style
from tests.test_raster import strokes_of


@pytest.mark.parametrize("shape", [(64, 64), (3, 7), (1, 1)])
def test_what_is_encoded_is_read_back(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with Image.open(io.BytesIO(png.Encoder(shape[1], shape[0]).encode(pixels))) as picture:
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture), pixels)


def test_zlib_and_zlib_ng_write_the_same_bytes() -> None:
    from zlib_ng import zlib_ng

    pixels = Canvas(Style(512)).draw(strokes_of(0x4F11)[0])
    assert png.deflate_with(zlib.compressobj)(pixels.copy()) == png.deflate_with(zlib_ng.compressobj)(pixels.copy())


def test_without_zlib_ng_zlib_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zlib_ng", None)
    rows = np.zeros((4, 4), np.uint8)
    assert zlib.decompress(png._best_deflate()(rows)) == bytes(16)
