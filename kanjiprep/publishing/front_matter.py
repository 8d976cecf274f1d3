"""The YAML between two lines of --- at the start of a card: read safely, written back unharmed."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any, Final

import yaml

from kanjiprep.errors import KanjiprepError

MOST_BYTES: Final = 1_000_000
"""Of a card. Reading YAML of that size takes 2 seconds."""
_DEEPEST: Final = 40

_OPENING = re.compile(r"\s*---[ \t]*(?:\r?\n|\Z)")
_CLOSING = re.compile(r"^---[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,99}")
_NUMBER_ELSEWHERE = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+")
"""A number in YAML 1.2, which the Hub reads, though perhaps not in YAML 1.1, which Python reads: 1e3, 08."""
_BREAK_ELSEWHERE = re.compile("[\x85\u2028\u2029]")
"""The end of a line in YAML 1.1 only."""
_TAG: Final = "tag:yaml.org,2002:"


class Verbatim(str):
    """A bare word of YAML that is kept as it was written: 1.10, no, 2024-01-01.

    YAML would make a number, a truth or a date of it, and Python would write that in other words.
    """

    __slots__ = ()


def split(text: str, where: str, kind: type[KanjiprepError]) -> tuple[dict[str, Any], str]:
    """The front matter of a card and what follows it; without one, nothing and the whole text.

    Texts, lists, tables, whole numbers, ``true``, ``false`` and ``null`` become Python's; every other
    bare word stays ``Verbatim``.

    Args:
        text: The card. A byte order mark and Windows line ends are welcome.
        where: Its name in messages.
        kind: What is raised.

    Raises:
        KanjiprepError: Of ``kind``, if the card is too large or its front matter is not plain YAML: a
            table whose keys are texts and each there once, without tags, anchors and aliases.
    """
    text = text.removeprefix("\ufeff")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        raise kind(f"a card of {size:,} bytes; one may have {MOST_BYTES:,}", where, "shorten it")
    opening = _OPENING.match(text)
    if opening is None:
        return {}, text
    line = text.count("\n", 0, opening.end())
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        raise kind("front matter begins here and never ends", f"{where}:{max(line, 1)}", "end it with a line of ---")
    source = text[opening.end() : closing.start()].removesuffix("\n").removesuffix("\r")
    return _table(source, where, line, kind), text[closing.end() :]


def join(table: Mapping[str, Any], body: str) -> str:
    """A card of the front matter ``table`` and the text ``body``; an empty table is left out."""
    if not table:
        return body
    source = yaml.dump(
        dict(table),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=sys.maxsize,
    )
    gap = "\n" if _last(table).endswith("\n") else ""  # the Hub takes the last line end for a part of ---
    return f"---\n{source}{gap}---\n{body}"


def _last(value: Any) -> str:
    """The text that stands last in ``value``; empty if something else does."""
    while isinstance(value, Mapping | list) and value:
        value = list(value.values())[-1] if isinstance(value, Mapping) else value[-1]
    return value if isinstance(value, str) else ""


class _Loader(yaml.SafeLoader):
    """Refuses what a card needs not and what can do harm, before anything is made of it."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _problem("an anchor (&) or an alias (*), which a card may not have", event)
        if event.tag is not None:
            raise _problem("a tag (!), which a card may not have", event)
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _problem(f"lists or tables {self.depth} deep", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _problem(what: str, at: Any) -> yaml.MarkedYAMLError:
    """What is wrong with an event or a node."""
    return yaml.MarkedYAMLError(problem=what, problem_mark=at.start_mark)


def _table(source: str, where: str, line: int, kind: type[KanjiprepError]) -> dict[str, Any]:
    remedy = "mend the front matter by hand"
    try:
        node = _Loader(source).get_single_node()
        value = None if node is None else _value(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{where}:{line + 1 + (mark.line if mark else 0)}"
        raise kind(f"front matter that is not plain YAML: {_reason(error, source)}", at, remedy) from error
    except yaml.reader.ReaderError as error:
        at = f"{where}:{line + 1 + source.count(chr(10), 0, error.position)}"
        raise kind("front matter with a control character", at, remedy) from error
    if not isinstance(value, dict | None):
        raise kind("front matter that is no table of keys and values", f"{where}:{line + 1}", remedy)
    return value or {}


def _reason(error: yaml.MarkedYAMLError, source: str) -> str:
    mark = error.problem_mark
    if mark and source[mark.index : mark.index + 1] == "\t":
        return "a tab where only spaces may stand"
    return error.problem or error.context or "unreadable"


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(one) for one in node.value]
    return _scalar(node)


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag != f"{_TAG}str":
            raise _problem("a key that is no text; quote it", key)
        if key.value in table:
            raise _problem(f"the key {key.value[:60]!r} a second time", key)
        table[key.value] = _value(value)
    return table


def _scalar(node: Any) -> Any:
    text = node.value
    if node.style is not None:
        return text
    if node.tag == f"{_TAG}null":
        return None
    if text in ("true", "false"):
        return text == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    is_text = node.tag == f"{_TAG}str" and not _NUMBER_ELSEWHERE.fullmatch(text)
    return text if is_text else Verbatim(text)


class _Dumper(yaml.SafeDumper):
    """Writes texts so that YAML 1.1 and 1.2 read the same, and the same list twice without an alias."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if _BREAK_ELSEWHERE.search(text) or text.endswith("\n\n"):
        style = '"'
    elif "\n" in text:
        style = "|"
    elif _NUMBER_ELSEWHERE.fullmatch(text):
        style = "'"
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


def _verbatim_node(dumper: yaml.SafeDumper, text: Verbatim) -> yaml.ScalarNode:
    bare = str(text)
    tag = dumper.resolve(yaml.ScalarNode, bare, (True, False))  # type: ignore[no-untyped-call]
    return dumper.represent_scalar(tag, bare)


_Dumper.add_representer(str, _text_node)
_Dumper.add_representer(Verbatim, _verbatim_node)
