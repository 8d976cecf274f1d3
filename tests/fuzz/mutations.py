"""Small harm done to a good input: to its bytes, and to the tree that is in it if it is JSON."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

Form = Literal["bytes", "json", "lines"]
"""``lines`` are of JSON, one a line."""

MOST_BYTES: Final = 32_768
_HUGE: Final = 10**400
_ODD_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**16, _HUGE, -_HUGE, 0.5, -0.0, 1e-320, 1e308, -1e308),
    *(float("inf"), float("-inf"), float("nan"), "", " ", "a", "x" * 300, "\0", "\x1b[31m", "1\n2", "\u2028"),
    *("\ud800", "²", "９", "../../x", "/", ".", "~", "1e400", "nan", "0001-01-01T00:00:00+23:59"),
    *("9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00Z", "2026-01-01", [], {}, [[]], [None], {"": {}}, [{}]),
)
_ODD_BYTES: Final = (
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\r\n", b"\r", b"\n\n", b"\t", b"\x1b[0m", b"\xed\xa0\x80"),
    *(b"<", b">", b"&", b"]]>", b"<![CDATA[", b"<!ENTITY a 'b'>", b"<!-- ", b"<?x ?>", b"&#x10ffff;", b"&#0;"),
    *(b"1" * 5000, b"-1", b"1e400", b"1e-400", b"99999999999999999999", b"nan", b"inf", b"0x1", b"+", b"-", b"."),
    *(b"{", b"}", b"[", b"]", b"[" * 2000, b'"', b"'", b'"""', b"\\u0000", b"\\ud800", b"\\", b":", b",", b"="),
    *(b"---\n", b"&a", b"*a", b"!!x", b"%", b"#", "²".encode(), "９".encode(), "\u2028".encode(), "𠂤".encode()),
)
_WORD: Final = re.compile(rb"[\w.:-]{2,40}")


def words(seeds: Sequence[bytes]) -> tuple[bytes, ...]:
    """The words of good inputs, which may stand in each other's place."""
    return tuple(sorted({word for seed in seeds for word in _WORD.findall(seed[:20_000])})) + _ODD_BYTES


def mutated(data: bytes, others: Sequence[bytes], tokens: Sequence[bytes], form: Form, draw: random.Random) -> bytes:
    """``data`` with one to four changes; of JSON mostly such that it stays JSON.

    Args:
        data: A good input, or one that was.
        others: Of which pieces may come.
        tokens: Words to put in.
        form: What ``data`` is.
        draw: Decides.
    """
    for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 4))):
        if form != "bytes" and draw.random() < 0.8:
            data = _lines_mutated(data, draw) if form == "lines" else _tree_mutated(data, draw)
        else:
            data = draw.choice(_CHANGES)(data, others, tokens, draw)
    return data[:MOST_BYTES]


def _tree_mutated(data: bytes, draw: random.Random) -> bytes:
    try:
        tree = json.loads(data)
        return json.dumps(_changed(tree, draw), ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return _cut(data, (), (), draw)


def _lines_mutated(data: bytes, draw: random.Random) -> bytes:
    lines = data.split(b"\n")
    at = draw.randrange(len(lines))
    what = draw.random()
    if what < 0.6:
        lines[at] = _tree_mutated(lines[at], draw)
    elif what < 0.75:
        lines.insert(draw.randrange(len(lines) + 1), lines[at])
    elif what < 0.9:
        other = draw.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    else:
        del lines[at]
    return b"\n".join(lines)


def _changed(tree: Any, draw: random.Random) -> Any:
    """``tree`` with one node of it changed."""
    places = list(_places(tree))
    if not places or draw.random() < 0.02:
        return draw.choice(_ODD_VALUES)
    inside, key = draw.choice(places)
    what = draw.random()
    if what < 0.55:
        inside[key] = draw.choice(_ODD_VALUES)
    elif what < 0.7:
        other, other_key = draw.choice(places)
        inside[key] = json.loads(json.dumps(other[other_key]))
    elif what < 0.8:
        del inside[key]
    elif what < 0.9 and isinstance(inside, dict):
        inside[draw.choice([one for one in _ODD_VALUES if isinstance(one, str)])] = inside.pop(key)
    else:
        inside[key] = [inside[key]] * draw.choice((1, 2, 40))
    return tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every table or list in ``tree``, with each of its keys."""
    found: list[tuple[Any, Any]] = []
    level = [tree]
    while level:
        one = level.pop()
        keys = list(one) if isinstance(one, dict) else list(range(len(one))) if isinstance(one, list) else []
        found += [(one, key) for key in keys]
        level += [one[key] for key in keys]
    return found


Change = Callable[[bytes, Sequence[bytes], Sequence[bytes], random.Random], bytes]


def _span(data: bytes, draw: random.Random) -> tuple[int, int]:
    start = draw.randrange(len(data) + 1)
    return start, min(len(data), start + draw.choice((0, 1, 1, 2, 4, 16, 64, 1024)))


def _flip(data: bytes, _: Sequence[bytes], __: Sequence[bytes], draw: random.Random) -> bytes:
    if not data:
        return b"\0"
    at = draw.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1 :]


def _cut(data: bytes, _: Sequence[bytes], __: Sequence[bytes], draw: random.Random) -> bytes:
    start, stop = _span(data, draw)
    return data[:start] + data[stop:]


def _repeat(data: bytes, _: Sequence[bytes], __: Sequence[bytes], draw: random.Random) -> bytes:
    start, stop = _span(data, draw)
    return data[:start] + data[start:stop] * draw.choice((2, 3, 100)) + data[stop:]


def _put(data: bytes, _: Sequence[bytes], tokens: Sequence[bytes], draw: random.Random) -> bytes:
    start, stop = _span(data, draw)
    return data[:start] + draw.choice(tokens or _ODD_BYTES) + data[draw.choice((start, stop)) :]


def _swap_word(data: bytes, _: Sequence[bytes], tokens: Sequence[bytes], draw: random.Random) -> bytes:
    found = [match.span() for match in _WORD.finditer(data[:4096])]
    if not found:
        return data
    start, stop = draw.choice(found)
    return data[:start] + draw.choice(tokens or _ODD_BYTES) + data[stop:]


def _splice(data: bytes, others: Sequence[bytes], _: Sequence[bytes], draw: random.Random) -> bytes:
    other = draw.choice(others) if others else data
    start, stop = _span(other, draw)
    at = draw.randrange(len(data) + 1)
    return data[:at] + (other[start:stop] + data[at:] if draw.random() < 0.5 else other[start:])


_CHANGES: Final[tuple[Change, ...]] = (_flip, _cut, _repeat, _put, _put, _swap_word, _swap_word, _splice)
