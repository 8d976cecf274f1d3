from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanjiprep.errors import TrainerError
from kanjiprep.evaluation.weights import drift, norm_cache
from kanjiprep.evaluation.weights.drift import points
from tests.lora_files import named, tensor, weights, write

NAME = "pytorch_lora_weights.safetensors"
KINDS = ("to_q", "to_k", "to_v", "to_out.0")
MODULES = tuple(f"transformer_blocks.{block}.attn.{kind}" for block in range(8) for kind in KINDS)
HIT = "transformer_blocks.3.attn.to_v"
Files = list[tuple[int, Path]]


def save(folder: Path, step: int, size: float, factors: dict[str, float] | None = None, **shape: Any) -> Path:
    """The adapter of a checkpoint, as large as is said, some modules by factors larger."""
    path = folder / f"checkpoint-{step}" / NAME
    path.parent.mkdir(exist_ok=True)
    pairs = weights(MODULES, **{"rank": 2, "width": 4, **shape})
    known = factors or {}
    with np.errstate(invalid="ignore"):  # of nothing times infinity
        sized = {name: (down, up * np.float32(size * known.get(name, 1))) for name, (down, up) in pairs.items()}
    return write(path, named(sized, "diffusers-peft", dtype="F32"))


def run(folder: Path, sizes: Sequence[float]) -> Files:
    return [(400 * index, save(folder, 400 * index, size)) for index, size in enumerate(sizes, 1)]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A sound run of six checkpoints."""
    return run(tmp_path, [1, 1.8, 2.4, 2.8, 3, 3.1])


def faults(files: Files) -> dict[int, str]:
    return {point.step: point.fault for point in points(files, "all") if point.fault}


def test_a_sound_run_has_norms_and_no_fault(files: Files) -> None:
    found = points(files, "all")
    assert [point.step for point in found] == [step for step, _ in files]
    assert not any(point.fault for point in found)
    assert {point.modules for point in found} == {len(MODULES)}
    assert (found[0].jump, found[0].module) == (1, "")
    assert found[1].jump == pytest.approx(1.8)
    products = [up @ down for down, up in weights(MODULES, rank=2, width=4).values()]
    assert found[0].frobenius == pytest.approx(math.sqrt(sum(float((one**2).sum()) for one in products)))
    assert found[0].spectral == pytest.approx(max(float(np.linalg.norm(one, 2)) for one in products))
    assert found[3].spectral == pytest.approx(2.8 * found[0].spectral)


def test_a_jump_is_told_with_its_module(tmp_path: Path, files: Files) -> None:
    save(tmp_path, 2000, 3, {HIT: 4, MODULES[1]: 3.5})
    found = {point.step: point for point in points(files, "all")}
    assert found[2000].module == HIT
    assert found[2000].jump == pytest.approx(4 * 3 / 2.8)
    assert found[2000].fault == (
        f"the norm of {HIT} jumped to 4.29 times since step 1,600, and 1 more of its modules; "
        "the median module's to 1.07 times"
    )
    assert not found[2400].fault


def test_a_jump_of_one_module_that_goes_flags_until_its_return(tmp_path: Path, files: Files) -> None:
    for step in (1200, 1600):
        save(tmp_path, step, 2.5, {HIT: 20})
    said = faults(files)
    assert said.keys() == {1200, 1600}
    assert said[1200].startswith(f"the norm of {HIT} jumped to 27.8 times since step 800; the median module's")
    assert said[1600] == "its weights are not yet back from the jump at step 1,200"


def test_no_effort_looks_at_nothing(tmp_path: Path) -> None:
    assert points([(400, tmp_path / "nothing")], "off") == ()
    assert points([], "all") == ()


def test_some_effort_looks_at_some_modules_the_same_in_every_file(files: Files) -> None:
    found = points(files, "some")
    assert {point.modules for point in found} == {drift.SOME}
    assert found == points(files, "some")
    assert found[1].jump == pytest.approx(1.8)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_numbers_that_are_none_are_an_explosion(tmp_path: Path, files: Files, wrong: float) -> None:
    save(tmp_path, 1600, 2.8, {HIT: wrong, MODULES[0]: wrong})
    found = {point.step: point for point in points(files, "all")}
    assert found[1600].fault == f"NaN or infinity in {MODULES[0]}, and 1 more of its modules"
    assert all(map(math.isnan, (found[1600].frobenius, found[1600].spectral, found[1600].jump)))
    assert found[2000].jump == pytest.approx(3 / 2.4)
    assert not found[2000].fault


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "cannot be read: no such file or directory"),
        (b"", "no .safetensors file: it has 0 bytes"),
        (b"torn", "no .safetensors file: its data"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_stepped_over(files: Files, data: bytes | None, said: str) -> None:
    path = files[2][1]
    whole = path.read_bytes()
    path.unlink()
    if data is not None:
        path.write_bytes(whole[:-100] if data else data)
    found = points(files, "all")
    assert found[2].fault.startswith("its adapter cannot be judged: ")
    assert said.partition(":")[0] in found[2].fault
    assert (found[2].modules, found[2].module) == (0, "")
    assert all(map(math.isnan, (found[2].frobenius, found[2].spectral, found[2].jump)))
    assert found[3].jump == pytest.approx(2.8 / 1.8)
    assert not found[3].fault


def test_a_file_of_another_type_of_numbers_is_told(files: Files) -> None:
    modules = weights(MODULES, rank=2, width=4)
    tensors = named(modules, "diffusers-peft", dtype="F32")
    name = next(iter(tensors))
    _, shape, data = tensors[name]
    write(files[1][1], {**tensors, name: ("I32", shape, data)})
    assert "is of type I32" in points(files, "all")[1].fault


def test_a_run_none_of_whose_files_can_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="a: cannot be read: no such file"):
        points([(400, tmp_path / "a"), (800, tmp_path / "b")], "all")
    tensors = named(weights(MODULES[:1], rank=2, width=4), "diffusers-peft", dtype="F32")
    whole = {name: ("I32", shape, data) for name, (_, shape, data) in tensors.items()}
    with pytest.raises(TrainerError, match="is of type I32"):
        points([(400, write(tmp_path / "a", whole))], "all")


def test_files_of_several_runs_are_refused(tmp_path: Path, files: Files) -> None:
    save(tmp_path, 1200, 2.4, rank=3)
    with pytest.raises(
        TrainerError, match="at rank 2, and step 1,200 does not; give checkpoints of one run"
    ) as caught:
        points(files, "all")
    assert "\n" not in str(caught.value)


def test_progress_hears_of_every_file(files: Files) -> None:
    heard: list[tuple[str, int, int | None]] = []
    points(files, "some", lambda *said: heard.append(said))
    assert heard == [("weights", done, 6) for done in range(7)]


def spoil(path: Path) -> None:
    """Make a file another without changing what its stamp tells."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-400:] = bytes(400)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_the_cache_knows_is_not_read_again(tmp_path: Path, files: Files) -> None:
    cache = tmp_path / "report" / "norms.json"
    first = points(files, "all", cache=cache)
    spoil(files[2][1])
    assert points(files, "all", cache=cache) == first
    assert points(files, "all") != first


