from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import devices, outlook, planned
from kanjiprep.publishing.painting.devices import Machine, Ways
from kanjiprep.publishing.painting.outlook import Outlook
from kanjiprep.publishing.painting.planned import Plan, Request
from kanjiprep.publishing.painting.texts import Asked
from kanjiprep.publishing.painting.wish import Wish
from kanjiprep.training.inside import tiny_model
from tests import painting_models

LARGE = "stabilityai/stable-diffusion-3.5-large"
WISH = Wish("a", "a", size_px=1024, steps=40)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    base = painting_models.base(tmp_path / "tiny")
    file = painting_models.lora(tmp_path / "a.safetensors")
    return planned.plan(Request(str(file), Asked(("cat", "x" * 100)), base=str(base)))


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "read_machine", lambda: Machine(ram_free_bytes=10**12))
    monkeypatch.setattr(outlook, "flop_per_s", lambda: 1e11)


def test_a_small_model_that_is_here_costs_nothing(plan: Plan) -> None:
    found = outlook.outlook(plan, Ways(), {})
    assert found.placement is not None
    assert (found.placement.device, found.cpu_s_a_picture, found.download_bytes) == ("cpu", None, 0)


def test_tokens_are_bounds_without_tokenizers_and_counts_with_them(plan: Plan, tmp_path: Path) -> None:
    bounds = outlook.outlook(plan, Ways(), {}).counts
    assert [(one.encoder, one.is_exact) for one in bounds["cat"]] == [
        ("CLIP-L", False),
        ("CLIP-G", False),
        ("T5", False),
    ]
    tiny_model.write_clip_tokenizer(tmp_path / "tiny" / "tokenizer", tiny_model.END)
    exact = outlook.outlook(plan, Ways(), {}).counts["cat"][0]
    assert (exact.encoder, exact.tokens, exact.is_exact) == ("CLIP-L", 5, True)


def test_a_subject_that_is_cut_off_is_told(plan: Plan, tmp_path: Path) -> None:
    tiny_model.write_clip_tokenizer(tmp_path / "tiny" / "tokenizer", tiny_model.END)
    found = outlook.outlook(plan, Ways(), {})
    name = "x" * len(next(iter(found.lost)))
    assert list(outlook.lines(found)) == [
        f"warning: of prompt {name}, the subject ends at token 102 of which CLIP reads 77; say it in fewer words"
    ]


def test_as_much_of_t5_counts_as_the_wish_is_painted_with(plan: Plan) -> None:
    cut = tuple(replace(one, wish=replace(one.wish, t5_tokens=154)) for one in plan.pictures)
    for pictures, limit in ((plan.pictures, 256), (cut, 154)):
        counts = outlook.outlook(replace(plan, pictures=pictures), Ways(), {}).counts["cat"]
        assert [one.limit for one in counts] == [77, 77, limit]


def test_a_large_model_on_a_cpu_is_told_to_take_long(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "here", lambda _: None)
    first = plan.columns[0].tuned
    assert first is not None
    column = replace(plan.columns[0], tuned=replace(first, flavour="large"))
    large = replace(plan, base=None, base_name=LARGE, columns=(column,))
    found = outlook.outlook(large, Ways(), {})
    assert found.cpu_s_a_picture == pytest.approx(40 * 2 * 2 * 8_056_627_520 * (64**2 + 333) / 1e11, rel=0.01)
    told = list(outlook.lines(found))
    assert told[-2].startswith("warning: a picture takes about 15.")
    assert told[-1] == "note: the base model is not on this machine and will be downloaded, about 27.6 GB"


def test_a_model_that_nobody_knows_is_told_without_a_size(plan: Plan) -> None:
    unknown = replace(plan, base=None, base_name="some/model")
    found = outlook.outlook(unknown, Ways(), {})
    assert (found.placement, found.download_bytes) == (None, None)
    assert list(outlook.lines(found))[-1] == "note: the base model is not on this machine and will be downloaded"


def test_a_picture_without_guidance_takes_half_and_of_sd1x_less() -> None:
    with_guidance = outlook.flop(WISH, "sd3", 10**9)
    assert outlook.flop(replace(WISH, guidance=1.0), "sd3", 10**9) == with_guidance / 2
    assert outlook.flop(replace(WISH, size_px=512, steps=50), "sd1x", 10**9) == pytest.approx(68e12)


def test_minutes_and_hours_are_told_as_such() -> None:
    told = [list(outlook.lines(Outlook({}, {}, None, seconds, 0))) for seconds in (30, 300, 30_000)]
    assert told[0] == []
    assert "about 5 min on" in told[1][0]
    assert "about 8.3 h on" in told[2][0]


def test_this_cpu_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert outlook.flop_per_s() > 1e8
