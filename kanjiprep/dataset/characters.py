"""characters.jsonl: what is known of each picture's character, beside the caption that metadata.csv gives it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

from kanjiprep import spec
from kanjiprep.dataset.folder import picture_name
from kanjiprep.dataset.join import Sample
from kanjiprep.errors import DatasetError, os_reason

NAME: Final = "characters.jsonl"
_REMEDY: Final = "restore the file or remove it"


@dataclass(frozen=True, slots=True)
class Character:
    """What is known of the character in one picture.

    Attributes:
        file_name: The picture's file name.
        character: The character itself; empty where it is not known.
        codepoint: Its code point as in file names, ``04e9c``; empty where it is not known.
        meanings: Its English meanings; none where they are not known.
        stroke_count: How many strokes are drawn; None where it is not known.
    """

    file_name: str
    character: str
    codepoint: str
    meanings: tuple[str, ...]
    stroke_count: Annotated[int, spec.Bounds(least=0, most=2**31 - 1)] | None


def of_sample(sample: Sample) -> Character:
    """The character of a picture that is to be drawn."""
    literal = sample.entry.literal
    return Character(
        picture_name(literal),
        literal,
        _codepoint(literal),
        sample.entry.meanings,
        len(sample.glyph.strokes),
    )


def of_name(file_name: str) -> Character:
    """What the file name tells: character and code point if it is one that ``build`` gives, else nothing."""
    literal = file_name[:1]
    if not literal or file_name != picture_name(literal):
        return Character(file_name, "", "", (), None)
    return Character(file_name, literal, _codepoint(literal), (), None)


def of_table(table: object, where: str) -> Character:
    """The character that ``table`` describes, by the names of the attributes.

    Args:
        table: What a parser returned.
        where: The place it is from, for the error.

    Raises:
        DatasetError: If it has other keys, or values of other kinds.
    """
    try:
        one = spec.from_table(Character, table, where)
        to_jsonl([one])
    except spec.SpecError as error:
        raise DatasetError("; ".join(error.problems), where, _REMEDY) from error
    except UnicodeEncodeError as error:  # JSON can hold half a surrogate pair, UTF-8 cannot
        raise DatasetError("holds half a character", where, _REMEDY) from error
    return one


def to_jsonl(characters: Iterable[Character]) -> bytes:
    """characters.jsonl: one JSON object a line."""
    return "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in characters).encode()


def read(folder: Path, names: Sequence[str]) -> tuple[Character, ...]:
    """The character of each picture in ``names``, in that order.

    From characters.jsonl if ``folder`` has one; where it has none, or no line for a picture, from the
    file name alone.

    Raises:
        DatasetError: If characters.jsonl cannot be read or is not such a table.
    """
    known = _known(folder / NAME)
    return tuple(known.get(name) or of_name(name) for name in names)


def _known(path: Path) -> Mapping[str, Character]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DatasetError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error
    found: dict[str, Character] = {}
    for line, one in _lines(data, path):
        if one.file_name in found:
            raise DatasetError(f"{one.file_name} has two lines", f"{path}:{line}", "keep one")
        found[one.file_name] = one
    return found


def _lines(data: bytes, path: Path) -> Iterator[tuple[int, Character]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            yield number, _character(line, f"{path}:{number}")


def _character(line: bytes, where: str) -> Character:
    try:
        return of_table(json.loads(line.decode("utf-8")), where)
    except UnicodeDecodeError as error:
        raise DatasetError("not UTF-8 text", where, _REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"not JSON: {error}", where, _REMEDY) from error


def _codepoint(literal: str) -> str:
    return f"{ord(literal):05x}"
