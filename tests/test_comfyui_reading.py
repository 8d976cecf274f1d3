"""Workflows out of files of every form, and files that hold none."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from kanjiprep.errors import InputError
from kanjiprep.publishing.comfyui.forms import picture_text, reading
from kanjiprep.publishing.comfyui.forms.ui_form import to_ui
from kanjiprep.publishing.comfyui.graph import to_api
from kanjiprep.publishing.comfyui.nodes import TABLE
from tests.comfyui_workflows import SD1, SD3

REMEDY = "give the JSON file that ComfyUI saves, or a PNG picture that it made"
API, UI = json.dumps(to_api(SD3)), json.dumps(to_ui(SD1, TABLE))


def written(tmp_path: Path, content: str | bytes, name: str = "a.json") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def picture(tmp_path: Path, *, packed: bool = False, **texts: str) -> Path:
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_text(name, text, zip=packed)
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        reading.read(path, TABLE)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "workflow", "form"),
    [
        (API, SD3, "api"),
        (UI, SD1, "ui"),
        (f'{{"prompt": {API}, "client_id": "x"}}', SD3, "api"),
        (f'{{"prompt": {API}, "workflow": {UI}}}', SD3, "api"),
        (f'{{"workflow": {UI}}}', SD1, "ui"),
        ("\ufeff" + API, SD3, "api"),
        (f"\n\n  {UI}\n", SD1, "ui"),
    ],
)
def test_either_form_is_read(tmp_path: Path, text: str, workflow: object, form: str) -> None:
    assert reading.read(written(tmp_path, text), TABLE) == (workflow, form)


class TestPictures:
    @pytest.mark.parametrize("packed", [False, True])
    def test_what_a_server_was_sent_counts(self, tmp_path: Path, packed: bool) -> None:
        path = picture(tmp_path, packed=packed, workflow=UI, prompt=API)
        assert reading.read(path, TABLE) == (SD3, "picture")

    def test_without_it_the_graph_of_the_ui_does(self, tmp_path: Path) -> None:
        assert reading.read(picture(tmp_path, workflow=UI), TABLE) == (SD1, "picture")

    @pytest.mark.parametrize("packed", [False, True])
    def test_a_text_beyond_latin_letters_is_read(self, tmp_path: Path, packed: bool) -> None:
        text = json.dumps({"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "山と川"}}}, ensure_ascii=False)
        info = PngImagePlugin.PngInfo()
        info.add_itxt("prompt", text, zip=packed)
        path = tmp_path / "a.png"
        Image.new("L", (4, 4)).save(path, pnginfo=info)
        workflow, _ = reading.read(path, TABLE)
        assert workflow.nodes[0].inputs == {"text": "山と川"}

    def test_one_without_a_workflow_says_why(self, tmp_path: Path) -> None:
        path = picture(tmp_path, parameters="a kanji, Steps: 20")
        assert refused(path) == (
            f"{path}: holds no workflow; pictures lose it when they are edited or sent by messengers; "
            "give a picture as ComfyUI saved it"
        )

    def test_broken_json_in_one_is_named_with_its_place(self, tmp_path: Path) -> None:
        path = picture(tmp_path, prompt='{\n"a": }')
        assert refused(path) == f"{path}, its text prompt:2: is no JSON: expecting value; {REMEDY}"

    @pytest.mark.parametrize("size", [8, 9, 20, 100, 1000])
    def test_one_that_is_cut_short_holds_none(self, tmp_path: Path, size: int) -> None:
        data = picture(tmp_path, prompt=API).read_bytes()[:size]
        assert "holds no workflow" in refused(written(tmp_path, data, "b.png"))

    @pytest.mark.parametrize("start", [b"\xff\xd8\xff\xe0", b"RIFF....WEBP", b"GIF89a"])
    def test_other_pictures_hold_none(self, tmp_path: Path, start: bytes) -> None:
        path = written(tmp_path, start, "a.jpg")
        assert refused(path) == f"{path}: is a picture, and only PNG pictures hold a workflow; {REMEDY}"

    def test_a_packed_text_that_is_broken_or_endless_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def png(body: bytes, kind: bytes = b"zTXt") -> bytes:
            return picture_text.SIGNATURE + struct.pack(">I4s", len(body), kind) + body + b"crc_"

        def found(data: bytes) -> Mapping[str, str]:
            return picture_text.texts(data, ("a", "c"), "x.png")

        good = zlib.compress(b"x" * 1000)
        assert found(png(b"a\0\0" + good)) == {"a": "x" * 1000}
        assert found(png(b"a\0\0broken")) == {}
        assert found(png(b"a\0\0" + good[:-6])) == {}
        assert found(png(b"a\0\1\0en\0" + good, b"iTXt")) == {}
        assert found(png(b"a\0\1\0en\0a\0broken", b"iTXt")) == {}
        assert found(png(b"a\0\0\0en\0", b"iTXt")) == {}
        assert found(png(b"b\0\0" + good)) == {}, "another text"
        two = png(b"a\0\0" + good) + png(b"c\0" + b"y" * 1000, b"tEXt")[8:]
        for most in (2000, 1999, 1000, 999):
            monkeypatch.setattr(picture_text, "_MOST_BYTES", most)
            if most == 2000:
                assert found(two) == {"a": "x" * 1000, "c": "y" * 1000}
            else:
                with pytest.raises(InputError, match="x.png: holds texts of more than 0 MB, too much for a workflow"):
                    found(two)

    def test_texts_that_nobody_asks_for_are_not_unpacked(self, tmp_path: Path) -> None:
        def chunk(name: bytes) -> bytes:
            body = name + b"\0\0" + bomb
            return struct.pack(">I4s", len(body), b"zTXt") + body + b"crc_"

        bomb = zlib.compress(b" " * (8 << 20), 9)
        names = [b"k%d" % number for number in range(12)] + [b"workflow"] + 12 * [b"workflow"]
        path = written(tmp_path, picture_text.SIGNATURE + b"".join(map(chunk, names)), "a.png")
        tracemalloc.start()
        try:
            assert refused(path) == f"{path}, its text workflow: is empty; {REMEDY}"
            assert tracemalloc.get_traced_memory()[1] < 100 << 20, "and all together have 200 MB"
        finally:
            tracemalloc.stop()

    @given(st.binary(max_size=80))
    @settings(max_examples=60, deadline=None)
    def test_whatever_follows_its_first_bytes_is_read_without_a_crash(self, data: bytes) -> None:
        assert isinstance(picture_text.texts(picture_text.SIGNATURE + data, ("", "a"), "x"), dict)


@pytest.mark.parametrize(
    ("content", "what", "line"),
    [
        ("", "is empty", ""),
        ("  \n ", "is empty", ""),
        ("{", "is no JSON: expecting property name enclosed in double quotes", ":1"),
        ('{"a": 1,\n "b" 2}', "is no JSON: expecting ':' delimiter", ":2"),
        (API[:-20], "is no JSON: unterminated string starting at", ":1"),
        (API + "x", "is no JSON: extra data", ":1"),
        (b"\xff\xfe{\0}\0", "is no text in UTF-8", ""),
        (b"\x00\x01\x02\x80", "is no text in UTF-8", ""),
        (b"\0\0\0\0", "is no JSON: expecting value", ":1"),
        ("[" * 100_000, "is nested too deeply", ""),
        ('{"a":' * 100_000, "is nested too deeply", ""),
        (f'{{"1": {"9" * 5000}}}', "holds a number that is too long", ""),
    ],
)
def test_a_file_without_json_is_one_line(tmp_path: Path, content: str | bytes, what: str, line: str) -> None:
    path = written(tmp_path, content)
    assert refused(path) == f"{path}{line}: {what}; {REMEDY}"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("3", "is no workflow of ComfyUI"),
        ("null", "is no workflow of ComfyUI"),
        ("[]", "is no workflow of ComfyUI"),
        ("{}", "is no workflow of ComfyUI"),
        ('{"nodes": []}', "holds no node that runs"),
        ('{"nodes": {}}', "node 'nodes' has no class_type"),
        ('{"workflow": {}}', "is no workflow of ComfyUI"),
        ('{"pipeline": "sd3"}', "node 'pipeline' has no class_type"),
    ],
)
def test_json_without_a_workflow_is_one_line(tmp_path: Path, content: str, what: str) -> None:
    path = written(tmp_path, content)
    assert refused(path).startswith(f"{path}: {what}; ")


def test_what_is_no_number_in_json_becomes_nothing(tmp_path: Path) -> None:
    text = API.replace("4.5", "NaN").replace('"kanji.safetensors"', "-Infinity")
    workflow, _ = reading.read(written(tmp_path, text), TABLE)
    assert workflow.nodes[6].inputs["cfg"] is None
    assert workflow.nodes[2].inputs["lora_name"] is None


class TestPaths:
    @pytest.mark.parametrize(("name", "what"), [("gone.json", "is not there"), ("", "is a folder")])
    def test_what_is_no_file_is_refused(self, tmp_path: Path, name: str, what: str) -> None:
        path = tmp_path / name
        assert refused(path) == f"{path}: {what}; {REMEDY}"

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        assert refused(path) == f"{path}: is no file; {REMEDY}"

    def test_a_name_that_no_file_can_have_is_refused(self) -> None:
        assert refused(Path("a\0b")) == rf"a\x00b: is not there; {REMEDY}"

    def test_a_name_that_is_too_long_is_refused(self) -> None:
        assert "cannot be read: file name too long" in refused(Path("a" * 5000))

    def test_a_file_that_cannot_be_opened_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def forbid(*_: Any) -> None:
            raise PermissionError(13, "Permission denied")

        path = written(tmp_path, API)
        monkeypatch.setattr(Path, "open", forbid)
        assert refused(path) == f"{path}: cannot be read: permission denied; check its permissions"

    def test_a_file_that_is_too_large_is_not_loaded(self, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        with path.open("wb") as stream:
            stream.truncate(70 * 2**20)
        assert refused(path) == f"{path}: has more than 64 MB, too much for a workflow; {REMEDY}"


@pytest.mark.parametrize(
    ("content", "is_foreign"),
    [
        ('{"kind": "grid", "cells": [{"class_type": "x"}]}', True), ("[1]", True), ("{}", True),
        ('{"prompt": {}}', True), (API, False), (UI, False), (f'{{"prompt": {API}}}', False),
        (f'{{"workflow": {UI}}}', False),
        ('{"1": {"class_type": 3}, "2": 4}', False), ("{", False), (b"\xff\xff", False),
    ],
)  # fmt: skip
def test_json_of_something_else_is_told_from_a_workflow(
    tmp_path: Path, content: str | bytes, is_foreign: bool
) -> None:
    assert reading.is_foreign(written(tmp_path, content)) is is_foreign
