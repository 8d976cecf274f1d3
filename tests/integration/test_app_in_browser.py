"""The page of ``app`` in a real browser: a picture is painted, judged and shown, and nobody else is asked."""

from __future__ import annotations

import contextlib
import functools
import http.client
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from kanjiprep import metadata
from kanjiprep.evaluation import score_table
from kanjiprep.evaluation.proof import corruptions
from kanjiprep.publishing.painting import painted
from kanjiprep.training import presets
from kanjiprep.training.inside import tiny_model
from kanjiprep.training.running.attempts import WEIGHTS
from tests import browser, lora_files, painted_run, run_folders
from tests.browser import Tab

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.installed() is None, reason="no Chromium is installed"),
    pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="Gradio is not installed"),
]
PATIENCE_S: Final = 40.0
PHONE_PX: Final = 390
SCORES: Final = "step,score,chosen,flags\n4,81.25,yes,\n8,40.0,no,pictures\n"
UNET: Final = tuple(one for one in lora_files.UNET if "attn2" not in one)
MODULES: Final = {"sd3": (lora_files.SD3, 64, "diffusers-peft"), "sd1x": (UNET, 16, "kohya")}
"""Of the tiny models: what is adapted, how wide it is, and how its tensors are named."""


def trained(folder: Path, family: str) -> Path:
    """A run with real LoRA files, scores, the model below them and the pictures that it was trained on."""
    changes = ("training.steps=100", "checkpoints.every_steps=4", f"model.family={family}")
    run = run_folders.trained(folder, preset=presets.load("tiny-cpu", changes))
    modules, width, style = MODULES[family]
    for step in (4, 8):
        tensors = lora_files.named(lora_files.weights(modules, width=width, seed=step), style, alpha=4)
        lora_files.write(run / f"output/checkpoint-{step}/{WEIGHTS}", tensors)
    (run / score_table.NAME).parent.mkdir()
    (run / score_table.NAME).write_text(SCORES, "utf-8")
    base = folder / f"models/tiny-{family}"
    base.mkdir(parents=True)
    tiny_model.main(base, 0, tiny_model.FAMILIES[family])
    names = [f"{number}.png" for number in range(12)]
    for number, name in enumerate(names):
        drawn = corruptions.draw_sound(painted_run.GLYPHS[number % 3], np.random.default_rng(number), 128)
        Image.fromarray(drawn).convert("L").save(folder / name)
    (folder / metadata.NAME).write_bytes(metadata.to_csv((name, "a kanji") for name in names))
    return run


@dataclass
class Served:
    """The command while it serves."""

    process: subprocess.Popen[str]
    address: str
    temporary: Path
    said: list[str]

    def end(self) -> tuple[int, list[str]]:
        """Its exit code after Ctrl-C, and all that it said."""
        self.process.send_signal(signal.SIGINT)
        _, rest = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, [*self.said, *rest.splitlines()]


