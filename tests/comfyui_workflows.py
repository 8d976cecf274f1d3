"""A workflow that is right, and small changes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kanjiprep.publishing.comfyui.graph import Link, Node, Value, Workflow

SD3 = Workflow(
    (
        Node("1", "CheckpointLoaderSimple", {"ckpt_name": "sd3.5_large.safetensors"}),
        Node(
            "2",
            "TripleCLIPLoader",
            {
                "clip_name1": "clip_l.safetensors",
                "clip_name2": "clip_g.safetensors",
                "clip_name3": "t5xxl_fp16.safetensors",
            },
            "Text encoders",
        ),
        Node(
            "3",
            "LoraLoaderModelOnly",
            {"model": Link("1", 0), "lora_name": "kanji.safetensors", "strength_model": 1.0},
        ),
        Node("4", "CLIPTextEncode", {"clip": Link("2", 0), "text": "a kanji that means river"}, "Positive"),
        Node("5", "CLIPTextEncode", {"clip": Link("2", 0), "text": "blurry, cropped, ugly"}, "Negative"),
        Node("6", "EmptySD3LatentImage", {"width": 1024, "height": 1024, "batch_size": 1}),
        Node(
            "7",
            "KSampler",
            {
                "model": Link("3", 0),
                "positive": Link("4", 0),
                "negative": Link("5", 0),
                "latent_image": Link("6", 0),
                "seed": 42,
                "steps": 30,
                "cfg": 4.5,
                "sampler_name": "dpmpp_2m",
                "scheduler": "sgm_uniform",
                "denoise": 1.0,
            },
        ),
        Node("8", "VAEDecode", {"samples": Link("7", 0), "vae": Link("1", 2)}),
        Node("9", "SaveImage", {"images": Link("8", 0), "filename_prefix": "kanji"}),
    )
)
"""For a LoRA of Stable Diffusion 3.5 Large."""

SD1 = Workflow(
    (
        Node("1", "CheckpointLoaderSimple", {"ckpt_name": "v1-5-pruned-emaonly.safetensors"}),
        Node("4", "CLIPTextEncode", {"clip": Link("1", 1), "text": "a kanji that means river"}),
        Node("5", "CLIPTextEncode", {"clip": Link("1", 1), "text": ""}),
        Node("6", "EmptyLatentImage", {"width": 512, "height": 512, "batch_size": 1}),
        Node(
            "7",
            "KSampler",
            dict(SD3.nodes[6].inputs) | {"model": Link("1", 0), "cfg": 7.5, "scheduler": "normal"},
        ),
        *SD3.nodes[7:],
    )
)
"""For Stable Diffusion 1.5."""


def given(workflow: Workflow, node_id: str, **inputs: Link | Value) -> Workflow:
    """With inputs of a node changed or added."""
    return _changed(workflow, node_id, lambda node: replace(node, inputs={**node.inputs, **inputs}))


def left_out(workflow: Workflow, node_id: str, *names: str) -> Workflow:
    """Without some inputs of a node."""
    kept = {name: value for name, value in _node(workflow, node_id).inputs.items() if name not in names}
    return _changed(workflow, node_id, lambda node: replace(node, inputs=kept))


def of_kind(workflow: Workflow, node_id: str, kind: str, **inputs: Link | Value) -> Workflow:
    """With a node of another kind; its inputs stay unless others are given."""
    return _changed(workflow, node_id, lambda node: replace(node, kind=kind, inputs=inputs or node.inputs))


def titled(workflow: Workflow, node_id: str, title: str) -> Workflow:
    """With another title on a node."""
    return _changed(workflow, node_id, lambda node: replace(node, title=title))


def with_node(workflow: Workflow, node_id: str, kind: str, **inputs: Link | Value) -> Workflow:
    """With one more node."""
    return Workflow((*workflow.nodes, Node(node_id, kind, inputs)))


def without(workflow: Workflow, node_id: str) -> Workflow:
    """Without a node; links to it stay."""
    return Workflow(tuple(node for node in workflow.nodes if node.id != node_id))


def _node(workflow: Workflow, node_id: str) -> Node:
    return next(node for node in workflow.nodes if node.id == node_id)


def _changed(workflow: Workflow, node_id: str, change: Callable[[Node], Node]) -> Workflow:
    _node(workflow, node_id)
    return Workflow(tuple(change(node) if node.id == node_id else node for node in workflow.nodes))
