"""A workflow out of a file, whatever its form: for the server, of the UI, or in a picture that ComfyUI made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from kanjiprep.errors import InputError, os_reason
from kanjiprep.publishing.comfyui.forms import picture_text
from kanjiprep.publishing.comfyui.forms.ui_form import from_ui
from kanjiprep.publishing.comfyui.graph import Workflow, from_api
from kanjiprep.publishing.comfyui.kinds import NodeKind

Form = Literal["api", "ui", "picture"]

_MOST_BYTES: Final = 64 * 2**20
_TEXTS: Final = ("prompt", "workflow")
"""Of a picture, the first that is there: what the server was sent, and the graph of the UI."""
_PICTURES: Final = (b"\xff\xd8\xff", b"RIFF", b"GIF8")
_REMEDY: Final = "give the JSON file that ComfyUI saves, or a PNG picture that it made"


def read(path: Path, table: Mapping[str, NodeKind]) -> tuple[Workflow, Form]:
    """The workflow of a file, and in which form it was there.

    Raises:
        InputError: If it cannot be read, or holds no workflow; with the line where JSON is broken.
    """
    data = _bytes(path)
    if data.startswith(picture_text.SIGNATURE):
        return _of_picture(data, table, str(path)), "picture"
    if data.startswith(_PICTURES):
        raise InputError("is a picture, and only PNG pictures hold a workflow", str(path), _REMEDY)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("is no text in UTF-8", str(path), _REMEDY) from error
    document = parsed(text, str(path))
    return _workflow(document, table, str(path)), "ui" if _is_ui(_inner(document)) else "api"


def is_foreign(path: Path) -> bool:
    """Whether a file is sound JSON and nothing of a workflow, as others leave beside one.

    What cannot be read is not called so: ``read`` says what is wrong with it.
    """
    try:
        inner = _inner(parsed(_bytes(path).decode("utf-8-sig"), str(path)))
    except (InputError, UnicodeDecodeError):
        return False
    if not isinstance(inner, dict) or _is_ui(inner):
        return not isinstance(inner, dict)
    nodes = inner["prompt"] if isinstance(inner.get("prompt"), dict) else inner
    return not any(isinstance(one, dict) and "class_type" in one for one in nodes.values())


def parsed(text: str, where: str) -> object:
    """A JSON document; NaN and the infinities, which are no JSON but which ComfyUI writes, become nothing.

    Raises:
        InputError: If it is no JSON, with the line.
    """
    if not text.strip():
        raise InputError("is empty", where, _REMEDY)
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        raise InputError(f"is no JSON: {error.msg.lower()}", f"{where}:{error.lineno}", _REMEDY) from error
    except RecursionError as error:
        raise InputError("is nested too deeply", where, _REMEDY) from error
    except ValueError as error:  # a number of thousands of digits
        raise InputError("holds a number that is too long", where, _REMEDY) from error


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is no file" if path.exists() else "is not there"
            raise InputError(what, str(path), _REMEDY)
        with path.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {os_reason(error)}", str(path), "check its permissions") from error
    if len(data) > _MOST_BYTES:
        raise InputError(f"has more than {_MOST_BYTES // 2**20} MB, too much for a workflow", str(path), _REMEDY)
    return data


def _inner(document: object) -> object:
    """Without the table around it that other tools save: of the server's form, or of both."""
    if isinstance(document, dict) and isinstance(document.get("workflow"), dict) and "nodes" not in document:
        return document if isinstance(document.get("prompt"), dict) else document["workflow"]
    return document


def _is_ui(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("nodes"), list)


def _workflow(document: object, table: Mapping[str, NodeKind], where: str) -> Workflow:
    inner = _inner(document)
    return from_ui(inner, table, where) if _is_ui(inner) else from_api(inner, where)


def _of_picture(data: bytes, table: Mapping[str, NodeKind], where: str) -> Workflow:
    texts = picture_text.texts(data, _TEXTS, where)
    for name in _TEXTS:
        if name in texts:
            return _workflow(parsed(texts[name], f"{where}, its text {name}"), table, where)
    what = "holds no workflow; pictures lose it when they are edited or sent by messengers"
    raise InputError(what, where, "give a picture as ComfyUI saved it")