@contextlib.contextmanager
def served(folder: Path, *arguments: object) -> Iterator[Served]:
    temporary = folder / "temporary"
    temporary.mkdir()
    surroundings = {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(folder / "cache"), "GRADIO_SHARE": "true"}
    hidden = {"HF_TOKEN": "hf_secret_of_this_test", "HTTP_PROXY": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "kanjiprep", "app", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **surroundings, **hidden},
        cwd=folder,
    )
    try:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line.rstrip())
            if said[-1] == "Ctrl-C ends it":
                break
        address = next((one.split()[-1] for one in said if one.startswith("the page: ")), "")
        assert address, said
        yield Served(process, address, temporary, said)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser.tab(browser.installed() or "", tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def sd3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("sd3")
    with served(folder, trained(folder, "sd3"), "--dataset", folder, "--port", 17860) as found:
        yield found


CARDS: Final = "[...document.querySelectorAll('.kp-card')]"
STATUS: Final = "document.querySelector('#status').innerText"
IS_READY: Final = "!!document.querySelector('#paint:not([disabled])')"


def until(tab: Tab, expression: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not tab.value(expression):
        assert time.monotonic() < end, f"never: {expression}; {tab.value('document.body.innerText')}"
        time.sleep(0.05)


def shown(tab: Tab, address: str) -> None:
    tab.errors.clear()
    tab.asked.clear()
    tab.size(1280, 1000)
    tab.open(address)
    parts = "['#prompt textarea', '#checkpoint input', '#seed input', '.kp-none', '.kp-prompt']"
    until(tab, f"{parts}.every((one) => document.querySelector(one))")
    settled(tab)


def settled(tab: Tab) -> None:
    """Wait until nothing moves any more: a click goes to where a button was a moment before."""
    end, seen = time.monotonic() + PATIENCE_S, [object()]
    while seen[-1:] * 4 != seen[-4:]:
        assert time.monotonic() < end, seen[-4:]
        seen.append(tab.value("JSON.stringify(document.querySelector('#paint').getBoundingClientRect())"))
        time.sleep(0.1)


def typed(tab: Tab, text: str) -> None:
    tab.click("#prompt textarea")
    tab.call("Input.insertText", text=text)


def enter(tab: Tab) -> None:
    for kind in ("keyDown", "keyUp"):
        tab.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")


def chosen(tab: Tab, which: str, words: str) -> None:
    """Choose the option of a list that has ``words``."""
    option = f"[...document.querySelectorAll('[role=option]')].find((one) => one.innerText.includes({words!r}))"
    end = time.monotonic() + PATIENCE_S
    while not tab.value(f"!!{option}"):
        assert time.monotonic() < end, tab.value("document.body.innerText")
        tab.value("document.activeElement.blur()")
        tab.click(f"#{which} input")  # a list that has just been drawn may not hear the first click
        time.sleep(0.2)
    # The list moves while the page scrolls, so a click by coordinates may miss it.
    tab.value(f"{option}.dispatchEvent(new MouseEvent('mousedown', {{bubbles: true, cancelable: true}}))")
    until(tab, f"document.querySelector('#{which} input').value.includes({words!r})")
    tab.value("document.activeElement.blur()")


def painted_one(tab: Tab, count: int) -> None:
    until(tab, f"{CARDS}.length == {count} && {IS_READY} && !{CARDS}[0].innerText.includes('being judged')")
    until(tab, f"{CARDS}.every((one) => one.querySelector('img').naturalWidth == 256)")


def asked_nobody(tab: Tab) -> bool:
    hosts = {urlsplit(one).hostname for one in tab.asked}
    assert hosts == {"127.0.0.1"}
    assert tab.errors == []
    return True


def fetched(address: str, path: str, **headers: str) -> tuple[int, bytes]:
    with contextlib.closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE_S)) as connection:
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as answer:
            return answer.status, answer.read()


def test_a_picture_is_asked_for_painted_judged_and_downloaded(tab: Tab, sd3: Served) -> None:
    shown(tab, sd3.address)
    assert tab.value("document.title") == "mine · kanjiprep"
    assert tab.value("document.querySelector('#checkpoint input').value") == "step 4, score 81.2, chosen"
    chosen(tab, "style", "calligraphy")
    chosen(tab, "checkpoint", "step 8, score 40.0, dropped for its pictures")
    until(tab, "document.querySelector('#warnings').innerText.includes('flags the checkpoint of step 8')")
    typed(tab, "龍 <b>dragon</b> ${1+1}")
    until(tab, "document.querySelector('#whole b')?.innerText == '龍 <b>dragon</b> ${1+1}'")
    tab.click("#paint")
    painted_one(tab, 1)
    told = tab.value(f"{CARDS}[0].innerText")
    assert "龍 <b>dragon</b> ${1+1}\nseed 42, step 8, style calligraphy\nexploded, " in told
    assert tab.value(STATUS) == "1 picture painted with step 8"
    assert "CLIP-L " in tab.value("document.querySelector('#whole').innerText")
    assert "256" in tab.value("document.querySelector('#whole').innerText")

    link = tab.value("document.querySelector('.kp-download').getAttribute('href')")
    status, data = fetched(sd3.address, link)
    (sd3.temporary.parent / "fetched.png").write_bytes(data)
    inside = painted.read(sd3.temporary.parent / "fetched.png")
    assert status == 200
    assert inside is not None
    assert inside["wish"]["subject"] == "龍 <b>dragon</b> ${1+1}"
    assert inside["origin"]["step"] == 8
    assert asked_nobody(tab)


def test_enter_paints_and_the_gallery_keeps_what_was_there(tab: Tab, sd3: Served) -> None:
    shown(tab, sd3.address)
    typed(tab, "dragon")
    enter(tab)
    painted_one(tab, 1)
    chosen(tab, "checkpoint", "base model alone")
    tab.click("#dice button, #dice")
    until(tab, "document.querySelector('#seed input').value != '42'")
    tab.click("#paint")
    painted_one(tab, 2)
    assert "base model alone" in tab.value(f"{CARDS}[0].innerText")
    assert "seed 42, step 4" in tab.value(f"{CARDS}[1].innerText")
    pixels = "(one => one.querySelector('img').src)"
    assert tab.value(f"{pixels}({CARDS}[0])") != tab.value(f"{pixels}({CARDS}[1])")
    assert asked_nobody(tab)


