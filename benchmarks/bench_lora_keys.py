"""One adapter of a tiny SD3 in every style of names: how far diffusers is from the training side, before and after.

The training side is PEFT, with the same random matrices put into the same model. The table gives the largest
difference of the transformer's output: of the file as it is, and of what ``kanjiprep lora --fix`` makes of it, with
the effect of the adapter beside it. The last lines are one JSON document.

Usage: python benchmarks/bench_lora_keys.py [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests import lora_matrix
from tests.lora_matrix import Bench, Line

TYPES = (("F32", None), ("BF16", None), ("F32", "BF16"))
"""Of the file, and of the mended one where it is told to have another."""


def lines(bench: Bench, folder: Path | None) -> Iterator[tuple[str, Line]]:
    """Every style in every type."""
    for dtype, out in TYPES:
        for number, case in enumerate(lora_matrix.CASES):
            with _folder(folder, f"{number:02} {dtype} {out or dtype}") as place:
                yield f"{dtype} to {out or dtype}", lora_matrix.line(bench, case, dtype, place, out)


@contextmanager
def _folder(folder: Path | None, name: str) -> Iterator[Path]:
    if folder is None:
        with tempfile.TemporaryDirectory() as made:
            yield Path(made)
    else:
        (folder / name).mkdir(parents=True)
        yield folder / name


def row(types: str, line: Line) -> str:
    """Of the table."""
    before = "refused" if isinstance(line.before, str) else f"{line.before:.1e}"
    return f"| {line.name} | {types} | {before} | {line.after:.1e} | {line.effect:.2f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the files here")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    print("| names | numbers | as it is | mended | effect |\n| --- | --- | --- | --- | --- |")
    found = []
    for types, line in lines(Bench(), options.folder):
        print(row(types, line), flush=True)
        found.append({"numbers": types, **asdict(line)})
    most = max(float(str(one["after"])) for one in found)
    packages = {name: version(name) for name in ("diffusers", "peft", "torch")}
    print(json.dumps({"largest_after": most, "packages": packages, "lines": found}, ensure_ascii=False))


if __name__ == "__main__":
    main()
