from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kanjiprep.errors import InputError
from kanjiprep.evaluation.compare import Comparison
from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.evaluation.report import thumbs
from kanjiprep.evaluation.report.page import page
from kanjiprep.progress import silent
from tests import judged_runs
from tests.judged_runs import EVERY

EMPTY = {"meta", "img", "br", "line", "rect", "path", "circle"}


class Tree(HTMLParser):
    """Holds that every tag is closed, and keeps what the page has."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " " if tag in {"td", "th", "li", "p"} else ""
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += data


def made(runs: Sequence[JudgedRun], comparison: Comparison | None = None) -> tuple[str, Tree]:
    data = page(runs, comparison, silent)
    tree = Tree()
    tree.feed(data.decode())
    assert tree.open == []
    tree.text = " ".join(tree.text.split())
    return data.decode(), tree


def test_the_verdict_is_first_with_how_sure_it_is_and_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = judged_runs.healthy(tmp_path / "runs" / "kanji")
    _, tree = made([run])
    start = tree.text.index("Step 10,000")
    assert start < tree.text.index("The learning rate of 1.05e-3 is more than")
    assert "95 % interval 74.2 to 80.2" in tree.text
    assert "may be as good: 10,400" in tree.text
    assert "kanjiprep publish kanji REPO_ID --checkpoint 10000" in tree.text
    assert "about 18 h 17 min, $23.58 (58%)" in tree.text


def test_every_picture_is_there_with_its_step_score_and_kind(tmp_path: Path) -> None:
    run = judged_runs.healthy(tmp_path / "x", checkpoints=12, prompts=2, seeds=2)
    _, tree = made([run])
    buttons = [one for tag, one in tree.tags if tag == "button" and one.get("data-more")]
    assert len(buttons) == len(run.pictures)
    assert all(str(one["data-large"]).startswith("data:image/webp;base64,") for one in buttons)
    titles = {str(one["data-alt"]).rsplit(", ", 1)[1]: one.get("title", "") for one in buttons}
    assert titles["dropped"] == "checkpoint dropped: inside an explosion, or just behind one"
    assert str(titles["exploded"]).startswith("checkpoint dropped: 4 of 4 pictures exploded; ")
    assert str(titles["exploded"]).endswith("picture exploded: noise instead of ink on paper")
    assert [titles[kind] for kind in ("chosen", "sound", "base model")] == ["", "", ""]
    assert "mountains picture 2" in tree.text
    alts = [str(one["alt"]) for tag, one in tree.tags if tag == "img" and one.get("src")]
    assert all(re.fullmatch(r"(step [\d,]+|base model), .+, score [\d.]+, [a-z ]+", alt) for alt in alts)


def test_runs_stand_side_by_side_with_what_differs(tmp_path: Path) -> None:
    first = judged_runs.healthy(tmp_path / "first", checkpoints=6, prompts=2)
    slower = {**first.settings, "optimizer.learning_rate": "0.0001"}
    second = replace(judged_runs.healthy(tmp_path / "second", checkpoints=6, prompts=2), settings=slower)
    third = judged_runs.crashed(tmp_path / "third")
    _, tree = made(
        [first, second, third], Comparison("chosen", "second", second.verdict.step, "it learns more evenly", ())
    )
    assert f"The best run is second, step {second.verdict.step:,}" in tree.text
    assert "It learns more evenly." in tree.text
    differ = tree.text[tree.text.index("Settings that differ") : tree.text.index("Settings that are the same")]
    assert "optimizer.learning_rate 0.00105 0.0001 0.00105" in differ
    assert "lora.rank" not in differ
    assert "the loss is not a number at step 8,012" in tree.text
    _, tree = made([first, second], Comparison("cannot tell", None, None, "the intervals overlap", ()))
    assert "Cannot tell which run is best" in tree.text
    _, tree = made([first, third], Comparison("none", None, None, "no run has a chosen checkpoint", ()))
    assert "No run has a checkpoint to choose" in tree.text


@pytest.mark.parametrize(
    ("place", "typed"), [("runs/a", "a"), ("more/my a", "'more/my a'"), (".", "."), ("../secret/a", "RUN")]
)
def test_what_to_type_fits_where_the_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, typed: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    _, tree = made([judged_runs.one_checkpoint((tmp_path / "here" / place).resolve())])
    assert f"kanjiprep publish {typed} REPO_ID --checkpoint {EVERY}" in tree.text
    assert "secret" not in tree.text


def test_what_cannot_be_told_is_not_told(tmp_path: Path) -> None:
    run = judged_runs.cannot_tell(tmp_path / "x", checkpoints=4, prompts=2)
    _, tree = made([run])
    assert "Cannot tell which is best" in tree.text
    assert "These may be the best: 400, 800, 1,200 and 1,600." in tree.text
    assert "--checkpoint 400" in tree.text
    _, tree = made([replace(run, steps=tuple(replace(one, has_weights=False) for one in run.steps))])
    assert "kanjiprep publish" not in tree.text


@pytest.mark.parametrize("make", [judged_runs.all_dropped, judged_runs.empty])
def test_nothing_to_choose_is_said_with_its_reason(tmp_path: Path, make: type) -> None:
    run = make(tmp_path / "x")
    _, tree = made([run])
    assert "No checkpoint to choose" in tree.text
    assert run.verdict.why[1:] in tree.text
    assert "kanjiprep publish" not in tree.text


def test_an_adapter_that_is_gone_cannot_be_published(tmp_path: Path) -> None:
    run = judged_runs.one_checkpoint(tmp_path / "x")
    _, tree = made([replace(run, steps=(replace(run.steps[0], has_weights=False),))])
    assert "Its adapter is not in the run folder any more" in tree.text
    assert "sound, no adapter" in tree.text or "chosen, no adapter" in tree.text


def test_a_single_wide_picture_is_shown(tmp_path: Path) -> None:
    _, tree = made([judged_runs.one_checkpoint(tmp_path / "x")])
    assert f"Step {EVERY}" in tree.text
    assert "It is the only checkpoint." in tree.text


def test_the_table_has_what_else_is_known(tmp_path: Path) -> None:
    plain = judged_runs.healthy(tmp_path / "x", checkpoints=6, prompts=2)
    _, tree = made([judged_runs.with_parts(judged_runs.with_weights(plain))])
    for text in ("‖BA‖", "components", "2 of 4", "岳 0.81", "0.34"):
        assert text in tree.text
    _, tree = made([plain])
    assert "components" not in tree.text


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a\"b'c&d", "</title><img src=x>", "漢字 run", "\ud800"]
)
def test_names_break_nothing(tmp_path: Path, name: str) -> None:
    run = judged_runs.one_checkpoint(tmp_path / "x")
    hostile = f"{name} --> ]]> {{{{ 7 * 7 }}}}"
    run = replace(
        run,
        name=name,
        reason=hostile,
        prompts={"mountains": hostile},
        warnings=(hostile,),
        settings={hostile: hostile},
        verdict=replace(run.verdict, why=hostile),
    )
    text, tree = made([run])
    scripts = [one for tag, one in tree.tags if tag == "script"]
    assert len(scripts) == 2
    assert not [one for tag, one in tree.tags if tag == "img" and one.get("src") == "x"]
    assert html.unescape(hostile).encode("utf-8", "replace").decode() in tree.text
    assert "<script>alert" not in text


def test_the_page_forbids_itself_to_load_anything(tmp_path: Path) -> None:
    text, tree = made([judged_runs.healthy(tmp_path / "x", checkpoints=2, prompts=1)])
    policy = next(str(one["content"]) for tag, one in tree.tags if one.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    for tag, attributes in tree.tags:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")]
        address = attributes.get("src") or attributes.get("href") or attributes.get("data-large")
        assert address is None or address.startswith(("#", "data:image/webp;base64,"))
    assert "http://" not in text
    assert "https://" not in text


def test_nothing_of_this_machine_is_told(tmp_path: Path) -> None:
    run = judged_runs.healthy(tmp_path / "x", checkpoints=3, prompts=1)
    run = replace(run, reason=f"cannot read {tmp_path}/x/output/a b.json", warnings=(f"{Path.home()}/y is full",))
    text, _ = made([run, judged_runs.empty(tmp_path / "y")])
    for secret in (str(tmp_path), str(tmp_path.parent), f"{Path.home()}/", "alice"):
        assert secret not in text
    assert "output/validation_images/picture_0.png" in text


def test_what_the_script_reads_is_json_without_what_json_has_not(tmp_path: Path) -> None:
    text, _ = made([judged_runs.healthy(tmp_path / "x", checkpoints=3, prompts=1)])
    (told,) = re.findall(r'<script type="application/json" class="told">(.*?)</script>', text, re.DOTALL)
    assert json.loads(told, parse_constant=pytest.fail)["last"] == 3 * EVERY


def test_progress_is_told_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    run = judged_runs.healthy(tmp_path / "x", checkpoints=9, prompts=2)
    page([run], None, lambda *one: told.append(one))
    assert told[0] == ("pictures", 0, 20)
    assert told[-1] == ("pictures", 20, 20)


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    run = judged_runs.healthy(tmp_path / "x", checkpoints=2, prompts=1)
    run.pictures[0].cell.path.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"picture_0\.png"):
        page([run], None, silent)


def test_pictures_stay_in_their_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = judged_runs.healthy(tmp_path / "x", checkpoints=12, prompts=2)
    monkeypatch.setattr(thumbs, "BUDGET", 160_000)
    monkeypatch.setattr(thumbs, "_SAID", 0)
    _, tree = made([run])
    larges = [one["data-large"] or "" for tag, one in tree.tags if tag == "button" and one.get("data-more")]
    step = str(run.verdict.step)
    best = [one for tag, one in tree.tags if tag == "button" and one.get("data-step") == step]
    assert any(not large for large in larges)
    assert all(one["data-large"] for one in best)
    shown = [str(one["src"]) for tag, one in tree.tags if tag == "img" and one.get("src")] + larges
    assert sum(map(len, shown)) < 160_000 + 30 * len(shown)
    assert re.search(r"\d+ of 26 pictures are also held at 448 px", tree.text)
