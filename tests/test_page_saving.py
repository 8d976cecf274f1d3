from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from kanjiprep.errors import TrainerError
from kanjiprep.publishing.page import saving
from kanjiprep.publishing.painting import base as bases
from kanjiprep.publishing.painting import origins, painted
from kanjiprep.publishing.painting.painted import Origin
from kanjiprep.publishing.painting.wish import Wish
from tests.test_page_sitting import OFFER

WISH = Wish("龍", "龍. In black ink.", seed=7, size_px=64)


def test_a_picture_holds_what_it_was_made_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def origin(base: object, tuned: object) -> Origin:
        asked.append(tuned)
        return Origin("mine", "lora", 4, "ab", "model", "cd", "PNDMScheduler")

    monkeypatch.setattr(bases, "here", lambda base: SimpleNamespace(name=base))
    monkeypatch.setattr(origins, "origin", origin)
    monkeypatch.setattr(origins, "made_with", lambda: {"torch": "2"})
    save = saving.saving("model")
    for name in ("a.png", "b.png"):
        save(tmp_path / name, Image.new("RGB", (64, 64)), WISH, OFFER.choices[0])
    found = painted.read(tmp_path / "a.png")
    assert found is not None
    assert found["wish"]["subject"] == "龍"
    assert found["origin"]["step"] == 4
    assert len(asked) == 1


def test_a_base_model_that_went_away_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "here", lambda *_: None)
    with pytest.raises(TrainerError, match="not there any more"):
        saving.saving("owner/model")(tmp_path / "a.png", Image.new("RGB", (64, 64)), WISH, OFFER.choices[0])
