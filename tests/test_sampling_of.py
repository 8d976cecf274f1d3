from __future__ import annotations

import json
from pathlib import Path

import pytest

from kanjiprep.publishing import sampling_of
from kanjiprep.publishing.sampling_of import Usual
from kanjiprep.publishing.tuned import Tuned
from kanjiprep.training import presets
from kanjiprep.training.run_spec import Validation
from tests import run_folders


def test_models_of_stability_have_its_own_settings() -> None:
    assert sampling_of.usual("sd3", "large") == Usual(1024, 40, 4.5)
    assert sampling_of.usual("sd3", "medium") == Usual(1024, 50, 5.0)
    assert sampling_of.usual("sd1x", "1.5") == Usual(512, 50, 7.5)


@pytest.mark.parametrize("flavour", ["", "tiny"])
def test_a_flavour_that_is_not_known_has_those_of_its_family(flavour: str) -> None:
    assert sampling_of.usual("sd3", flavour) == Usual(1024, 40, 4.5)
    assert sampling_of.usual("sd1x", flavour) == Usual(512, 50, 7.5)


def test_a_run_has_a_seed_of_its_own() -> None:
    given = ("lora", Path("a"), "a", None, "given", "sd3", "large", "", None)
    assert sampling_of.seed(Tuned(*given)) == 42  # type: ignore[arg-type]
    assert sampling_of.seed(Tuned(*given, Validation(seed=7))) == 7  # type: ignore[arg-type]


@pytest.mark.parametrize(("told", "shift"), [(2, 2.0), (True, 1.25), ("3", 1.25), (None, 1.25)])
def test_the_shift_is_what_the_trainer_was_told_else_what_was_asked_for(
    told: object, shift: float, tmp_path: Path
) -> None:
    run = run_folders.trained(tmp_path, preset=presets.load("tiny-cpu", ("training.flow_shift=1.25",)))
    config = run / "config" / "config.json"
    assert sampling_of.validation_shift(run) == 1.25
    config.write_text(json.dumps({**json.loads(config.read_text()), "flow_schedule_shift": told}))
    assert sampling_of.validation_shift(run) == shift
