"""XML from strangers: no entities, no network, no unbounded size or depth."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Final, TypedDict

from lxml import etree

from kanjiprep.errors import InputError

MAX_DEPTH: Final = 64
"""Deepest nesting that is read. KanjiVG 20260714 reaches 13."""

_DECLARED_ENCODING = re.compile(rb"""^(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding\s*=\s*["']([^"']+)["']""")
_READABLE_ENCODINGS = {b"utf-8", b"utf8", b"us-ascii", b"ascii"}


class _Safety(TypedDict):
    resolve_entities: bool
    no_network: bool
    load_dtd: bool
    huge_tree: bool
    remove_comments: bool
    remove_pis: bool


# What lxml would do by default is written out where it keeps strangers out.
_SAFE: Final = _Safety(
    resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
)
_PARSER: Final[etree.XMLParser] = etree.XMLParser(**_SAFE)


def parse(data: bytes, where: str) -> etree._Element:
    """The root element of the document in ``data``.

    Raises:
        InputError: If it is empty, not UTF-8, declares entities, nests too deeply or is malformed.
    """
    _refuse_dangerous(data, where)
    try:
        root: etree._Element = etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as error:
        raise _malformed(error, where) from error
    refuse_deep(root, where)
    return root


def iterate(data: bytes, where: str, root_tag: str, tags: tuple[str, ...]) -> Iterator[etree._Element]:
    """Each child of the root with one of ``tags``, whole, dropped from memory after its turn.

    Its depth is the parser's limit; who recurses into it calls ``refuse_deep`` first.

    Raises:
        InputError: As ``parse`` does, and if the root is not ``root_tag``.
    """
    _refuse_dangerous(data, where)
    events = etree.iterparse(io.BytesIO(data), tag=tags, **_SAFE)
    try:
        for _, element in events:
            parent = element.getparent()
            if parent is None or parent.getparent() is not None or parent.tag != root_tag:
                continue
            yield element
            element.clear()
            while element.getprevious() is not None:
                del parent[0]
    except etree.XMLSyntaxError as error:
        raise _malformed(error, where) from error
    root = events.root
    if root is not None and root.tag != root_tag:
        raise InputError(
            f"the root element is <{root.tag!s}>, not <{root_tag}>",
            f"{where}:{root.sourceline}",
            "give the right file",
        )


def _refuse_dangerous(data: bytes, where: str) -> None:
    """Refuse what must not even reach the parser.

    Entities are never declared by KANJIDIC2 or KanjiVG, so any declaration is refused, which leaves
    nothing to expand. The look-up is on bytes, so encodings in which ``<!ENTITY`` has other bytes
    are refused too.

    Raises:
        InputError: If ``data`` is empty, not declared as UTF-8, or declares an entity.
    """
    if not data.strip():
        raise InputError("the file is empty", where, "fetch it again")
    declared = _DECLARED_ENCODING.match(data[:200])
    if data[:4].count(0) or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError("not UTF-8 text", where, "give the XML in UTF-8, plain or gzipped")
    if declared and declared[1].lower() not in _READABLE_ENCODINGS:
        name = declared[1].decode("ascii", "replace")
        raise InputError(f"encoding {name} is not read", where, "convert it to UTF-8")
    if (start := data.find(b"<!ENTITY")) >= 0:
        line = data.count(b"\n", 0, start) + 1
        raise InputError(
            "declares an XML entity, which could expand without end or read other files",
            f"{where}:{line}",
            "use the unmodified upstream file",
        )


def refuse_deep(root: etree._Element, where: str) -> None:
    """Refuse a tree that nests deeper than ``MAX_DEPTH``, without recursion.

    Raises:
        InputError: Naming the line at which it goes too deep.
    """
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return
    raise InputError(
        f"elements nest deeper than {MAX_DEPTH}", f"{where}:{level[0].sourceline}", "use the unmodified upstream file"
    )


def _malformed(error: etree.XMLSyntaxError, where: str) -> InputError:
    """The parser's complaint as one line with file and line."""
    message = (error.msg or "no message").split(", line ")[0]
    return InputError(f"not well-formed XML: {message}", f"{where}:{error.lineno or 1}", "fetch it again")
