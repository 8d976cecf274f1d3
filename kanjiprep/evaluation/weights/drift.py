"""How far an adapter has moved at each checkpoint, and where it exploded: a second witness beside the pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np

from kanjiprep.errors import TrainerError
from kanjiprep.evaluation.judged import WeightPoint
from kanjiprep.evaluation.weights import adapters, jumps, norm_cache
from kanjiprep.evaluation.weights.adapters import Adapter
from kanjiprep.evaluation.weights.jumps import Sign
from kanjiprep.evaluation.weights.norms import Norms
from kanjiprep.progress import Progress, silent

Effort = Literal["off", "some", "all"]
STAGE: Final = "weights"
SOME: Final = 24
"""Modules that ``some`` looks at: in Stable Diffusion 3.5 Large, six of each kind in 24 of the 38 blocks.

A rank 768 adapter of it (bf16, 1.14 GB, 152 modules) takes 3.0 s of one core with ``some``, 17.1 s with ``all`` and
142 MiB; of rank 64, 0.05 s and 0.3 s. The file was in the page cache. BLAS uses more cores where it may; where other
work keeps these busy, its threads wait for each other, and it takes two to six times as long as with one.

Source: ``OPENBLAS_NUM_THREADS=1 python benchmarks/bench_weights.py --file --rank 768``, CPU seconds.
"""

Looked = Mapping[str, Norms] | TrainerError
"""Norms by module, or why there are none."""


def points(
    files: Sequence[tuple[int, Path]], effort: Effort, progress: Progress = silent, cache: Path | None = None
) -> tuple[WeightPoint, ...]:
    """One a file, in order; none with the effort ``off``.

    A file that cannot be read has NaN for its numbers and a fault that says why; so has one with numbers that are not
    finite. The next file is compared with the one before. What the cache knows is not read again, but for headers.

    Args:
        files: Steps, ascending, with their adapters.
        effort: To look at no module, at ``SOME``, spread over depth and kinds, or at all.
        progress: Hears of files.
        cache: A JSON file to keep norms in; it need not exist. None to keep none.

    Raises:
        TrainerError: If no file can be read, if two adapt other modules or at other ranks, or if the cache cannot
            be written.
    """
    if effort == "off" or not files:
        return ()
    opened = [_opened(step, path) for step, path in files]
    readable = [one for one in opened if isinstance(one, Adapter)]
    _refuse_if_none(opened)
    adapters.refuse_strangers(readable)
    names = adapters.ordered(readable[0].pairs)
    modules = names if effort == "all" else adapters.spread(names, SOME)
    looked = tuple(_looked(opened, modules, progress, cache))
    _refuse_if_none(looked)
    return _told([step for step, _ in files], modules, looked)


def _opened(step: int, path: Path) -> Adapter | TrainerError:
    try:
        return adapters.load(step, path)
    except TrainerError as error:
        return error


def _refuse_if_none(found: Sequence[object]) -> None:
    errors = [one for one in found if isinstance(one, TrainerError)]
    if len(errors) == len(found):
        raise errors[0]


def _looked(
    opened: Sequence[Adapter | TrainerError], modules: Sequence[str], progress: Progress, cache: Path | None
) -> Iterator[Looked]:
    """The norms of each file, out of the cache where it has all of them."""
    known = norm_cache.read(cache) if cache else {}
    for done, one in enumerate(opened):
        progress(STAGE, done, len(opened))
        if isinstance(one, TrainerError):
            yield one
        elif known.get(one.stamp, {}).keys() >= set(modules):
            yield known[one.stamp]
        else:
            found = _read(one, modules)
            if cache and not isinstance(found, TrainerError):
                known = {stamp: norms for stamp, norms in known.items() if stamp.name != one.stamp.name}
                known[one.stamp] = found
                norm_cache.write(cache, known)
            yield found
    progress(STAGE, len(opened), len(opened))


def _read(adapter: Adapter, modules: Sequence[str]) -> Looked:
    try:
        return adapters.read_norms(adapter, modules)
    except TrainerError as error:
        return error


def _told(steps: Sequence[int], modules: Sequence[str], looked: Sequence[Looked]) -> tuple[WeightPoint, ...]:
    places = [place for place, one in enumerate(looked) if not isinstance(one, TrainerError)]
    rows = [[norms[module] for module in modules] for norms in looked if not isinstance(norms, TrainerError)]
    known = [steps[place] for place in places]
    signs = jumps.signs(known, np.array([[one.spectral for one in row] for row in rows]))
    found = {
        place: _point(steps[place], row, modules, sign, known)
        for place, row, sign in zip(places, rows, signs, strict=True)
    }
    return tuple(
        _unread(steps[place], one) if isinstance(one, TrainerError) else found[place]
        for place, one in enumerate(looked)
    )


def _unread(step: int, error: TrainerError) -> WeightPoint:
    return WeightPoint(step, math.nan, math.nan, math.nan, "", 0, f"its adapter cannot be judged: {error.what}")


def _point(step: int, row: Sequence[Norms], modules: Sequence[str], sign: Sign, steps: Sequence[int]) -> WeightPoint:
    frobenius = math.hypot(*(one.frobenius for one in row))
    spectral = math.nan if sign.kind == "not finite" else max(one.spectral for one in row)
    module = "" if sign.module is None else modules[sign.module]
    fault = _fault(sign, module, 0 if sign.since is None else steps[sign.since])
    return WeightPoint(step, frobenius, spectral, sign.growth, module, len(row), fault)


def _fault(sign: Sign, module: str, since: int) -> str:
    more = sign.modules - 1
    others = f", and {more:,} more of its modules" if more > 0 else ""
    match sign.kind:
        case "sound":
            return ""
        case "not finite":
            return f"NaN or infinity in {module}{others}"
        case "not back":
            return f"its weights are not yet back from the jump at step {since:,}"
        case "jump":
            times = f"{sign.growth:.3g} times since step {since:,}"
            return f"the norm of {module} jumped to {times}{others}; the median module's to {sign.common:.3g} times"
