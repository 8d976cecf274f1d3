"""The page of judged runs in a real browser: it says nothing, asks for nothing, and its script works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kanjiprep.evaluation.compare import Comparison
from kanjiprep.evaluation.judged import JudgedRun
from kanjiprep.evaluation.report.page import page
from kanjiprep.progress import silent
from tests import browser, judged_runs
from tests.browser import Tab

pytestmark = pytest.mark.skipif(browser.installed() is None, reason="no Chromium is installed")
PHONE_PX = 390


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser.tab(browser.installed() or "", tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def shown(tab: Tab, folder: Path, *runs: JudgedRun, comparison: Comparison | None = None) -> None:
    path = folder / "report.html"
    path.write_bytes(page(runs, comparison, silent))
    tab.errors.clear()
    tab.asked.clear()
    tab.size(1280, 900)
    tab.open(path.as_uri())


def is_quiet(tab: Tab) -> bool:
    """Whether the script ran to its end, nothing was said on the console, and nothing was asked for."""
    assert tab.value("document.documentElement.dataset.script") == "ran"
    assert tab.errors == []
    assert tab.asked == []
    return True


def test_the_browser_tells_of_complaints_and_requests(tab: Tab, tmp_path: Path) -> None:
    address = "http://127.0.0.1:9/x.png"
    (tmp_path / "loud.html").write_text(f"<img src='{address}'><script>console.log('said'); missing()</script>")
    tab.open((tmp_path / "loud.html").as_uri())
    assert tab.asked == [address]
    assert any("said" in one for one in tab.errors)
    assert any("missing is not defined" in one for one in tab.errors)


def three(folder: Path) -> tuple[JudgedRun, ...]:
    first = judged_runs.with_weights(judged_runs.with_parts(judged_runs.healthy(folder / "first", checkpoints=12)))
    return first, judged_runs.crashed(folder / "second"), judged_runs.cannot_tell(folder / "漢字", checkpoints=4)


def hostile(folder: Path) -> tuple[JudgedRun, ...]:
    run = judged_runs.one_checkpoint(folder / "x")
    attack = "<script>document.title='taken'</script><img src=x onerror=alert(1)>"
    return (replace(run, name=attack, reason=attack, warnings=(attack,), prompts={"mountains": attack}),)


RUNS: dict[str, Callable[[Path], tuple[JudgedRun, ...]]] = {
    "healthy": lambda folder: (judged_runs.healthy(folder / "x", checkpoints=12, prompts=3),),
    "three": three,
    "one checkpoint": lambda folder: (judged_runs.one_checkpoint(folder / "x"),),
    "none": lambda folder: (judged_runs.empty(folder / "x"),),
    "crashed": lambda folder: (judged_runs.crashed(folder / "x"),),
    "all dropped": lambda folder: (judged_runs.all_dropped(folder / "x"),),
    "hostile": hostile,
}


@pytest.mark.parametrize("name", RUNS)
def test_it_is_quiet_and_fits_every_window(tab: Tab, tmp_path: Path, name: str) -> None:
    runs = RUNS[name](tmp_path)
    compared = Comparison("cannot tell", None, None, "their intervals overlap", ()) if len(runs) > 1 else None
    shown(tab, tmp_path, *runs, comparison=compared)
    assert is_quiet(tab)
    assert tab.value("document.title").startswith("kanjiprep report: ")
    for width_px in (PHONE_PX, 1280):
        tab.size(width_px, 844)
        assert tab.value("document.documentElement.scrollWidth") <= width_px
    assert tab.value("[...document.images].filter((one) => one.src && !one.naturalWidth).length") == 0


def test_it_is_dark_where_the_reader_wants_it(tab: Tab, tmp_path: Path) -> None:
    shown(tab, tmp_path, judged_runs.one_checkpoint(tmp_path / "x"))
    colours = []
    for is_dark in (False, True):
        tab.size(1280, 900, is_dark)
        colours.append(tab.value("getComputedStyle(document.body).backgroundColor"))
        tab.picture(tmp_path / "page.png")
        assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert colours == ["rgb(252, 251, 248)", "rgb(21, 22, 24)"]
    tab.print_pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_pictures_are_enlarged_and_walked_along(tab: Tab, tmp_path: Path) -> None:
    shown(tab, tmp_path, judged_runs.healthy(tmp_path / "x", checkpoints=12, prompts=3))
    viewer, title = "document.getElementById('viewer')", "document.querySelector('#viewer .title').textContent"
    tab.click("#strips .card:nth-child(3) .open")
    assert tab.value(f"{viewer}.open")
    assert tab.value(title).startswith("step 800, mountains")
    assert tab.value("document.querySelector('#viewer img').naturalWidth") == 448
    tab.press("ArrowRight")
    assert tab.value(title).startswith("step 1,200, mountains")
    tab.press("ArrowDown")
    assert tab.value(title).startswith("step 1,200, language-model")
    tab.press("ArrowUp")
    tab.press("ArrowLeft")
    assert tab.value(title).startswith("step 800, mountains")
    tab.click("[data-walk='1']")
    assert tab.value(title).startswith("step 1,200, mountains")
    tab.press("Escape")
    assert not tab.value(f"{viewer}.open")
    tab.click(".proof .open")
    assert "chosen" in tab.value(title)
    tab.click("#viewer [data-close]")
    assert not tab.value(f"{viewer}.open")
    assert is_quiet(tab)


def test_pictures_are_filtered_and_ordered(tab: Tab, tmp_path: Path) -> None:
    shown(tab, tmp_path, judged_runs.healthy(tmp_path / "x", checkpoints=12, prompts=1))
    seen = "[...document.querySelectorAll('.cards .card')].filter((one) => one.offsetParent)"
    choose = "(([box, value]) => { box.value = value; box.dispatchEvent(new Event('change')) })"
    tab.value(f"{choose}([document.querySelector('[data-does=show]'), 'dropped'])")
    assert tab.value(f"{seen}.map((one) => one.dataset.order)") == ["8", "9", "10"]
    tab.value(f"{choose}([document.querySelector('[data-does=show]'), 'all'])")
    tab.value(f"{choose}([document.querySelector('[data-does=order]'), 'score'])")
    scores = tab.value(f"{seen}.map((one) => Number(one.dataset.score))")
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 13
    assert is_quiet(tab)


def test_curves_tell_their_values(tab: Tab, tmp_path: Path) -> None:
    shown(tab, tmp_path, judged_runs.healthy(tmp_path / "x", checkpoints=12, prompts=1))
    readout = "document.querySelector('.readout').textContent"
    tab.click(".chart")
    assert tab.value(readout).startswith("Step 2,")
    assert "loss 0." in tab.value(readout)
    tab.value("document.querySelector('.curves .scroll').focus()")
    tab.press("ArrowRight")
    assert "checkpoint 2," in tab.value(readout)
    assert tab.value("getComputedStyle(document.querySelector('.here')).visibility") == "visible"
    assert is_quiet(tab)


def test_tables_sort_by_what_is_clicked(tab: Tab, tmp_path: Path) -> None:
    shown(tab, tmp_path, judged_runs.healthy(tmp_path / "x", checkpoints=12, prompts=1))
    column = "[...document.querySelectorAll('.checkpoints tbody tr')].map((row) => Number(row.cells[2].dataset.key))"
    tab.click(".checkpoints th:nth-child(3) .sort")
    rising = tab.value(column)
    assert rising == sorted(rising)
    tab.click(".checkpoints th:nth-child(3) .sort")
    assert tab.value(column) == rising[::-1]
    assert tab.value("document.querySelector('.checkpoints th:nth-child(3)').ariaSort") == "descending"
    assert is_quiet(tab)
