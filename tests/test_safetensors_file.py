from __future__ import annotations

import json
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep.errors import TrainerError
from kanjiprep.evaluation.weights import safetensors_file
from kanjiprep.evaluation.weights.safetensors_header import Header, Tensor

F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def file(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(TrainerError) as caught:
        safetensors_file.read(path)
    assert caught.value.where == str(path)
    assert caught.value.remedy
    return caught.value.what


def read_or_refused(path: Path) -> Header | None:
    """Anything else that is raised fails the test."""
    with suppress(TrainerError):
        return safetensors_file.read(path)
    return None


def test_a_header_tells_names_types_shapes_places_and_metadata(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "one": {"dtype": "BF16", "shape": [], "data_offsets": [8, 10]},
        "b": F32,
        "empty": {"dtype": "F16", "shape": [0, 3], "data_offsets": [8, 8]},
    }
    path = file(tmp_path / "a", header, bytes(10))
    assert safetensors_file.read(path) == Header(
        {
            "one": Tensor("one", "BF16", (), 8, 10),
            "b": Tensor("b", "F32", (2,), 0, 8),
            "empty": Tensor("empty", "F16", (0, 3), 8, 8),
        },
        {"format": "pt"},
        len(path.read_bytes()) - 10,
    )


@pytest.mark.parametrize(
    ("header", "data", "says"),
    [
        (b"{", b"", "not JSON"),
        (b"\xff{}", b"", "not UTF-8 at byte 0"),
        (b"[]", b"", "no JSON object"),
        (b"[" * 100_000, b"", "not JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", b"", "not JSON"),
        (b'{"a":1,"a":2}', b"", "names 'a' twice"),
        ({"__metadata__": []}, b"", "no table of texts"),
        ({"__metadata__": {"a": 1}}, b"", "no table of texts"),
        (b'{"__metadata__":{"a":"\\ud800"}}', b"", "metadata is not Unicode"),
        (b'{"\\udc00":1}', b"", "is not Unicode"),
        ({"a": 1}, b"", "not just a dtype"),
        ({"a": F32 | {"more": 1}}, bytes(8), "not just a dtype"),
        ({"a": F32 | {"dtype": "F31"}}, bytes(8), "of type 'F31', which is not known"),
        ({"a": F32 | {"dtype": ["F32"]}}, bytes(8), "which is not known"),
        ({"a": F32 | {"shape": [-2]}}, bytes(8), "has the shape [-2]"),
        ({"a": F32 | {"shape": [2.0]}}, bytes(8), "has the shape [2.0]"),
        ({"a": F32 | {"shape": [True, 2]}}, bytes(8), "has the shape [True, 2]"),
        ({"a": F32 | {"shape": [2**63]}}, bytes(8), "has the shape"),
        ({"a": F32 | {"shape": [1] * 65}}, bytes(8), "has the shape"),
        ({"a": F32 | {"shape": [2**62] * 64}}, bytes(8), "has 8 bytes, not those of"),
        ({"a": F32 | {"shape": {"2": 2}}}, bytes(8), "has the shape"),
        ({"a": F32 | {"shape": [3]}}, bytes(8), "has 8 bytes, not those of [3] F32"),
        ({"a": F32 | {"data_offsets": [0, 8, 8]}}, bytes(8), "has the offsets"),
        ({"a": F32 | {"data_offsets": [8, 0]}}, bytes(8), "has the offsets"),
        ({"a": F32 | {"data_offsets": [-8, 0]}}, bytes(8), "has the offsets"),
        ({"a": F32}, bytes(7), "has the offsets [0, 8] in 7 bytes of data"),
        ({"a": F32, "b": F32}, bytes(8), "'b' overlaps another"),
        ({"a": F32 | {"data_offsets": [1, 9]}}, bytes(9), "'a' leaves a hole before it"),
        ({"a": F32}, bytes(9), "it has 9 bytes of data, and its tensors have 8"),
    ],
)
def test_what_the_format_does_not_allow_is_refused(tmp_path: Path, header: object, data: bytes, says: str) -> None:
    assert says in refusal(file(tmp_path / "a", header, data))


def test_a_length_that_cannot_be_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    assert "100,000,000 is the most" in refusal(file(tmp_path / "a", b"PK\3\4", length=2**62))
    assert "would have 3 bytes, and the file has 10" in refusal(file(tmp_path / "a", b"{}", length=3))
    (tmp_path / "a").write_bytes(b"1234567")
    assert "it has 7 bytes" in refusal(tmp_path / "a")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "is no file" in refusal(tmp_path)
    assert "is no file" in refusal(tmp_path / "absent")
    path = file(tmp_path / "a", {})
    path.chmod(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        assert refusal(path) == "cannot be read: permission denied"


def test_names_in_messages_are_short_and_without_control_characters(tmp_path: Path) -> None:
    says = refusal(file(tmp_path / "a", {"\x1b[2J\n" + "x" * 10_000: 1}))
    assert "\\x1b[2J\\n" in says
    assert len(says) < 300


@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path_factory: Any, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    tensors = {"a": ("F32", (2,), bytes(8)), "b": ("BF16", (2, 3), bytes(12)), "c": ("F16", (), bytes(2))}
    safetensors_file.write(path, tensors, {"format": "pt"})
    whole = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[at] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.sampled_from([len(whole), len(whole) - 1, 200, 100, 9]))])
    read_or_refused(path)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "BOOL", "F4"]) | SCALARS,
        "shape": st.lists(st.integers(-1, 4) | SCALARS, max_size=3) | SCALARS,
        "data_offsets": st.lists(st.integers(-1, 16) | SCALARS, max_size=3) | SCALARS,
    }
)


