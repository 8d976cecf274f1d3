"""What a ComfyUI server says, read and put in words; the answers are those that the real one gave."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kanjiprep.errors import InputError, KanjiprepError, RemoteError, UsageError
from kanjiprep.publishing.comfyui.graph import Workflow, from_api
from kanjiprep.publishing.comfyui.live import address, answers, refusals
from kanjiprep.publishing.comfyui.live.answers import Fault, Picture, Step
from tests.comfyui_rules import Rules, object_info

API: dict[str, Any] = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd3.5_large.safetensors"}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a kanji"}},
    "6": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["6", 0], "vae": ["1", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "kanji"}},
}
FILES = {"checkpoints": ["sd3.5_large.safetensors"], "loras": [], "text_encoders": []}
WORKFLOW = from_api(API, "")
ID = "b2c5a9f1"


def changed(node: str, **inputs: object) -> dict[str, Any]:
    inputs = {**API[node]["inputs"], **inputs}
    return {**API, node: {**API[node], "inputs": {key: one for key, one in inputs.items() if one is not ...}}}


def said(api: dict[str, Any], **files: list[str]) -> str:
    refused, left_out = Rules(object_info({**FILES, **files})).refuse(api)
    answer = refused[1] if refused else {"node_errors": left_out}
    return str(refusals.refusal(json.loads(json.dumps(answer)), from_api(API, ""), "kanji"))


def of_node(kind: str, fault: dict[str, Any]) -> dict[str, Any]:
    return {"node_errors": {"1": {"class_type": kind, "errors": [fault]}}}


CHECK = "mend the workflow, or take one that kanjiprep comfyui has written"
PUT = "put what is missing into that folder of ComfyUI, or take a name that it has"


def test_a_missing_file_is_named_with_its_folder() -> None:
    what = "kanji: the server does not take it: node 1 (CheckpointLoaderSimple) wants the file"
    name = "'sd3.5_large.safetensors', which is not in models/checkpoints"
    assert said(API, checkpoints=[]) == f"{what} {name} (there is none); {PUT}"
    there = ["a.safetensors", "b.safetensors", "c.safetensors", "sd3.5_large_fp8.safetensors"]
    assert said(API, checkpoints=there).startswith(f"{what} {name} (there is 'sd3.5_large_fp8.safetensors', ")
    assert said(API, checkpoints=[f"{one}.ckpt" for one in range(21)]) == f"{what} {name}; {PUT}"


def test_a_file_of_a_custom_node_is_told_as_one() -> None:
    extra = {"input_name": "gguf_name", "input_config": None, "received_value": "x.gguf"}
    answer = of_node("Odd", {"type": "value_not_in_list", "extra_info": extra})
    words = "node 1 (Odd) wants the file 'x.gguf', which is not in what gguf_name lists"
    assert words in str(refusals.refusal(answer, WORKFLOW, "w"))


def test_a_choice_of_the_newer_form_is_offered() -> None:
    config = ["COMBO", {"multiselect": False, "options": ["euler", "heun"]}]
    extra = {"input_name": "sampler_name", "input_config": config, "received_value": "eular"}
    answer = of_node("K", {"type": "value_not_in_list", "extra_info": extra})
    words = "node 1 (K) has 'eular' as sampler_name, which is not to choose from (there is 'euler', ...)"
    assert words in str(refusals.refusal(answer, WORKFLOW, "w"))


@pytest.mark.parametrize(
    ("api", "words"),
    [
        (changed("6", width=...), "node 6 (EmptySD3LatentImage) lacks its input width"),
        (changed("6", width=8), "node 6 (EmptySD3LatentImage) has width 8, less than 16"),
        (changed("6", batch_size=5000), "node 6 (EmptySD3LatentImage) has batch_size 5000, more than 4096"),
        (changed("6", width="wide"), "node 6 (EmptySD3LatentImage) wants a whole number as width and gets 'wide'"),
        (changed("9", images=["6", 0]), "node 9 (SaveImage) wants IMAGE as images and gets LATENT from node 6"),
        (changed("9", images=["99", 0]), "node 9 (SaveImage) is connected to node 99, which is not there"),
        (
            changed("9", images=["8", 7]),
            "node 9 (SaveImage) is connected to an output that its source does not have",
        ),
    ],
)
def test_a_fault_of_a_node_is_told_in_words(api: dict[str, Any], words: str) -> None:
    assert said(api) == f"kanji: the server does not take it: {words}; {CHECK}"


def test_faults_are_told_in_the_order_of_the_nodes_and_the_rest_is_counted() -> None:
    api = {**API, **{f"a{one}": {"class_type": "SaveImage", "inputs": {}} for one in range(5)}}
    api["6"] = {**api["6"], "inputs": {}}
    told = said(api)
    assert told.index("node 6") < told.index("node a0")
    assert "batch_size, and node a0 (SaveImage) lacks its input images" in told
    assert ", and 7 more faults; " in told


def test_an_output_that_is_left_out_is_a_fault() -> None:
    assert "node b (SaveImage) lacks its input images" in said(
        {**API, "b": {"class_type": "SaveImage", "inputs": {}}}
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            {"type": "invalid_prompt", "message": "Cannot execute because node Nope does not exist."}
            | {"details": "Node ID '#12'"},
            "the server has no node Nope (node 12); update ComfyUI, or install the custom nodes that bring it",
        ),
        (
            {"type": "missing_node_type", "message": "Node 'Nope' not found. The custom node may not be installed."},
            "the server has no node Nope; update ComfyUI, or install the custom nodes that bring it",
        ),
        (
            {"type": "prompt_no_outputs", "message": "Prompt has no outputs", "details": ""},
            "has no node that saves a picture; let it end in a SaveImage node",
        ),
        (
            {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"},
            f"the server does not take it and does not say why, as for links in a circle; {CHECK}",
        ),
        (
            {"type": "odd", "message": "Something\x1b[31m\nodd", "details": "x" * 300},
            f"the server does not take it: Something [31m odd {'x' * 220}…; {CHECK}",
        ),
        ("as older servers say", f"the server does not take it: as older servers say; {CHECK}"),
        (None, f"the server does not take it: no reason is given; {CHECK}"),
    ],
)
def test_a_refusal_of_the_whole_is_told_in_words(error: object, words: str) -> None:
    assert str(refusals.refusal({"error": error, "node_errors": []}, WORKFLOW, "w")) == f"w: {words}"


def test_a_circle_of_links_is_refused_without_a_reason() -> None:
    lora = {"model": ["1", 0], "lora_name": "kanji.safetensors", "strength_model": 1.0}
    circle = {"class_type": "LoraLoaderModelOnly", "inputs": lora}
    api = {"1": circle, "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}
    assert "does not say why, as for links in a circle" in said(api, loras=["kanji.safetensors"])


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"type": "odd", "message": "M", "details": "D"}, "says: M: D"),
        ({"type": "custom_validation_failed", "details": "image - Invalid image file: no.png"}, "says: image - "),
        (
            {"type": "bad_linked_input", "extra_info": {"input_name": "images"}},
            "has a list as images",
        ),
        (
            {"type": "value_bigger_than_max", "extra_info": {"input_name": "a", "received_value": 2}},
            "has a 2, ",
        ),
        ({"type": "invalid_input_type", "extra_info": {"input_name": "a"}}, "cannot read None as a"),
        (
            {"type": "return_type_mismatch", "extra_info": {"input_name": "a"}},
            "wants another type as a and",
        ),
        ({"type": "exception_during_inner_validation", "details": "boom"}, "could not be checked: boom"),
        ({"type": "value_not_in_list", "extra_info": []}, "has None as , which is not to choose from"),
    ],
)
def test_other_faults_and_halves_of_faults_are_told_too(fault: dict[str, Any], words: str) -> None:
    answer = {"node_errors": {"4": {"class_type": "Odd", "errors": [fault, "no fault"]}, "5": "nothing", "6": {}}}
    told = str(refusals.refusal(answer, WORKFLOW, "w"))
    assert told.startswith(f"w: the server does not take it: node 4 (Odd) {words}")


def failed(message: str, exception: str = "RuntimeError") -> KanjiprepError:
    return refusals.failure(Fault("1", "CheckpointLoaderSimple", message, exception), WORKFLOW, "w")


@pytest.mark.parametrize(
    "message",
    [
        "ERROR: clip input is invalid: None\n\nIf the clip is from a checkpoint loader node your checkpoint does not",
        "'NoneType' object has no attribute 'tokenize'",
    ],
)
def test_a_checkpoint_without_text_encoders_is_told_with_its_fix(message: str) -> None:
    error = failed(message)
    assert isinstance(error, InputError)
    assert str(error) == (
        "w: node 1 (CheckpointLoaderSimple) has no text encoder, for the checkpoint that its CLIP comes from holds "
        "none; connect the CLIP of a TripleCLIPLoader with clip_l, clip_g and t5xxl (ComfyUI issue 5388)"
    )


def test_a_file_that_is_missed_only_when_it_runs_is_told_as_one() -> None:
    error = failed("Model in folder 'text_encoders' with filename 'clip_g.safetensors' not found.\n")
    assert isinstance(error, InputError)
    assert "wants the file 'clip_g.safetensors', which is not in models/text_encoders" in str(error)


@pytest.mark.parametrize(
    ("message", "exception", "words"),
    [
        ("Allocation on device", "torch.OutOfMemoryError", "the server's memory is too small for node 1"),
        ("CUDA out of memory. Tried", "RuntimeError", "or start ComfyUI with --lowvram"),
        (
            "Error while deserializing header: header too large\n",
            "safetensors._safetensors_rust.SafetensorError",
            "reads a file that is cut off or damaged ('sd3.5_large.safetensors'): Error while",
        ),
        (
            "mat1 and mat2 shapes cannot be multiplied (77x768)",
            "RuntimeError",
            "got parts that do not fit",
        ),
        ("boom\nbang", "ValueError", "node 1 (CheckpointLoaderSimple) failed on the server: boom bang; look at"),
        ("", "ValueError", "failed on the server: ValueError"),
    ],
)
def test_a_failure_of_the_server_is_one(message: str, exception: str, words: str) -> None:
    error = failed(message, exception)
    assert isinstance(error, RemoteError)
    assert words in str(error)


def test_a_damaged_file_of_an_unknown_node_has_no_name() -> None:
    error = refusals.failure(Fault("77", "Odd", "Error while deserializing header", ""), WORKFLOW, "w")
    assert str(error).startswith("w: node 77 (Odd) reads a file that is cut off or damaged: ")


def test_an_end_without_a_reason_and_an_interruption_are_told() -> None:
    assert "a node failed on the server: an error" in str(refusals.failure(Fault("", "", "", ""), WORKFLOW, "w"))
    stopped = refusals.failure(Fault("7", "KSampler", "", "", is_interrupted=True), WORKFLOW, "w")
    assert str(stopped) == "w: was stopped on the server by somebody else; ask who it was, and run it again"


def test_the_place_in_the_queue_is_counted_by_numbers_not_by_the_order_of_the_list() -> None:
    queue = {"queue_running": [[3, "a", {}, {}, []]], "queue_pending": [[9, "d"], [4, "b"], [7, "c"], "odd"]}
    assert [answers.place_of(queue, name) for name in "abcd"] == [0, 2, 3, 4]
    assert answers.place_of({"queue_running": "odd"}, "a") is None


def entry(outputs: object, *messages: object, status: str = "success") -> dict[str, Any]:
    return {ID: {"outputs": outputs, "status": {"status_str": status, "messages": list(messages)}}}


def image(name: str, kind: str = "output") -> dict[str, str]:
    return {"filename": name, "subfolder": "deep/漢字", "type": kind}


def test_pictures_that_are_saved_come_before_those_that_are_shown() -> None:
    outputs = {"4": {"images": [image("shown.png", "temp")]}, "9": {"images": [image("x y#?.png"), "odd", {}]}}
    outcome = answers.outcome_of(entry(outputs), ID, WORKFLOW)
    assert outcome is not None
    assert outcome.pictures == (Picture("x y#?.png", "deep/漢字", "output", "9"),)
    query = "filename=x+y%23%3F.png&subfolder=deep%2F%E6%BC%A2%E5%AD%97&type=output"
    assert outcome.pictures[0].path == f"/view?{query}"
    del outputs["9"]
    outcome = answers.outcome_of(entry(outputs), ID, WORKFLOW)
    assert outcome is not None
    assert [one.filename for one in outcome.pictures] == ["shown.png"]


def test_pictures_come_in_the_order_of_the_nodes() -> None:
    outputs = {"zz": {"images": [image("3")]}, "9": {"images": [image("2")]}, "8:1": {"images": [image("1")]}}
    outcome = answers.outcome_of(entry(outputs), ID, WORKFLOW)
    assert outcome is not None
    assert [one.filename for one in outcome.pictures] == ["1", "2", "3"]


def test_an_end_is_read_from_the_history() -> None:
    about = {"node_id": "5", "node_type": "CLIPTextEncode", "exception_message": "m", "exception_type": "E"}
    for kind, fault in (
        ("execution_error", Fault("5", "CLIPTextEncode", "m", "E")),
        ("execution_interrupted", Fault("5", "CLIPTextEncode", "m", "E", is_interrupted=True)),
    ):
        outcome = answers.outcome_of(entry({}, ["execution_start", {}], [kind, about], status="error"), ID, WORKFLOW)
        assert outcome == answers.Outcome((), fault)
    assert answers.outcome_of(entry([], status="error"), ID, WORKFLOW) == answers.Outcome((), Fault("", "", "", ""))
    assert answers.outcome_of({ID: {}}, ID, WORKFLOW) == answers.Outcome((), None)
    assert answers.outcome_of({}, ID, WORKFLOW) is None


@pytest.mark.parametrize(
    ("kind", "data", "meaning"),
    [
        ("progress", {"value": 2, "max": 6, "prompt_id": ID, "node": "7"}, Step("7", 2, 6)),
        ("progress", {"value": 2, "max": 6, "node": "7"}, Step("7", 2, 6)),
        ("progress", {"value": 2, "max": 6, "prompt_id": "another", "node": "7"}, None),
        ("progress", {"value": 7, "max": 6, "prompt_id": ID, "node": "7"}, None),
        ("progress", {"value": "2", "max": 6, "prompt_id": ID}, None),
        ("progress_state", {"prompt_id": ID, "nodes": {"1": {"value": 1.0, "max": 1.0, "state": "finished"}}}, None),
        (
            "progress_state",
            {"prompt_id": ID, "nodes": {"1": 5, "7": {"value": 3.0, "max": 6.0, "state": "running"}}},
            Step("7", 3, 6),
        ),
        ("executing", {"node": "7", "prompt_id": ID}, None),
        ("executing", {"node": None, "prompt_id": ID}, "end"),
        ("executing", {"node": None, "prompt_id": "another"}, None),
        ("execution_success", {"prompt_id": ID, "timestamp": 1}, "end"),
        ("status", {"status": {"exec_info": {"queue_remaining": 1}}}, None),
        ("crystools.monitor", [], None),
    ],
)
def test_a_message_means_a_step_an_end_or_nothing(kind: str, data: object, meaning: answers.Heard) -> None:
    assert answers.heard(json.dumps({"type": kind, "data": data}), ID) == meaning


ENDLESS = '{"type": "progress", "data": {"value": Infinity, "max": Infinity}}'


@pytest.mark.parametrize("text", [b"\x00\x00\x00\x01", "", "[]", "{}", "nonsense", "[" * 100_000, ENDLESS])
def test_what_is_no_message_means_nothing(text: str | bytes) -> None:
    assert answers.heard(text, ID) is None


@pytest.mark.parametrize(
    ("url", "base", "host", "port"),
    [
        ("http://127.0.0.1:8188", "http://127.0.0.1:8188", "127.0.0.1", 8188),
        (" http://Box:8188/prefix/ ", "http://Box:8188/prefix", "box", 8188),
        ("https://box.example/#1234-5678", "https://box.example", "box.example", 443),
        ("http://[::1]", "http://[::1]", "::1", 80),
        ("http://anna:secret%20word@box:1", "http://box:1", "box", 1),
    ],
)
def test_an_address_is_read(url: str, base: str, host: str, port: int) -> None:
    read = address.parse(url)
    assert (read.base, read.host, read.port) == (base, host, port)
    assert "secret" not in repr(read)
    assert "c2Vj" not in repr(read)


def test_user_and_password_are_sent_and_not_shown() -> None:
    assert address.parse("http://anna:p%40ss@box").authorization == "Basic YW5uYTpwQHNz"
    assert address.parse("http://anna@box").authorization == "Basic YW5uYTo="
    assert address.parse("http://box").authorization == ""


def test_the_websocket_is_beside_the_rest() -> None:
    there = address.parse("https://anna:secret@box/prefix")
    assert address.socket_url(there, "a b") == "wss://box/prefix/ws?clientId=a%20b"
    assert not there.is_here
    assert address.parse(address.DEFAULT).is_here


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "is empty, or holds spaces"),
        ("http://u:secret@a b", "is empty, or holds spaces"),
        ("http://кіт", "is empty, or holds spaces"),
        ("localhost:8188", "begins with neither http:// nor https://; write it as http://127.0.0.1:8188"),
        ("file:///etc/passwd", "begins with neither"),
        ("http://", "names no host"),
        ("http://u:secret@:80", "names no host"),
        ("http://u:secret@box/?token=secret", "has a query; leave out"),
        ("http://u:1/secret@box", "has an @ behind its host; write / in a password as %2F, # as %23"),
        ("http://u:1#secret@box", "has an @ behind its host"),
        ("http://u:secret@box:99999", "is no URL"),
        ("http://u:secret@box:0", "is no URL"),
        ("http://u:secret@[::1", "is no URL"),
    ],
)
def test_what_is_no_address_is_refused_without_its_secrets(url: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        address.parse(url)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_empty_workflow_has_no_files() -> None:
    assert "node 1 (Odd) failed" in str(refusals.failure(Fault("1", "Odd", "x", "E"), Workflow(()), "w"))
