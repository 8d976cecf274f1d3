"""After a run under coverage: every ``raise`` of the package was reached by a test, or it is named here."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import coverage

PACKAGE = Path(__file__).parent.parent / "kanjiprep"


def unreached(data: coverage.CoverageData) -> list[str]:
    missing = []
    for path in sorted(PACKAGE.rglob("*.py")):
        lines = set(data.lines(str(path)) or ())
        raises = [node.lineno for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Raise)]
        missing += [f"{path.relative_to(PACKAGE.parent)}:{line}" for line in raises if line not in lines]
    return missing


def main() -> int:
    data = coverage.CoverageData()
    data.read()
    missing = unreached(data)
    print(*(f"{place}: no test reaches this raise" for place in missing), sep="\n", end="\n" if missing else "")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
