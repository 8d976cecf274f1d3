"""Which kanji are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kanjiprep.dataset.kanjidic import JOUYOU_GRADES, KanjiEntry
from kanjiprep.errors import InputError, os_reason
from kanjiprep.paths import expanded


@dataclass(frozen=True, slots=True)
class Selection:
    """Conditions that all must hold; the default takes everything.

    Attributes:
        grades: KANJIDIC2 grades, any of them; empty for all.
        jlpt: Levels of the old test, any of them; empty for all.
        literals: The characters themselves, each once; empty for all.
        limit: How many at most, the first in the dictionary's order; None for all.
    """

    grades: tuple[int, ...] = ()
    jlpt: tuple[int, ...] = ()
    literals: str = ""
    limit: int | None = None

    def wants(self, entry: KanjiEntry) -> bool:
        """Whether ``entry`` meets every condition but the limit."""
        return (
            (not self.grades or entry.grade in self.grades)
            and (not self.jlpt or entry.jlpt in self.jlpt)
            and (not self.literals or entry.literal in self.literals)
        )


def grades(asked: tuple[int, ...], jouyou: bool) -> tuple[int, ...]:
    """The grades that ``--grade`` and ``--jouyou`` ask for together, sorted."""
    return tuple(sorted({*asked, *(JOUYOU_GRADES if jouyou else ())}))


def read_literals(path: Path) -> str:
    """The characters in a text file: all but white space and what follows ``#`` on a line, each once.

    Raises:
        InputError: If the file cannot be read as UTF-8 or holds no character.
    """
    try:
        lines = expanded(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", str(path), "save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"cannot be read: {os_reason(error)}", str(path), "check the path") from error
    found = dict.fromkeys("".join("".join(line.split("#")[0].split()) for line in lines))
    if not found:
        raise InputError("holds no character", str(path), "write the kanji you want, separated or not")
    return "".join(found)


def refuse_unknown(literals: str, entries: tuple[KanjiEntry, ...], where: str) -> None:
    """Refuse characters that the dictionary does not know.

    Raises:
        InputError: Naming the first ten.
    """
    known = {entry.literal for entry in entries}
    unknown = [literal for literal in literals if literal not in known]
    if unknown:
        shown = " ".join(unknown[:10]) + (" ..." if len(unknown) > 10 else "")  # noqa: PLR2004
        raise InputError(
            f"{len(unknown)} of {len(literals)} characters are not in KANJIDIC2: {shown}", where, "take them out"
        )
