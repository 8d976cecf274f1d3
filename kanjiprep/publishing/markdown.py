"""Texts of others made harmless in Markdown, and the templates of cards that use it."""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from kanjiprep.resources import environment, shipped

if TYPE_CHECKING:
    import jinja2

_SPECIAL = re.compile(r"[\\`*_\[\]|~$#]")
_ITEM = re.compile(r"^([0-9]{0,9})([-+=.)])(?=[ =-]|$)")
"""What would begin a list, or make a heading of the line above."""
_ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what is read, and can show another text than there is."""
_FENCE: Final = 3


def prose(text: str) -> str:
    """``text`` on one line, for a paragraph or the cell of a table: it says what it says, and does nothing."""
    return _ITEM.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", _line(text).translate(_ENTITIES)))


def code(text: str) -> str:
    """``text`` on one line in the type of code, for a paragraph or the cell of a table."""
    line = _line(text)
    return f"<code>{prose(text)}</code>" if {"`", "|"} & set(line) or not line else f"`{line}`"


def attribute(text: str) -> str:
    """``text`` for a quoted attribute in HTML, in the cell of a table too."""
    return _line(text).translate(_ENTITIES).replace('"', "&quot;").replace("|", "&#124;")


def path(text: str) -> str:
    """``text`` for the path of an address, inside a repository or on the Hub."""
    return quote(text)


def fence(text: str, language: str = "") -> str:
    """``text`` in a block of code that nothing in it can end."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    ticks = "`" * max(_FENCE, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def literal(text: str) -> str:
    """``text`` as a string of Python."""
    return json.dumps(text, ensure_ascii=False)


def number(value: float) -> str:
    """A number as people read it: 6,414, 0.1 or 1e-06."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def render(template: str, **values: object) -> str:
    """The shipped template of that name with ``values`` in it."""
    source = (shipped("templates") / template).read_text("utf-8")
    return _environment().from_string(source).render(values).strip() + "\n"


@functools.cache
def _environment() -> jinja2.Environment:
    closed = environment().overlay()
    ours = {one.__name__: one for one in (prose, code, attribute, path, fence, literal, number)}
    closed.filters = {**closed.filters, **ours}
    return closed


def _line(text: str) -> str:
    shown = (one for one in text if one.isspace() or (unicodedata.category(one) != "Cc" and one not in _TURNING))
    return " ".join("".join(shown).split())
