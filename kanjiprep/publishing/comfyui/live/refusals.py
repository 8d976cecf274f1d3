"""Why a ComfyUI server does not take a workflow, or does not finish it, in words and with what helps.

Source: ComfyUI 0.3.64, execution.py (validate_prompt, validate_inputs), and its issue 5388.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kanjiprep.errors import InputError, KanjiprepError, RemoteError, shown
from kanjiprep.publishing.comfyui.graph import Link, Workflow
from kanjiprep.publishing.comfyui.live.answers import Fault

FOLDERS: Final = {
    "ckpt_name": "checkpoints",
    "clip_name": "text_encoders",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "clip_name3": "text_encoders",
    "clip_name4": "text_encoders",
    "control_net_name": "controlnet",
    "lora_name": "loras",
    "style_model_name": "style_models",
    "unet_name": "diffusion_models",
    "vae_name": "vae",
}
"""Folders in ComfyUI's ``models`` by the inputs that name a file of them."""

_MOST: Final = 6
"""Faults that one line tells; the others are counted."""
_LONGEST: Final = 240
_MODEL: Final = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".gguf", ".bin")
_PUT: Final = "put what is missing into that folder of ComfyUI, or take a name that it has"
_CHECK: Final = "mend the workflow, or take one that kanjiprep comfyui has written"
_UPDATE: Final = "update ComfyUI, or install the custom nodes that bring it"
_TYPES: Final = {"INT": "a whole number", "FLOAT": "a number", "BOOLEAN": "true or false", "STRING": "text"}


def plain(text: str) -> str:
    """A server's words in one line without control characters, and not too long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def refusal(answer: Mapping[str, Any], workflow: Workflow, where: str) -> InputError:
    """What to tell of the answer to a workflow that was not taken, or of which a part was not.

    Args:
        answer: ``error`` and ``node_errors``, as the server sends them.
        workflow: What it was asked.
        where: The workflow's name.
    """
    told = list(_node_faults(answer.get("node_errors"), workflow))
    if not told:
        return InputError(*_whole(answer.get("error"), where))
    what = ", and ".join(dict.fromkeys(words for words, _ in told[:_MOST]))
    more = f", and {len(told) - _MOST} more faults" if len(told) > _MOST else ""
    is_file = any(is_missing for _, is_missing in told)
    return InputError(f"the server does not take it: {what}{more}", where, _PUT if is_file else _CHECK)


def _whole(error: object, where: str) -> tuple[str, str, str]:
    about = error if isinstance(error, dict) else {"message": error if isinstance(error, str) else ""}
    kind, message, details = (str(about.get(key, "")) for key in ("type", "message", "details"))
    if unknown := re.search(r"[Nn]ode '?(\S+?)'? (?:does not exist|not found)", message):
        node = re.search(r"#(\S+?)'?$", details)
        place = f" (node {plain(node[1])})" if node else ""
        return f"the server has no node {plain(unknown[1])}{place}", where, _UPDATE
    if kind == "prompt_no_outputs":
        return "has no node that saves a picture", where, "let it end in a SaveImage node"
    if kind == "prompt_outputs_failed_validation" and not details.strip():
        return "the server does not take it and does not say why, as for links in a circle", where, _CHECK
    said = plain(f"{message} {details}") or "no reason is given"
    return f"the server does not take it: {said}", where, _CHECK


def _node_faults(errors: object, workflow: Workflow) -> Iterator[tuple[str, bool]]:
    """Each fault in words, and whether a file is missing, in the order of the workflow's nodes."""
    if not isinstance(errors, dict):
        return
    order = {node.id: number for number, node in enumerate(workflow.nodes)}
    for node_id in sorted(errors, key=lambda one: order.get(one, len(order))):
        about = errors[node_id] if isinstance(errors[node_id], dict) else {}
        name = f"node {plain(node_id)} ({plain(str(about.get('class_type', 'unknown')))})"
        faults = about.get("errors")
        for fault in faults if isinstance(faults, list) else []:
            if isinstance(fault, dict):
                words, is_missing = _fault_words(fault)
                yield f"{name} {words}", is_missing


def _fault_words(fault: Mapping[str, Any]) -> tuple[str, bool]:
    found = fault.get("extra_info")
    extra = found if isinstance(found, dict) else {}
    name = plain(str(extra.get("input_name", "")))
    if fault.get("type") == "value_not_in_list":
        return _not_in_list(name, extra)
    words = _WORDS.get(str(fault.get("type")))
    said = plain(f"{fault.get('message', '')}: {fault.get('details', '')}")
    return (words(name, extra, fault) if words is not None else f"says: {said}"), False


def _not_in_list(name: str, extra: Mapping[str, Any]) -> tuple[str, bool]:
    value = extra.get("received_value")
    has = _options(extra.get("input_config"))
    if name in FOLDERS or str(value).lower().endswith(_MODEL):
        folder = f"models/{FOLDERS[name]}" if name in FOLDERS else f"what {name} lists"
        return f"wants the file {shown(value)}, which is not in {folder}{_offer(value, has)}", True
    return f"has {shown(value)} as {name}, which is not to choose from{_offer(value, has)}", False


