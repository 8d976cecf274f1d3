from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from kanjiprep.evaluation import about
from kanjiprep.evaluation.judged import Cost, WeightPoint
from kanjiprep.training import presets
from kanjiprep.training.running import run_source
from tests.run_folders import prepared, write_environment
from tests.test_bands import BANDS

FREE = Cost(1.0, None, "", 2.0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return prepared(tmp_path, presets.load("tiny-cpu", ("validation.style=calligraphy",)))


def test_settings_are_flat_and_without_prose(run: Path) -> None:
    spec = run_source.spec(run)
    found = about.settings(spec)
    assert found["training.steps"] == str(spec.training.steps)
    assert found["lora.targets"] == ", ".join(spec.lora.targets)
    assert "optimizer.weight_decay" not in found
    assert not {"title", "why"} & found.keys()


def test_prompts_are_shown_in_their_style_and_known_without_it(run: Path) -> None:
    name, plain = next(iter(about.plain_prompts(run, run_source.spec(run)).items()))
    assert about.shown_prompts(run, run_source.spec(run))[name].startswith(
        "A minimal, black and white kanji character."
    )
    assert about.shown_prompts(run, run_source.spec(run))[name].endswith(plain)
    (run / "config" / "prompts.json").unlink()
    assert about.shown_prompts(run, run_source.spec(run))[name] == plain


def test_prompts_whose_files_are_elsewhere_are_not_known_without_their_style(run: Path) -> None:
    text = (run / "run.toml").read_text("utf-8")
    (run / "run.toml").write_text(text.replace('style = "calligraphy"', 'style = "/elsewhere/style.toml"'), "utf-8")
    assert about.plain_prompts(run, run_source.spec(run)) == {}


def test_the_dataset_is_told_in_short(run: Path) -> None:
    write_environment(run, hub_dataset="me/kanji", hub_revision="0123abc")
    found = about.dataset(run, run_source.environment(run))
    assert (found.pictures, found.digest, found.hub, found.style) == (12, "ab" * 32, "me/kanji@0123abc", "")
    assert found.caption == '"kanji" 0'
    write_environment(run)
    assert about.dataset(run, run_source.environment(run)).hub == ""


@pytest.mark.parametrize("certificate", [None, "{", "{}"])
def test_a_birth_certificate_that_cannot_be_read_leaves_the_style_out(
    run: Path, tmp_path: Path, certificate: str | None
) -> None:
    write_environment(run, dataset=str(tmp_path))
    if certificate is not None:
        (tmp_path / "build.json").write_text(certificate)
    assert about.dataset(run, run_source.environment(run)).style == ""


def test_every_number_says_where_it_is_from() -> None:
    told = {fact.what: fact.how for fact in about.facts(BANDS, FREE, ())}
    assert told["score, style, shape"] == "computed from the pictures by bands of 400 of the training, dataset digest"
    assert "dollars" not in told
    point = WeightPoint(4, 1.0, 1.0, 1.0, "", 24, "")
    more = {fact.what: fact.how for fact in about.facts(None, Cost(1, 2, "Lambda", None), (point,))}
    assert more["dollars"] == "computed: hours by the price of the machine (Lambda)"
    assert more["norms of the weights"] == "computed from 24 modules of each adapter"
    lost = WeightPoint(2, math.nan, math.nan, math.nan, "", 0, "its adapter cannot be judged")
    (told_,) = (one.how for one in about.facts(None, FREE, (lost, point)) if one.what == "norms of the weights")
    assert told_ == "computed from 24 modules of each adapter"
    assert "bands of the training pictures" in more["score, style, shape"]


def test_a_dataset_of_ours_is_told_with_its_style(run: Path, tmp_path: Path, request_of: object) -> None:
    from kanjiprep.dataset import build
    from kanjiprep.dataset.build import Place
    from kanjiprep.progress import silent

    assert callable(request_of)
    build.build(request_of("built"), Place({}, tmp_path / "cache"), silent)
    digest = json.loads((tmp_path / "built" / "build.json").read_text("utf-8"))["digest"]
    for known, style in (
        (digest, "64 px, strokes 3 of 109 wide, 0 px margin"),
        ("", "64 px, strokes 3 of 109 wide, 0 px margin"),
        ("ab" * 32, ""),  # built anew since, or another one at the same place
    ):
        write_environment(run, dataset=str(tmp_path / "built"), digest=known)
        assert about.dataset(run, run_source.environment(run)).style == style
