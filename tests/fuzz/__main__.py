"""Fuzz all readers for a while: ``python -m tests.fuzz --seconds 60``; see --help."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import platformdirs

from tests.fuzz import session
from tests.fuzz.judge import Crash, tried
from tests.fuzz.session import Told
from tests.fuzz.target import Target


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 1 if anything crashed."""
    asked = _parser().parse_args(words)
    atheris = None if asked.dice else session.load_atheris()
    targets = _chosen(session.instrumented(atheris, _targets), asked.only)
    if asked.replay is not None:
        if len(targets) != 1:
            sys.exit("--replay needs the one target that --only names")
        return _replay(targets[0], asked.replay)
    share_s = asked.seconds / len(targets)
    told: list[Told] = []
    for target in targets:
        told.append(session.run(target, share_s, asked.corpus / target.name, atheris))
        for crash in told[-1].crashes:
            _tell(target, crash, asked.corpus / "crashes")
    engine = "dice" if atheris is None else "atheris"
    print(_table(told, engine))
    print(json.dumps(_document(told, engine)))
    return 1 if any(one.crashes for one in told) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz every reader of a file.")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together; 3600 for a night")
    parser.add_argument("--only", action="append", metavar="NAME", help="this target; may be given several times")
    home = platformdirs.user_cache_path("kanjiprep") / "fuzz"
    parser.add_argument("--corpus", type=Path, default=home, help="folder of inputs that grows from time to time")
    parser.add_argument("--dice", action="store_true", help="our own random changes, even where atheris is installed")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="give this input to the target of --only")
    return parser


def _targets() -> tuple[Target, ...]:
    from tests.fuzz.targets import TARGETS

    return TARGETS


def _chosen(targets: Sequence[Target], names: Sequence[str] | None) -> list[Target]:
    known = {target.name: target for target in targets}
    unknown = [name for name in names or () if name not in known]
    if unknown:
        sys.exit(f"no target {unknown[0]!r}; there are {', '.join(known)}")
    return [known[name] for name in names] if names else list(targets)


def _replay(target: Target, path: Path) -> int:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        outcome = tried(target.make(Path(place)), target.allowed, path.read_bytes())
    if outcome.crash is None:
        print(f"{target.name} bears it: {outcome.place or 'read'}")
        return 0
    print(outcome.crash.trace, outcome.crash.what, sep="\n")
    return 1


def _tell(target: Target, crash: Crash, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target.name}-{crash.digest}"
    path.write_bytes(crash.data)
    path.with_suffix(".txt").write_text(f"{crash.what}\n\n{crash.trace}", "utf-8", "backslashreplace")
    print(f"    CRASH {crash.place}: {crash.what.encode('ascii', 'backslashreplace').decode()}")
    print(f"    again with: python -m tests.fuzz --only {target.name} --replay {path}", flush=True)


def _row(one: Told) -> str:
    coverage = "" if one.coverage is None else f"{one.coverage:,}"
    return (
        f"{one.target:<16}{one.inputs:>12,}{one.rate:>12,.0f}{coverage:>10}"
        f"{one.slowest_s * 1000:>12,.0f}{len(one.crashes):>9}"
    )


def _table(told: Sequence[Told], engine: str) -> str:
    heads = ("inputs", "a second", "coverage", "slowest ms", "crashes")
    head = f"{'target':<16}" + "".join(
        f"{name:>{width}}" for name, width in zip(heads, (12, 12, 10, 12, 9), strict=True)
    )
    inputs, seconds = sum(one.inputs for one in told), sum(one.seconds for one in told)
    crashes = sum(len(one.crashes) for one in told)
    whole = f"{inputs:,} inputs in {seconds:.0f} s by {engine}, {crashes} crashes"
    return "\n".join(("", head, *map(_row, told), whole))


def _document(told: Sequence[Told], engine: str) -> dict[str, Any]:
    return {
        "engine": engine,
        "python": platform.python_version(),
        "inputs": sum(one.inputs for one in told),
        "seconds": round(sum(one.seconds for one in told), 1),
        "crashes": sum(len(one.crashes) for one in told),
        "targets": [
            {
                "target": one.target,
                "inputs": one.inputs,
                "seconds": round(one.seconds, 2),
                "coverage": one.coverage,
                "slowest_s": round(one.slowest_s, 4),
                "crashes": [
                    {"what": crash.what, "place": crash.place, "input": crash.digest} for crash in one.crashes
                ],
            }
            for one in told
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