def test_what_was_looked_at_wholly_is_known_in_part(tmp_path: Path, files: Files) -> None:
    cache = tmp_path / "norms.json"
    points(files, "all", cache=cache)
    wanted = points(files, "some")
    for _, path in files:
        spoil(path)
    assert points(files, "some", cache=cache) == wanted


def test_what_was_looked_at_in_part_is_not_known_wholly(tmp_path: Path, files: Files) -> None:
    cache = tmp_path / "norms.json"
    points(files, "some", cache=cache)
    assert points(files, "all", cache=cache) == points(files, "all")


def test_a_changed_file_is_read_anew_and_kept_once(tmp_path: Path, files: Files) -> None:
    cache = tmp_path / "norms.json"
    points(files, "all", cache=cache)
    save(tmp_path, 1200, 2.4, {HIT: 9})
    os.utime(files[2][1], ns=(1, 1))
    assert points(files, "all", cache=cache)[2].fault
    assert len(norm_cache.read(cache)) == len(files)


@pytest.mark.parametrize("text", ["", "{", '{"version": 1, "files": [{}]}'])
def test_a_damaged_cache_is_ignored_and_written_anew(tmp_path: Path, files: Files, text: str) -> None:
    cache = tmp_path / "norms.json"
    cache.write_text(text)
    wanted = points(files, "all")
    assert points(files, "all", cache=cache) == wanted
    assert len(norm_cache.read(cache)) == len(files)


def test_numbers_that_are_none_come_out_of_the_cache_as_they_went_in(tmp_path: Path, files: Files) -> None:
    cache = tmp_path / "norms.json"
    save(tmp_path, 1600, 2.8, {HIT: np.nan})
    assert [repr(points(files, "all", cache=cache)) for _ in range(2)] == [repr(points(files, "all"))] * 2


def test_an_alpha_that_is_no_number_is_an_explosion(tmp_path: Path) -> None:
    tensors = named(weights(MODULES, rank=2, width=4), "no prefix", alpha=2)
    good = write(tmp_path / "a", tensors)
    bad = write(tmp_path / "b", {**tensors, f"{HIT}.alpha": tensor(np.nan, "F32")})
    assert points([(400, good), (800, bad)], "all")[1].fault == f"NaN or infinity in {HIT}"