def _options(config: object) -> list[str] | None:
    """What there is to choose from; None if the server does not tell, as of more than 20.

    The older form has the list as its first part, the newer one in the table behind it.
    """
    match config:
        case [[*options], *_] | ["COMBO", {"options": [*options]}, *_]:
            return [str(one) for one in options]
    return None


def _offer(value: object, has: list[str] | None) -> str:
    if has is None:
        return ""
    if not has:
        return " (there is none)"
    close = difflib.get_close_matches(str(value), has, 3, 0.5) or has[:3]
    return f" (there is {', '.join(map(shown, close))}{', ...' if len(has) > len(close) else ''})"


_Words = Callable[[str, Mapping[str, Any], Mapping[str, Any]], str]


def _bound(word: str, key: str) -> _Words:
    def words(name: str, extra: Mapping[str, Any], _: Mapping[str, Any]) -> str:
        match extra.get("input_config"):
            case [_, {**about}] if key in about:
                return f"has {name} {shown(extra.get('received_value'))}, {word} than {shown(about[key])}"
        return f"has {name} {shown(extra.get('received_value'))}, which is {word} than it takes"

    return words


def _not_of_type(name: str, extra: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    match extra.get("input_config"):
        case [str() as kind, *_]:
            return f"wants {_TYPES.get(kind, plain(kind))} as {name} and gets {shown(extra.get('received_value'))}"
    return f"cannot read {shown(extra.get('received_value'))} as {name}"


def _mismatch(name: str, extra: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    source = extra.get("linked_node")
    place = f" from node {plain(str(source[0]))}" if isinstance(source, list) and source else ""
    config = extra.get("input_config")
    wanted = plain(str(config[0])) if isinstance(config, list) and config else "another type"
    return f"wants {wanted} as {name} and gets {plain(str(extra.get('received_type', 'another')))}{place}"


def _crashed(_: str, extra: Mapping[str, Any], fault: Mapping[str, Any]) -> str:
    details = plain(str(fault.get("details", "")))
    match extra.get("exception_type"):
        case "KeyError":
            return f"is connected to node {details.strip(chr(39))}, which is not there"
        case "IndexError":
            return "is connected to an output that its source does not have"
    return f"could not be checked: {details}"


_WORDS: Final[Mapping[str, _Words]] = {
    "required_input_missing": lambda name, *_: f"lacks its input {name}",
    "value_smaller_than_min": _bound("less", "min"),
    "value_bigger_than_max": _bound("more", "max"),
    "invalid_input_type": _not_of_type,
    "return_type_mismatch": _mismatch,
    "bad_linked_input": lambda name, *_: f"has a list as {name} that is no link",
    "custom_validation_failed": lambda _name, _extra, fault: f"says: {plain(str(fault.get('details', '')))}",
    "exception_during_validation": _crashed,
    "exception_during_inner_validation": _crashed,
}


def failure(fault: Fault, workflow: Workflow, where: str) -> KanjiprepError:
    """What to tell of a workflow that was taken and not finished.

    Args:
        fault: As the history has it.
        workflow: What ran.
        where: The workflow's name.
    """
    if fault.is_interrupted:
        return RemoteError("was stopped on the server by somebody else", where, "ask who it was, and run it again")
    name = f"node {plain(fault.node)} ({plain(fault.kind)})" if fault.node else "a node"
    if re.search(r"'NoneType' object has no attribute 'tokenize'|clip input is invalid: None", fault.message):
        what = f"{name} has no text encoder, for the checkpoint that its CLIP comes from holds none"
        remedy = "connect the CLIP of a TripleCLIPLoader with clip_l, clip_g and t5xxl (ComfyUI issue 5388)"
        return InputError(what, where, remedy)
    if gone := re.search(r"Model in folder '([^']*)' with filename '([^']*)' not found", fault.message):
        what = f"{name} wants the file {shown(gone[2])}, which is not in models/{plain(gone[1])}"
        return InputError(what, where, _PUT)
    return RemoteError(*_server_failure(fault, name, workflow, where))


def _server_failure(fault: Fault, name: str, workflow: Workflow, where: str) -> tuple[str, str, str]:
    said = plain(fault.message) or plain(fault.exception) or "an error without a message"
    if "OutOfMemory" in fault.exception or re.search(r"out of memory|Allocation on device", fault.message):
        remedy = "take the fp8 files or fewer pixels, or start ComfyUI with --lowvram"
        return f"the server's memory is too small for {name}: {said}", where, remedy
    if "SafetensorError" in fault.exception or "deserializing header" in fault.message:
        files = _files(workflow, fault.node)
        which = f" ({', '.join(files)})" if files else ""
        return f"{name} reads a file that is cut off or damaged{which}: {said}", where, "copy it to the server anew"
    if re.search(r"shapes cannot be multiplied|size mismatch", fault.message):
        remedy = "check that checkpoint, text encoders, VAE and LoRA are of the same model"
        return f"{name} got parts that do not fit each other: {said}", where, remedy
    return f"{name} failed on the server: {said}", where, "look at what ComfyUI has printed"


def _files(workflow: Workflow, node_id: str) -> list[str]:
    node = workflow.node(node_id)
    values = node.inputs.values() if node is not None else ()
    return [shown(one) for one in values if not isinstance(one, Link) and str(one).lower().endswith(_MODEL)]