def test_cancel_stops_between_steps(tab: Tab, sd3: Served) -> None:
    shown(tab, sd3.address)
    count = "document.querySelector('#count input[type=number]')"
    tab.value(f"(one => {{ one.value = 16; one.dispatchEvent(new Event('input', {{bubbles: true}})); }})({count})")
    typed(tab, "robot")
    enter(tab)
    until(tab, f"{CARDS}.length >= 1 && !!document.querySelector('#cancel:not([disabled])')")
    assert tab.value("!!document.querySelector('#status progress')")
    tab.click("#cancel")
    until(tab, f"{STATUS}.startsWith('stopped ') && {IS_READY}")
    assert 1 <= tab.value(f"{CARDS}.length") < 16
    tab.click("#paint")
    until(tab, "!!document.querySelector('#cancel:not([disabled])')")
    tab.click("#cancel")
    until(tab, f"{STATUS}.startsWith('stopped ') && {IS_READY}")


def other_tab(tab: Tab) -> str:
    """The session of one more tab of the same browser."""
    mine, tab.session = tab.session, ""
    target = tab.call("Target.createTarget", url="about:blank")["targetId"]
    other = str(tab.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
    tab.session = other
    for domain in ("Page", "Runtime", "Log", "Network"):
        tab.call(f"{domain}.enable")
    tab.session = mine
    return other


def test_two_tabs_do_not_mix_their_pictures(tab: Tab, sd3: Served) -> None:
    shown(tab, sd3.address)
    first, second = tab.session, other_tab(tab)
    typed(tab, "octopus")
    enter(tab)
    tab.session = second
    try:
        shown(tab, sd3.address)
        typed(tab, "mountains")
        enter(tab)
        painted_one(tab, 1)
        assert tab.value(f"{CARDS}[0].innerText").startswith("mountains\n")
    finally:
        tab.session = first
    tab.call("Page.bringToFront")
    painted_one(tab, 1)
    assert tab.value(f"{CARDS}[0].innerText").startswith("octopus\n")


def test_what_is_wrong_is_said_on_the_page(tab: Tab, sd3: Served) -> None:
    shown(tab, sd3.address)
    is_told = f"{STATUS} == 'the prompt is empty; say what is to be painted'"
    end = time.monotonic() + PATIENCE_S
    while not tab.value(is_told):
        assert time.monotonic() < end, tab.value("document.body.innerText")
        tab.click("#paint")  # one that comes before the page listens is lost
        time.sleep(0.5)
    assert tab.value(IS_READY)


def test_it_fits_a_phone_and_is_dark_where_wanted(tab: Tab, sd3: Served, tmp_path: Path) -> None:
    colours = []
    for is_dark in (False, True):
        shown(tab, sd3.address)
        tab.size(PHONE_PX, 844, is_dark)
        time.sleep(0.2)
        assert tab.value("document.documentElement.scrollWidth") <= PHONE_PX
        colours.append(tab.value("getComputedStyle(document.body).backgroundColor"))
    assert len(set(colours)) == 2
    tab.size(1280, 1000)


def test_nobody_else_is_answered_and_no_other_file_is_given(sd3: Served) -> None:
    ask = functools.partial(fetched, sd3.address)
    status, page = ask("/")
    assert status == 200
    assert b"hf_secret_of_this_test" not in page
    assert not re.findall(rb"""(?:src|href)=["']https?://(?!127\.0\.0\.1)""", page)
    assert ask("/", Host="evil.example")[0] == 403
    assert ask("/gradio_api/queue/data?session_hash=x", Origin="https://evil.example")[0] == 403
    for path in ("/etc/passwd", str(sd3.temporary.parent / "fetched.png"), f"{sd3.temporary}/../metadata.csv"):
        assert ask(f"/gradio_api/file={path}")[0] == 403
    assert ask("/gradio_api/file=https://example.com/")[0] == 403


def test_sd15_is_painted_too_and_ctrl_c_leaves_nothing(tab: Tab, tmp_path: Path) -> None:
    with served(tmp_path, trained(tmp_path, "sd1x"), "--port", 17860, "--device", "cpu") as found:
        shown(tab, found.address)
        typed(tab, "dragon")
        tab.click("#paint")
        painted_one(tab, 1)
        told = tab.value(f"{CARDS}[0].innerText")
        assert told.startswith("dragon\nseed 42, step 4, style plain\nexploded, ")
        assert "T5" not in tab.value("document.querySelector('#whole').innerText")
        assert asked_nobody(tab)
        code, said = found.end()
    assert code == 0
    assert said[-1] == "the page is closed; pictures that were not downloaded are gone"
    assert any(one.startswith("device: cpu") for one in said)
    assert not [one for one in said if re.search(r"Warning|Traceback|gradio", one)]
    assert [one.name for one in found.temporary.iterdir() if one.name.startswith(("kanjiprep", "gradio"))] == []
    assert not (tmp_path / ".gradio").exists()
