"""Files of tensors: the values of a .safetensors file, and files written whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import chain
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kanjiprep.errors import TrainerError, os_reason, shown
from kanjiprep.evaluation.weights import safetensors_header
from kanjiprep.evaluation.weights.safetensors_header import ITEM_BYTES, LENGTH, METADATA, Header, Malformed, Stranger

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIX: Final = ".safetensors"
_NUMPY: Final[Mapping[str, str]] = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_PIECE_BYTES: Final = 2**20
_REMEDY: Final = "take another checkpoint, or copy this one anew"

Raw = tuple[str, tuple[int, ...], bytes | memoryview]
"""A tensor to be written: the name of its type, its shape and its bytes."""
Promised = tuple[str, tuple[int, ...], Callable[[], bytes | memoryview]]
"""The same, with its bytes made only when they are to be written."""


def read(path: Path) -> Header:
    """The header of ``path``, of which every byte is accounted for.

    Raises:
        TrainerError: If there is no such file, or it is not exactly what the format allows.
    """
    with _as_trainer_error(path, "cannot be read", "check the path and its permissions"):
        if not path.is_file():
            raise TrainerError("is no file", str(path), f"name a {SUFFIX} file")
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            return safetensors_header.parse(stream, size)


def values(path: Path, header: Header, name: str) -> NDArray[np.float32]:
    """The numbers of a tensor in float32.

    Raises:
        TrainerError: If they are no floating point numbers of 16 bits or more, or cannot be read.
    """
    tensor = header.tensors[name]
    if tensor.dtype not in _NUMPY:
        raise TrainerError(f"{shown(name)} is of type {tensor.dtype}", str(path), "take one in F32, F16 or BF16")
    return decode(raw(path, header, name), tensor.dtype).reshape(tensor.shape)


def raw(path: Path, header: Header, name: str) -> memoryview:
    """The bytes of a tensor, mapped and not loaded.

    Raises:
        TrainerError: If they cannot be read.
    """
    import numpy as np

    tensor = header.tensors[name]
    size = tensor.stop - tensor.start
    if not size:
        return memoryview(b"")
    try:
        with _as_trainer_error(path, "cannot be read", _REMEDY):
            return np.memmap(path, np.uint8, "r", header.data_start + tensor.start, (size,)).data
    except ValueError as error:  # numpy's, where the file ends earlier than it did
        raise TrainerError("was cut short while it was read", str(path), _REMEDY) from error


def decode(data: bytes | memoryview, dtype: str) -> NDArray[np.float32]:
    """The numbers of bytes in F64, F32, F16 or BF16, in one row."""
    import numpy as np

    numbers = np.frombuffer(data, _NUMPY[dtype])
    if dtype == "BF16":
        return (numbers.astype("<u4") << 16).view("<f4").astype(np.float32)
    with np.errstate(over="ignore"):  # of F64; what becomes infinite is found by whoever looks for it
        return numbers.astype(np.float32)


def encode(numbers: NDArray[np.float32], dtype: str) -> memoryview:
    """The bytes of finite numbers in F64, F32, F16 or BF16, each rounded to the nearest, ties to even."""
    import numpy as np

    if dtype == "BF16":
        bits = np.ascontiguousarray(numbers, "<f4").view("<u4")
        coded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    else:
        with np.errstate(over="ignore"):
            coded = np.ascontiguousarray(numbers.astype(_NUMPY[dtype]))
    return memoryview(coded.tobytes())


def write(path: Path, tensors: Mapping[str, Raw | Promised], metadata: Mapping[str, str]) -> None:
    """Write a file aside and rename it; the same tensors and metadata give the same bytes.

    Wide types come first, so that every tensor begins at a multiple of its numbers' size, as torch needs it; those
    of one type come by name. One promised tensor is in memory at a time.

    Raises:
        TrainerError: If a tensor has not as many bytes as its shape says, or the file cannot be written.
    """
    order = sorted(tensors, key=lambda name: (-ITEM_BYTES[tensors[name][0]], name))
    entries: dict[str, object] = {METADATA: dict(sorted(metadata.items()))} if metadata else {}
    stop = 0
    for name in order:
        dtype, shape, _ = tensors[name]
        start, stop = stop, stop + prod(shape) * ITEM_BYTES[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    _write_aside(path, chain((LENGTH.pack(len(text)), text), (_data(path, name, *tensors[name]) for name in order)))


def _data(
    path: Path,
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    data: bytes | memoryview | Callable[[], bytes | memoryview],
) -> bytes | memoryview:
    made = data() if callable(data) else data
    if len(made) != prod(shape) * ITEM_BYTES[dtype]:
        raise TrainerError(f"{shown(name)} has {len(made)} bytes, not those of {list(shape)} {dtype}", str(path))
    return made


def copy(path: Path, out: Path) -> None:
    """Write a copy aside and rename it, byte for byte.

    Raises:
        TrainerError: If it cannot be read or written.
    """
    with _as_trainer_error(path, "cannot be copied", "check its permissions"), path.open("rb") as stream:
        _write_aside(out, iter(partial(stream.read, _PIECE_BYTES), b""))


def _write_aside(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    aside = path.with_name(f".{path.name}.writing")
    with _as_trainer_error(path, "cannot be written", "free the space, fix the permissions, or give another folder"):
        try:
            with aside.open("wb") as stream:
                for piece in pieces:
                    stream.write(piece)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def _as_trainer_error(path: Path, what: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrainerError(f"{what}: {os_reason(error)}", str(path), remedy) from error
    except Malformed as error:
        remedy = f"get the {SUFFIX} file itself" if isinstance(error, Stranger) else _REMEDY
        raise TrainerError(f"no {SUFFIX} file: {error}", str(path), remedy) from error