@given(
    st.dictionaries(st.text(max_size=3) | st.just("__metadata__"), ENTRIES | SCALARS, max_size=3), st.integers(0, 16)
)
def test_any_header_is_read_or_refused_and_nothing_else(tmp_path_factory: Any, header: object, size: int) -> None:
    path = file(tmp_path_factory.getbasetemp() / "any.safetensors", header, bytes(size))
    found = read_or_refused(path)
    if found:
        assert sum(tensor.stop - tensor.start for tensor in found.tensors.values()) == size


FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(FINITE, max_size=8), st.sampled_from(["F64", "F32"]))
def test_what_is_written_is_read_back(tmp_path_factory: Any, numbers: list[float], dtype: str) -> None:
    path = tmp_path_factory.getbasetemp() / "back.safetensors"
    wanted = np.array(numbers, np.float32).reshape(-1, 1)
    safetensors_file.write(path, {"a": (dtype, wanted.shape, safetensors_file.encode(wanted, dtype))}, {"言": "葉"})
    header = safetensors_file.read(path)
    found = safetensors_file.values(path, header, "a")
    assert header.metadata == {"言": "葉"}
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    assert found.tobytes() == wanted.tobytes()
    kind = {"F64": np.float64, "F32": np.float32}[dtype]
    assert bytes(safetensors_file.raw(path, header, "a")) == wanted.astype(kind).tobytes()


@given(FINITE.filter(lambda one: abs(one) < 3e38))
def test_bf16_rounds_to_the_nearest_and_ties_to_even(number: float) -> None:
    data = safetensors_file.encode(np.array([number], np.float32), "BF16")
    (code,) = struct.unpack("<H", data)
    (back,) = safetensors_file.decode(data, "BF16").tolist()
    near = [
        struct.unpack("<f", struct.pack("<I", max(0, code + by) << 16))[0] for by in (-1, 1) if 0 <= code + by < 2**16
    ]
    distances = [abs(other - number) for other in near if np.isfinite(other)]
    assert all(abs(back - number) <= distance for distance in distances)
    if any(
        abs(back - number) == distance and other != back for other, distance in zip(near, distances, strict=False)
    ):
        assert code % 2 == 0


def test_half_precision_is_read(tmp_path: Path) -> None:
    header = {
        "half": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
        "brain": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [4, 8]},
    }
    path = file(tmp_path / "a", header, bytes.fromhex("003c00fc803f00c0"))
    found = safetensors_file.read(path)
    assert safetensors_file.values(path, found, "half").tolist() == [1.0, -np.inf]
    assert safetensors_file.values(path, found, "brain").tolist() == [[1.0, -2.0]]


def test_a_double_that_is_too_large_becomes_infinite(tmp_path: Path) -> None:
    header = {"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}
    path = file(tmp_path / "a", header, struct.pack("<d", 1e300))
    assert safetensors_file.values(path, safetensors_file.read(path), "a").tolist() == [np.inf]


def test_numbers_that_are_no_floats_are_refused(tmp_path: Path) -> None:
    path = file(tmp_path / "a", {"a": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]}}, b"1")
    with pytest.raises(TrainerError, match="'a' is of type I8"):
        safetensors_file.values(path, safetensors_file.read(path), "a")


def test_a_file_that_was_cut_short_or_removed_meanwhile_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path / "a", {"a": F32}, bytes(8))
    header = safetensors_file.read(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TrainerError, match="was cut short"):
        safetensors_file.values(path, header, "a")
    path.unlink()
    with pytest.raises(TrainerError, match="cannot be read: no such file"):
        safetensors_file.values(path, header, "a")


def test_the_bytes_do_not_depend_on_the_order_and_wide_types_come_first(tmp_path: Path) -> None:
    tensors = {"b": ("F32", (1,), b"1234"), "a": ("BF16", (1,), b"12"), "c": ("F64", (1,), b"12345678")}
    safetensors_file.write(tmp_path / "1", tensors, {"y": "1", "x": "2"})
    safetensors_file.write(tmp_path / "2", dict(reversed(tensors.items())), {"x": "2", "y": "1"})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    header = safetensors_file.read(tmp_path / "1")
    assert header.data_start % 8 == 0
    assert [one.name for one in sorted(header.tensors.values(), key=lambda one: one.start)] == ["c", "b", "a"]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["1", "2"]


def test_a_tensor_with_other_bytes_than_its_shape_says_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=r"'a' has 3 bytes, not those of \[1\] F32"):
        safetensors_file.write(tmp_path / "a", {"a": ("F32", (1,), b"123")}, {})
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_what_cannot_be_written_or_copied(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(TrainerError, match="cannot be written: is a directory"):
        safetensors_file.write(tmp_path / "taken", {}, {})
    with pytest.raises(TrainerError, match="cannot be written: no such file"):
        safetensors_file.write(tmp_path / "absent" / "a", {}, {})
    with pytest.raises(TrainerError, match="cannot be copied: no such file"):
        safetensors_file.copy(tmp_path / "absent", tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_copy_is_one_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(256)) * 9000)
    safetensors_file.copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (b"<!DOCTYPE html><html>", "it is a web page; get the .safetensors file itself"),
        (b"\xef\xbb\xbf\n<HTML lang=en>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n", "it is a Git LFS pointer"),
        (b"PK\x03\x04" + bytes(20), "it is a ZIP archive, such as torch writes"),
        (b"GGUF" + bytes(20), "it is a GGUF file"),
    ],
)
def test_files_of_another_kind_are_told_by_their_start(tmp_path: Path, start: bytes, says: str) -> None:
    (tmp_path / "a").write_bytes(start)
    with pytest.raises(TrainerError, match=says):
        safetensors_file.read(tmp_path / "a")
