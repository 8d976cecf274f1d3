"""The kinds of nodes: those written down, and those that a server describes in either of its two forms."""

from __future__ import annotations

from typing import Any

import pytest

from kanjiprep.errors import InputError
from kanjiprep.publishing.comfyui.kinds import fits
from kanjiprep.publishing.comfyui.nodes import TABLE, Input, NodeKind, from_object_info

KSAMPLER: dict[str, Any] = {
    "input": {
        "required": {
            "model": ["MODEL", {"tooltip": "..."}],
            "seed": ["INT", {"default": 0, "min": 0, "max": 2**64 - 1, "control_after_generate": True}],
            "cfg": ["FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0, "step": 0.1, "round": 0.01}],
            "sampler_name": [["euler", "ddim"], {"tooltip": "..."}],
        },
        "optional": {"mask": ["MASK"]},
        "hidden": {"prompt": "PROMPT"},
    },
    "input_order": {"required": ["model", "seed", "cfg", "sampler_name"], "optional": ["mask"]},
    "output": ["LATENT"],
    "output_name": ["LATENT"],
    "output_node": False,
}
TRIPLE: dict[str, Any] = {
    "input": {
        "required": {
            "clip_name1": ["COMBO", {"multiselect": False, "options": ["clip_l.safetensors"]}],
            "text": ["STRING", {"multiline": True, "default": "x"}],
            "flag": ["BOOLEAN", {"default": True}],
        }
    },
    "output": ["CLIP", "MASK"],
    "output_name": ["first", "second"],
    "output_node": True,
}


def kind(entry: dict[str, Any], name: str = "Own") -> NodeKind:
    return from_object_info({name: entry}, "http://127.0.0.1:8188")[name]


def one(spec: list[Any], name: str = "value") -> Input:
    found = kind({"input": {"required": {name: spec}}, "output": []}).input(name)
    assert found is not None
    return found


def test_the_old_form_is_read() -> None:
    assert kind(KSAMPLER) == NodeKind(
        "Own",
        (
            Input("model", "MODEL"),
            Input("seed", "INT", True, 0, 0, 2**64 - 1, control_after_generate=True),
            Input("cfg", "FLOAT", True, 8.0, 0.0, 100.0, 0.1),
            Input("sampler_name", "COMBO", choices=("euler", "ddim")),
            Input("mask", "MASK", False),
        ),
        ("LATENT",),
    )


def test_the_newer_form_is_read() -> None:
    assert kind(TRIPLE, "TripleCLIPLoader") == NodeKind(
        "TripleCLIPLoader",
        (
            Input("clip_name1", "COMBO", choices=("clip_l.safetensors",), folder="text_encoders"),
            Input("text", "STRING", default="x", is_long=True),
            Input("flag", "BOOLEAN", default=True),
        ),
        ("CLIP", "MASK"),
        is_output=True,
        output_names=("first", "second"),
    )


def test_inputs_have_the_order_that_the_server_says() -> None:
    entry = {**KSAMPLER, "input_order": {"required": ["cfg", "model", "gone", 3]}}
    assert [spec.name for spec in kind(entry).inputs] == ["cfg", "model", "mask"]


@pytest.mark.parametrize(
    ("spec", "name", "has_second"),
    [
        (["INT", {"control_after_generate": True}], "value", True),
        (["COMBO", {"control_after_generate": True, "options": []}], "value", True),
        (["INT", {}], "seed", True),
        (["INT"], "noise_seed", True),
        (["INT", {"control_after_generate": False}], "seed", False),
        (["INT", {}], "value", False),
        (["STRING", {}], "seed", False),
    ],
)
def test_a_seed_has_a_second_widget(spec: list[Any], name: str, has_second: bool) -> None:
    assert one(spec, name).control_after_generate is has_second


def test_what_must_be_connected_is_no_widget() -> None:
    assert not one(["INT", {"forceInput": True}]).is_widget
    assert one(["INT"]).is_widget
    assert not one(["MODEL"]).is_widget


def test_a_picture_that_can_be_sent_is_a_file_of_the_input_folder() -> None:
    spec = one([["a.mp4"], {"video_upload": True}])
    assert (spec.folder, spec.uploads, spec.choices) == ("input", True, ("a.mp4",))


def test_choices_that_the_ui_fetches_elsewhere_are_not_known() -> None:
    assert one(["COMBO", {"remote": {"route": "/x"}, "options": []}]).choices is None
    assert one(["COMBO", {}]).choices is None


def test_odd_descriptions_are_read_as_far_as_they_go() -> None:
    assert one([["a", None, ["b"], 3, True]]).choices == ("a", 3, True)
    assert one(["INT", {"default": [1], "min": "0", "max": True}]) == Input("value", "INT")
    assert one(["INT", "odd"]) == Input("value", "INT")
    odd = {"required": {"a": "INT", "b": []}, "optional": [], "hidden": 3}
    assert kind({"input": odd, "output": [["x"]], "output_name": ["p", "q"]}) == NodeKind("Own", (), ("COMBO",))


@pytest.mark.parametrize("entry", [None, 3, [], {}, {"input": {}}, {"input": [], "output": []}, {"output": []}])
def test_an_entry_that_describes_no_node_is_left_out(entry: object) -> None:
    assert set(from_object_info({"KSampler": KSAMPLER, "Odd": entry}, "x")) == {"KSampler"}


@pytest.mark.parametrize("document", [None, [], {}, "text", {"error": "no"}, {"Odd": {}}])
def test_what_is_no_list_of_nodes_is_refused(document: object) -> None:
    with pytest.raises(InputError) as caught:
        from_object_info(document, "http://host:1")
    assert str(caught.value) == (
        "http://host:1: has no list of nodes under /object_info; give the address of a ComfyUI server"
    )


class TestTable:
    def test_widgets_have_the_order_of_the_ui(self) -> None:
        names = [spec.name for spec in TABLE["KSampler"].widgets]
        assert names == ["seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"]
        assert [spec.name for spec in TABLE["TripleCLIPLoader"].widgets][:3] == [
            "clip_name1",
            "clip_name2",
            "clip_name3",
        ]

    def test_files_of_models_are_no_choices(self) -> None:
        files = [spec for kind in TABLE.values() for spec in kind.inputs if spec.folder]
        assert files
        assert all(spec.choices is None and spec.type == "COMBO" for spec in files)

    def test_defaults_are_within_their_own_limits(self) -> None:
        for kind in TABLE.values():
            for spec in kind.widgets:
                if isinstance(spec.default, int | float) and spec.least is not None and spec.most is not None:
                    assert spec.least <= spec.default <= spec.most, (kind.name, spec.name)
                if spec.choices is not None:
                    assert spec.default in spec.choices, (kind.name, spec.name)

    def test_names_are_unique_and_what_is_needed_can_be_made(self) -> None:
        made = {type_ for kind in TABLE.values() for type_ in kind.outputs}
        for name, kind in TABLE.items():
            assert kind.name == name
            assert len({spec.name for spec in kind.inputs}) == len(kind.inputs)
            assert len(kind.output_names) in (0, len(kind.outputs))
            assert all(spec.is_widget or spec.type in made for spec in kind.inputs)

    @pytest.mark.parametrize(
        ("kind", "outputs", "is_output"),
        [
            ("CheckpointLoaderSimple", ("MODEL", "CLIP", "VAE"), False),
            ("UNETLoader", ("MODEL",), False),
            ("ControlNetApplyAdvanced", ("CONDITIONING", "CONDITIONING"), False),
            ("SaveImage", (), True),
            ("PreviewImage", (), True),
        ],
    )
    def test_some_of_it_is_as_everybody_knows(self, kind: str, outputs: tuple[str, ...], is_output: bool) -> None:
        assert (TABLE[kind].outputs, TABLE[kind].is_output) == (outputs, is_output)


@pytest.mark.parametrize(
    ("given", "wanted", "result"),
    [
        ("MODEL", "MODEL", True),
        ("MODEL", "CLIP", False),
        ("*", "CLIP", True),
        ("CLIP", "*", True),
        ("COMFY_MATCHTYPE_V3", "CLIP", True),
        ("INT,FLOAT", "FLOAT, STRING", True),
        ("INT", "FLOAT", False),
    ],
)
def test_types_fit_if_they_have_one_in_common(given: str, wanted: str, result: bool) -> None:
    assert fits(given, wanted) is result


def test_some_kinds_grow_inputs_of_their_own() -> None:
    kind = NodeKind("Own", (Input("mode", "COMFY_DYNAMICCOMBO_V3"), Input("steps", "INT")))
    assert kind.grows("mode.strength")
    assert not kind.grows("steps.more")
    assert not kind.grows("other.more")
