"""Good inputs of the targets of what is published: adapters, and ComfyUI's workflows and answers."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

from PIL import Image, PngImagePlugin

from kanjiprep.evaluation.weights.safetensors_file import Raw
from kanjiprep.publishing.comfyui.forms.ui_form import to_ui
from kanjiprep.publishing.comfyui.graph import to_api
from kanjiprep.publishing.comfyui.nodes import TABLE
from tests import comfyui_workflows, lora_files
from tests.fuzz.seeds import Seeds, as_json, file_of
from tests.lora_files import SD3, UNET
from tests.test_comfyui_answers import of_node
from tests.test_comfyui_ui_form import TestSubgraphs, node, ui


def adapters() -> Seeds:
    small = lora_files.weights(SD3[:3], width=8)
    words = lora_files.said(r=4, lora_alpha=2)
    found = [lora_files.named(small, style) for style in ("diffusers-peft", "kohya", "diffusion_model")]
    found.append(lora_files.named(lora_files.weights(UNET[:3], width=8), "kohya", alpha=2.0, dtype="F32"))
    return [*map(_adapter, found), _adapter(found[0], words)]


def _adapter(tensors: Mapping[str, Raw], metadata: Mapping[str, str] | None = None) -> bytes:
    return file_of(lambda path: lora_files.write(path, tensors, metadata))


def headers() -> Seeds:
    """Wide enough for a family that is known."""
    some = [lora_files.named(lora_files.weights(names), "diffusers-peft") for names in (SD3, UNET)]
    some.append(lora_files.named(lora_files.weights(UNET), "kohya", alpha=2.0))
    wide = [_adapter(one, lora_files.said(r=4, lora_alpha=2)) for one in some]
    lokr = {
        f"lycoris_{lora_files.flat(SD3[0])}.{part}": {
            "dtype": "F16",
            "shape": shape,
            "data_offsets": [start, start + 32],
        }
        for start, part, shape in ((0, "lokr_w1", [4, 4]), (32, "lokr_w2", [4, 4]))
    }
    return [*map(_header_of, wide), *map(_header_of, adapters()), as_json(lokr)]


def _header_of(data: bytes) -> bytes:
    return data[8 : 8 + int.from_bytes(data[:8], "little")].rstrip()


def settings() -> Seeds:
    words = lora_files.said(r=4, lora_alpha=2, rank_pattern={"to_k": 4}, alpha_pattern={"^to_k": 8}, use_rslora=True)
    return [words["lora_adapter_metadata"].encode(), lora_files.said()["lora_adapter_metadata"].encode()]


def _graphs() -> list[object]:
    graphs = (comfyui_workflows.SD3, comfyui_workflows.SD1)
    api, drawn = [to_api(one) for one in graphs], [to_ui(one, TABLE) for one in graphs]
    nested = ui(
        node(1, "CheckpointLoaderSimple", "x"),
        node(5, "sampling", 9, 6.0, inputs=(("model", "MODEL", 1),)),
        node(6, "SaveImage", "k", inputs=[("images", "IMAGE", 2)]),
        node(7, "PrimitiveNode", 3, "fixed"),
        node(8, "Reroute", inputs=[("", "*", 2)], mode=4),
        links=[[1, 1, 0, 5, 0, "MODEL"], [2, 5, 0, 6, 0, "IMAGE"], [3, 7, 0, 5, 1, "INT"]],
        definitions={"subgraphs": [TestSubgraphs.SAMPLING]},
    )
    return [*api, *drawn, nested, {"prompt": api[0], "workflow": drawn[0]}]


def workflows() -> Seeds:
    return [as_json(one) for one in _graphs()]


def pictures() -> Seeds:
    api, _, drawn, *_ = _graphs()
    texts = {"prompt": json.dumps(api), "workflow": json.dumps(drawn)}
    return [_picture(texts), _picture(texts, packed=True), _picture({"prompt": "{}"}, international=True)]


def _picture(texts: Mapping[str, str], *, packed: bool = False, international: bool = False) -> bytes:
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        if international:
            info.add_itxt(name, text, zip=True)
        else:
            info.add_text(name, text, zip=packed)
    out = io.BytesIO()
    Image.new("L", (2, 2)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def server_answers() -> Seeds:
    mine = "b2c5a9f1"
    images = [{"filename": "a.png", "subfolder": "", "type": "output"}]
    told = {"node_id": "7", "node_type": "KSampler", "exception_message": "out of memory", "exception_type": "X"}
    broken = {"status_str": "error", "messages": [["execution_error", told]]}
    extra = {"input_name": "lora_name", "input_config": [["a", "b"], {}], "received_value": "c.safetensors"}
    limits = {"input_name": "width", "input_config": ["INT", {"min": 16, "max": 64}], "received_value": 8}
    return [
        as_json({"queue_running": [[0, "a"]], "queue_pending": [[2, mine], [1, "b"]]}),
        as_json({mine: {"outputs": {"9": {"images": images}}, "status": {"status_str": "success", "messages": []}}}),
        as_json({mine: {"outputs": {}, "status": broken}}),
        as_json({"type": "progress", "data": {"value": 3, "max": 30, "prompt_id": mine, "node": "7"}}),
        as_json({"type": "progress_state", "data": {"nodes": {"7": {"value": 1, "max": 3, "state": "running"}}}}),
        as_json(of_node("LoraLoader", {"type": "value_not_in_list", "extra_info": extra})),
        as_json(of_node("Empty", {"type": "value_smaller_than_min", "extra_info": limits, "details": "x"})),
        as_json(
            {"error": {"type": "invalid_prompt", "message": "node X does not exist.", "details": "Node ID '#1'"}}
        ),
    ]
