"""A table (TOML or JSON) into a frozen dataclass, strictly: every problem found at once."""

from __future__ import annotations

import difflib
import functools
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Annotated, Any, TypeVar, cast

from kanjiprep.errors import UsageError, one_line

T = TypeVar("T")


class SpecError(UsageError):
    """A table that does not fit its dataclass; ``problems`` holds one line each."""

    def __init__(self, where: str, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems), where)
        self.problems = tuple(map(one_line, problems))

    def __reduce__(self) -> tuple[type[SpecError], tuple[str, tuple[str, ...]]]:
        return type(self), (self.where, self.problems)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of a number, for ``Annotated[int, Bounds(least=1)]``; infinity and NaN are never within."""

    least: float | None = None
    above: float | None = None
    most: float | None = None

    def hold(self, value: float) -> bool:
        """Whether ``value`` is within."""
        return (
            (isinstance(value, int) or math.isfinite(value))
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
        )

    def __str__(self) -> str:
        limits = ((self.least, "at least"), (self.above, "above"), (self.most, "at most"))
        return " and ".join(f"{word} {limit:.10g}" for limit, word in limits if limit is not None)


def from_table(cls: type[T], table: object, where: str) -> T:
    """An instance of the dataclass ``cls`` from ``table``, or every reason why not.

    Fields may be ``bool``, ``int``, ``float``, ``str``, ``Literal``, ``tuple[X, ...]``,
    ``Mapping[str, X]``, another dataclass, ``X | None``, or a number with ``Bounds``. Integers are
    accepted for floats, booleans never for numbers.

    Args:
        cls: The dataclass to fill.
        table: What a TOML or JSON parser returned.
        where: The file, for the error.

    Raises:
        SpecError: Naming every unknown, missing and ill-typed key with its dotted path.
    """
    value, problems = read(cls, table)
    if problems:
        raise SpecError(where, problems)
    return cast(T, value)


def read(cls: type[T], table: object) -> tuple[T | None, tuple[str, ...]]:
    """What can be read of ``table`` and every problem, so that further checks can add theirs.

    A value with a problem gives way to its field's default; None if a field without default has one.
    """
    problems: list[str] = []
    value = _read(cls, table, "", problems)
    return value if isinstance(value, cls) else None, tuple(problems)


def did_you_mean(word: str, known: typing.Iterable[str]) -> str:
    """``", did you mean X?"`` for the known word nearest to ``word``, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f", did you mean {near[0]!r}?" if near else ""


def _read(kind: Any, value: object, path: str, problems: list[str]) -> object:
    if is_dataclass(kind):
        return _read_dataclass(cast(type, kind), value, path, problems)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _read_bounded(arguments[0], arguments[1], value, path, problems)
    if origin in (types.UnionType, typing.Union):
        inner = next(argument for argument in arguments if argument is not type(None))
        return None if value is None else _read(inner, value, path, problems)
    if origin is typing.Literal:
        return _read_literal(arguments, value, path, problems)
    if origin is not None:
        read_many = _read_tuple if origin is tuple else _read_mapping
        return read_many(arguments[0 if origin is tuple else 1], value, path, problems)
    return _read_scalar(kind, value, path, problems)


def _read_dataclass(cls: type, value: object, path: str, problems: list[str]) -> object:
    if not isinstance(value, Mapping):
        return _expect(False, value, path, "a table", problems)
    hints, known = _hints(cls), {field.name: field for field in fields(cls)}
    problems += [
        f"{_join(path, key)} is not a key here{did_you_mean(str(key), known)}" for key in value if key not in known
    ]
    arguments = {}
    for name in known:
        if name in value:
            before = len(problems)
            item = _read(hints[name], value[name], _join(path, name), problems)
            if len(problems) == before or is_dataclass(item):
                arguments[name] = item
    missing = [name for name, field in known.items() if name not in value and _is_required(field)]
    problems += [f"{_join(path, name)} is missing" for name in missing]
    is_whole = all(name in arguments for name, field in known.items() if _is_required(field))
    return cls(**arguments) if is_whole else None


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _read_bounded(kind: Any, bounds: Bounds, value: object, path: str, problems: list[str]) -> object:
    before = len(problems)
    number = _read(kind, value, path, problems)
    if len(problems) > before:
        return number
    return _expect(bounds.hold(cast(float, number)), number, path, str(bounds) or "finite", problems)


def _read_literal(choices: tuple[Any, ...], value: object, path: str, problems: list[str]) -> object:
    guess = did_you_mean(value, map(str, choices)) if isinstance(value, str) else ""
    fits = any(value == choice and type(value) is type(choice) for choice in choices)
    return _expect(fits, value, path, f"one of {', '.join(map(repr, choices))}", problems, guess)


def _read_tuple(kind: Any, value: object, path: str, problems: list[str]) -> object:
    if not isinstance(value, list | tuple):
        return _expect(False, value, path, "a list", problems)
    return tuple(_read(kind, item, f"{path}[{index}]", problems) for index, item in enumerate(value))


def _read_mapping(kind: Any, value: object, path: str, problems: list[str]) -> object:
    if not isinstance(value, Mapping):
        return _expect(False, value, path, "a table", problems)
    return {str(key): _read(kind, item, _join(path, str(key)), problems) for key, item in value.items()}


def _read_scalar(kind: Any, value: object, path: str, problems: list[str]) -> object:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        is_near = abs(value) <= _LARGEST
        return _expect(is_near, float(value) if is_near else value, path, "a smaller number", problems)
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    return _expect(fits, value, path, f"{_A[kind]}", problems)


_LARGEST = 10**300
_A = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _expect(fits: bool, value: object, path: str, wanted: str, problems: list[str], guess: str = "") -> object:
    if not fits:
        problems.append(f"{path or 'the document'} must be {wanted}, not {value!r:.60}{guess}")
    return value


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
