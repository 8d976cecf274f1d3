"""What ComfyUI 0.3.64 answers to a workflow, for the fake server: its nodes, in its own words, and its refusals.

Recorded from the real one: GET /object_info (its tooltips left out), and POST /prompt of workflows with each fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Api = dict[str, Any]
Answer = tuple[int, dict[str, Any]]


def node(required: dict[str, list[Any]], outputs: list[str], is_output: bool = False) -> dict[str, Any]:
    return {
        "input": {"required": required},
        "input_order": {"required": list(required)},
        "output": outputs,
        "output_is_list": [False] * len(outputs),
        "output_name": outputs,
        "description": "",
        "python_module": "nodes",
        "category": "kanji",
        "output_node": is_output,
    }


def number(kind: str, default: float, least: float, most: float) -> list[Any]:
    return [kind, {"default": default, "min": least, "max": most}]


def object_info(files: dict[str, list[str]]) -> dict[str, Any]:
    """The nodes of an SD3 workflow; TripleCLIPLoader has the newer form of a choice."""
    encoder = ["COMBO", {"multiselect": False, "options": files["text_encoders"]}]
    side = number("INT", 1024, 16, 16384)
    samplers = ["euler", "dpmpp_2m", *(f"other_{count}" for count in range(40))]
    return {
        "CheckpointLoaderSimple": node({"ckpt_name": [files["checkpoints"], {}]}, ["MODEL", "CLIP", "VAE"]),
        "TripleCLIPLoader": node({f"clip_name{count}": encoder for count in (1, 2, 3)}, ["CLIP"]),
        "LoraLoaderModelOnly": node(
            {
                "model": ["MODEL"],
                "lora_name": [files["loras"]],
                "strength_model": number("FLOAT", 1.0, -100.0, 100.0),
            },
            ["MODEL"],
        ),
        "CLIPTextEncode": node({"text": ["STRING", {"multiline": True}], "clip": ["CLIP", {}]}, ["CONDITIONING"]),
        "EmptySD3LatentImage": node(
            {"width": side, "height": side, "batch_size": number("INT", 1, 1, 4096)}, ["LATENT"]
        ),
        "KSampler": node(
            {
                "model": ["MODEL", {}],
                "seed": number("INT", 0, 0, 18446744073709551615),
                "steps": number("INT", 20, 1, 10000),
                "cfg": number("FLOAT", 8.0, 0.0, 100.0),
                "sampler_name": [samplers, {}],
                "scheduler": [["simple", "sgm_uniform"], {}],
                "positive": ["CONDITIONING", {}],
                "negative": ["CONDITIONING", {}],
                "latent_image": ["LATENT", {}],
                "denoise": number("FLOAT", 1.0, 0.0, 1.0),
            },
            ["LATENT"],
        ),
        "VAEDecode": node({"samples": ["LATENT", {}], "vae": ["VAE", {}]}, ["IMAGE"]),
        "SaveImage": node({"images": ["IMAGE", {}], "filename_prefix": ["STRING", {"default": "ComfyUI"}]}, [], True),
        "PreviewImage": node({"images": ["IMAGE"]}, [], True),
        "PreviewAny": node({"source": ["*", {}]}, [], True),
    }


@dataclass
class Rules:
    """Refuses as the real server does, with its own gaps: it does not check choices of the newer form."""

    nodes: dict[str, Any]
    found: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def refuse(self, prompt: Api) -> tuple[Answer | None, dict[str, Any]]:
        """What is answered instead of taking it, and the faults of nodes whose output is left out."""
        for name, one in prompt.items():
            kind = one.get("class_type")
            if kind is None:
                said = "Cannot execute because a node is missing the class_type property."
                return whole("invalid_prompt", said, f"Node ID '#{name}'"), {}
            if kind not in self.nodes:
                said = f"Cannot execute because node {kind} does not exist."
                return whole("invalid_prompt", said, f"Node ID '#{name}'"), {}
        outputs = [name for name, one in prompt.items() if self.nodes[one["class_type"]]["output_node"]]
        if not outputs:
            return whole("prompt_no_outputs", "Prompt has no outputs"), {}
        good = [name for name in outputs if self._is_right(prompt, name)]
        faults = {
            name: {"errors": told, "dependent_outputs": outputs, "class_type": prompt[name]["class_type"]}
            for name, told in self.found.items()
            if told
        }
        if good:
            return None, faults
        status, answer = whole("prompt_outputs_failed_validation", "Prompt outputs failed validation")
        return (status, {**answer, "node_errors": faults}), {}

    def _is_right(self, prompt: Api, name: str) -> bool:
        try:
            return self._check(prompt, name)
        except RecursionError:
            return False  # the real one loses the reason, too
        except LookupError as error:
            extra = {"exception_type": type(error).__name__, "traceback": []}
            self.found[name] = [fault("exception_during_validation", "Exception when validating node", error, extra)]
            return False

    def _check(self, prompt: Api, name: str) -> bool:
        if name in self.found:
            return not self.found[name]
        told, is_right = [], True
        given = prompt[name]["inputs"]
        for key, config in self.nodes[prompt[name]["class_type"]]["input"]["required"].items():
            if key not in given:
                extra = {"input_name": key}
                told.append(fault("required_input_missing", "Required input is missing", key, extra))
            elif isinstance(given[key], list):
                link = given[key]
                made = self.nodes[prompt[link[0]]["class_type"]]["output"][link[1]]
                if made != config[0] and config[0] != "*":
                    told.append(mismatch(key, config, made, link))
                else:
                    is_right = self._check(prompt, link[0]) and is_right
            else:
                told += value_faults(key, config, given[key])
        self.found[name] = told
        return is_right and not told


def value_faults(key: str, config: list[Any], value: Any) -> Iterator[dict[str, Any]]:
    extra = {"input_name": key, "input_config": config, "received_value": value}
    kind, limits = config[0], (config[1] if len(config) > 1 else {})
    try:
        value = {"INT": int, "FLOAT": float}.get(str(kind), lambda same: same)(value)
    except (ValueError, TypeError) as error:
        said = f"Failed to convert an input value to a {kind} value"
        yield fault(
            "invalid_input_type", said, f"{key}, {value}, {error}", {**extra, "exception_message": str(error)}
        )
        return
    if "min" in limits and value < limits["min"]:
        yield fault("value_smaller_than_min", f"Value {value} smaller than min of {limits['min']}", key, extra)
    elif "max" in limits and value > limits["max"]:
        yield fault("value_bigger_than_max", f"Value {value} bigger than max of {limits['max']}", key, extra)
    elif isinstance(kind, list) and value not in kind:
        is_long = len(kind) > 20
        known = f"(list of length {len(kind)})" if is_long else str(kind)
        extra["input_config"] = None if is_long else config
        yield fault("value_not_in_list", "Value not in list", f"{key}: '{value}' not in {known}", extra)


def mismatch(key: str, config: list[Any], made: str, link: list[Any]) -> dict[str, Any]:
    extra = {"input_name": key, "input_config": config, "received_type": made, "linked_node": link}
    details = f"{key}, received_type({made}) mismatch input_type({config[0]})"
    return fault("return_type_mismatch", "Return type mismatch between linked nodes", details, extra)


def fault(kind: str, message: str, details: object, extra: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "message": message, "details": str(details), "extra_info": extra}


def whole(kind: str, message: str, details: str = "") -> Answer:
    return 400, {"error": fault(kind, message, details, {}), "node_errors": {}}
