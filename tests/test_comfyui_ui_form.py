"""The form of the UI: drawn so that it can be read, and read as the UI itself would send it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanjiprep.errors import InputError
from kanjiprep.publishing.comfyui.forms import ui_lines, ui_scopes
from kanjiprep.publishing.comfyui.forms.ui_form import from_ui, to_ui
from kanjiprep.publishing.comfyui.graph import Link, Node, Value, Workflow
from kanjiprep.publishing.comfyui.nodes import TABLE, Input, NodeKind
from tests import comfyui_workflows as workflows
from tests.comfyui_faults import RIGHT
from tests.comfyui_workflows import SD3, with_node, without
from tests.test_comfyui_check import TEMPLATES

Ui = dict[str, Any]


def ui(*nodes: Ui, links: list[Any] | None = None, **more: Any) -> Ui:
    return {"nodes": list(nodes), "links": links or [], "version": 0.4, **more}


def node(number: int | str, kind: str, *values: Any, inputs: Any = (), **more: Any) -> Ui:
    sockets = [{"name": name, "type": type_, "link": link} for name, type_, link in inputs]
    return {"id": number, "type": kind, "inputs": sockets, "widgets_values": list(values), "mode": 0, **more}


def read(*nodes: Ui, links: list[Any] | None = None, **more: Any) -> dict[str, Node]:
    return {one.id: one for one in from_ui(ui(*nodes, links=links, **more), TABLE, "x").nodes}


def there_and_back(workflow: Workflow) -> Workflow:
    return from_ui(json.loads(json.dumps(to_ui(workflow, TABLE))), TABLE, "x")


def boxes(document: Ui) -> dict[Any, tuple[float, float, float, float]]:
    """Nodes with their title bars."""
    return {
        one["id"]: (one["pos"][0], one["pos"][1] - 30, one["size"][0], one["size"][1] + 30)
        for one in document["nodes"]
    }


def overlap(one: Any, other: Any) -> bool:
    apart = one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0]
    return not (apart or one[1] + one[3] <= other[1] or other[1] + other[3] <= one[1])


def holds(outer: Any, inner: Any) -> bool:
    begins = outer[0] <= inner[0] and outer[1] <= inner[1]
    return bool(begins and inner[0] + inner[2] <= outer[0] + outer[2] and inner[1] + inner[3] <= outer[1] + outer[3])


VALUES: dict[str, st.SearchStrategy[Value]] = {
    "INT": st.integers(-(2**64), 2**64),
    "FLOAT": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
    "STRING": st.text(max_size=30) | st.sampled_from(["fixed", "randomize", "image"]),
    "BOOLEAN": st.booleans(),
    "COMBO": st.text(max_size=10) | st.none(),
}


@st.composite
def drawable(draw: st.DrawFn) -> Workflow:
    """Workflows of known nodes, connected at random: with circles, converted widgets and nodes that lack inputs."""
    ids = draw(st.lists(st.integers(0, 99).map(str) | st.text(min_size=1, max_size=4), max_size=7, min_size=1))
    ids = list(dict.fromkeys(ids))
    kinds = {one: TABLE[draw(st.sampled_from(sorted(TABLE)))] for one in ids}
    ends = [(one, slot, type_) for one, kind in kinds.items() for slot, type_ in enumerate(kind.outputs)]
    nodes = []
    for one, kind in kinds.items():
        last = draw(st.integers(0, len(kind.widgets)))
        inputs = dict(draw_inputs(draw, kind, {spec.name for spec in kind.widgets[:last]}, ends))
        nodes.append(Node(one, kind.name, inputs, draw(st.text(max_size=5))))
    return Workflow(tuple(nodes))


def draw_inputs(
    draw: st.DrawFn, kind: NodeKind, widgets: set[str], ends: list[tuple[str, int, str]]
) -> Iterator[tuple[str, Link | Value]]:
    for spec in kind.inputs:
        fitting = [Link(one, slot) for one, slot, type_ in ends if type_ == spec.type]
        link: st.SearchStrategy[Link | Value] = st.sampled_from(fitting) if fitting else st.nothing()
        if spec.name in widgets:
            yield spec.name, draw(VALUES[spec.type] | link)
        elif not spec.is_widget and fitting and draw(st.booleans()):
            yield spec.name, draw(link)


class TestThereAndBack:
    @given(drawable())
    @settings(max_examples=200, deadline=None)
    def test_a_workflow_comes_back_as_it_was(self, workflow: Workflow) -> None:
        assert there_and_back(workflow) == workflow

    @pytest.mark.parametrize("name", RIGHT)
    def test_so_do_all_right_workflows(self, name: str) -> None:
        assert there_and_back(RIGHT[name]) == RIGHT[name]

    def test_what_is_left_out_before_what_is_given_gets_its_default(self) -> None:
        back = there_and_back(workflows.left_out(SD3, "7", "steps", "sampler_name"))
        assert back == workflows.given(SD3, "7", steps=20, sampler_name="euler")

    def test_what_a_live_server_gives_no_default_for_gets_something_of_its_type(self) -> None:
        names = ("whole", "real", "flag", "text")
        specs = zip(names, ("INT", "FLOAT", "BOOLEAN", "STRING"), strict=True)
        kind = NodeKind(
            "Own", (*(Input(*spec) for spec in specs), Input("file", "COMBO", choices=("a", "b")), Input("z", "INT"))
        )
        document = to_ui(Workflow((Node("1", "Own", {"z": 3}),)), {"Own": kind})
        assert document["nodes"][0]["widgets_values"] == [0, 0.0, False, "", "a", 3]


class TestWhatTheUiShows:
    def test_a_node_is_as_the_ui_saves_it(self) -> None:
        document = to_ui(SD3, TABLE)
        sampler = next(one for one in document["nodes"] if one["type"] == "KSampler")
        assert sampler["id"] == 7
        assert sampler["widgets_values"] == [42, "fixed", 30, 4.5, "dpmpp_2m", "sgm_uniform", 1.0]
        assert [(one["name"], one["type"]) for one in sampler["inputs"]] == [
            ("model", "MODEL"),
            ("positive", "CONDITIONING"),
            ("negative", "CONDITIONING"),
            ("latent_image", "LATENT"),
        ]
        assert sampler["properties"] == {"Node name for S&R": "KSampler"}
        assert (sampler["mode"], sampler["flags"], sampler["order"]) == (0, {}, 6)
        assert "title" not in sampler
        assert (document["version"], document["last_node_id"], document["last_link_id"]) == (0.4, 9, 10)

    def test_both_ends_of_every_line_know_it(self) -> None:
        document = to_ui(SD3, TABLE)
        nodes = {one["id"]: one for one in document["nodes"]}
        for link, origin, slot, end, end_slot, type_ in document["links"]:
            output, socket = nodes[origin]["outputs"][slot], nodes[end]["inputs"][end_slot]
            assert link in output["links"]
            assert output["slot_index"] == slot
            assert socket["link"] == link
            assert output["type"] == socket["type"] == type_
        named = [one for each in nodes.values() for output in each["outputs"] for one in output["links"]]
        assert sorted(named) == [line[0] for line in document["links"]]

    def test_a_picture_that_can_be_sent_has_a_button(self) -> None:
        (one,) = to_ui(Workflow((Node("1", "LoadImage", {"image": "a.png"}),)), TABLE)["nodes"]
        assert one["widgets_values"] == ["a.png", "image"]
        assert [(each["name"], each["type"]) for each in one["outputs"]] == [("IMAGE", "IMAGE"), ("MASK", "MASK")]

    def test_outputs_have_their_names(self) -> None:
        (one,) = to_ui(Workflow((Node("1", "SplitSigmas", {"step": 3}),)), TABLE)["nodes"]
        assert [each["name"] for each in one["outputs"]] == ["high_sigmas", "low_sigmas"]

    def test_a_connected_widget_has_a_dot(self) -> None:
        document = to_ui(RIGHT["a seed from a primitive"], TABLE)
        sampler = next(one for one in document["nodes"] if one["type"] == "KSampler")
        seed = next(one for one in sampler["inputs"] if one["name"] == "seed")
        assert seed["widget"] == {"name": "seed"}
        assert sampler["widgets_values"][:3] == [0, "fixed", 30]

    def test_what_may_stay_empty_is_a_ring(self) -> None:
        workflow = Workflow((Node("1", "ControlNetApplyAdvanced", {"strength": 1.0}),))
        (one,) = to_ui(workflow, TABLE)["nodes"]
        assert [(each["name"], each["link"]) for each in one["inputs"] if each.get("shape") == 7] == [("vae", None)]

    def test_prompts_have_the_colours_that_users_know(self) -> None:
        colours = {one["id"]: one.get("bgcolor") for one in to_ui(SD3, TABLE)["nodes"]}
        assert (colours[4], colours[5], colours[7]) == ("#353", "#533", None)

    def test_one_prompt_for_both_is_green(self) -> None:
        colours = {one["id"]: one.get("color") for one in to_ui(RIGHT["negative zeroed"], TABLE)["nodes"]}
        assert colours[4] == "#232"

    def test_groups_say_what_happens_where(self) -> None:
        document = to_ui(with_node(SD3, "20", "LoadImage", image="a.png"), TABLE)
        groups = {one["title"]: one["bounding"] for one in document["groups"]}
        assert list(groups) == ["Load", "Prompt", "Sample", "Save"]
        placed = boxes(document)
        inside = {title: {one for one in placed if holds(group, placed[one])} for title, group in groups.items()}
        assert inside == {"Load": {1, 2, 3, 20}, "Prompt": {4, 5}, "Sample": {6, 7}, "Save": {8, 9}}

    def test_pictures_are_loaded_before_a_sampler_and_saved_behind_it(self) -> None:
        document = json.loads((TEMPLATES / "sd3.5_large_canny_controlnet_example.json").read_text())
        drawn = to_ui(from_ui(document, TABLE, "x"), TABLE)
        placed = boxes(drawn)
        first = next(one["bounding"] for one in drawn["groups"] if one["title"] == "Load")
        kinds = {one["type"] for one in drawn["nodes"] if holds(first, placed[one["id"]])}
        assert kinds == {"CheckpointLoaderSimple", "ControlNetLoader", "LoadImage", "ImageScale", "Canny"}

    @given(drawable())
    @settings(max_examples=60, deadline=None)
    def test_nothing_overlaps_and_every_node_is_in_one_group(self, workflow: Workflow) -> None:
        document = to_ui(workflow, TABLE)
        placed, groups = list(boxes(document).values()), [one["bounding"] for one in document["groups"]]
        assert not any(overlap(one, other) for one, other in combinations(placed, 2))
        assert not any(overlap(one, other) for one, other in combinations(groups, 2))
        assert all(sum(holds(group, one) for group in groups) == 1 for one in placed)

    def test_lines_go_to_the_right(self) -> None:
        document = to_ui(SD3, TABLE)
        left = {one["id"]: one["pos"][0] for one in document["nodes"]}
        assert all(left[origin] < left[end] for _, origin, _, end, _, _ in document["links"])

    def test_a_long_prompt_has_more_room_than_a_short_one(self) -> None:
        sizes = {
            one["id"]: one["size"]
            for one in to_ui(workflows.given(SD3, "4", text="river and mountain " * 40), TABLE)["nodes"]
        }
        assert sizes[4][1] > sizes[5][1] >= 100
        endless = to_ui(workflows.given(SD3, "4", text="word " * 100_000), TABLE)
        assert max(one["size"][1] for one in endless["nodes"]) < 1000

    def test_a_long_name_has_more_room_than_a_short_one(self) -> None:
        widths = [
            to_ui(workflows.given(SD3, "3", lora_name=name), TABLE)["nodes"][2]["size"][0]
            for name in ("k.safetensors", "kanji-large-step-14400.safetensors", "k" * 500)
        ]
        assert widths == sorted(set(widths))
        assert widths[-1] <= 520

    def test_numbers_of_other_nodes_are_not_theirs(self) -> None:
        workflow = Workflow(tuple(Node(one, "DisableNoise", {}) for one in ("7", "07", "x", "8:3", "²")))
        document = to_ui(workflow, TABLE)
        assert [one["id"] for one in document["nodes"]] == [7, "07", "x", "8:3", "²"]
        assert document["last_node_id"] == 7
        assert there_and_back(workflow) == workflow


@pytest.mark.parametrize(
    ("workflow", "message"),
    [
        (workflows.of_kind(SD3, "9", "Own"), "node '9': is of the kind 'Own', which is not known"),
        (Workflow((*SD3.nodes, SD3.nodes[0])), "node '1': has the id of another node"),
        (workflows.given(SD3, "7", eta=1), "node '7': cannot be drawn, its input 'eta' is not known"),
        (workflows.given(SD3, "7", model="x"), "node '7': cannot be drawn, its input 'model' is no link"),
        (
            without(SD3, "6"),
            "node '7': cannot be drawn, its input 'latent_image' comes from node '6', which is not there",
        ),
        (
            workflows.given(SD3, "8", vae=Link("1", 3)),
            "node '8': cannot be drawn, its input 'vae' comes from no output of node '1'",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(workflow: Workflow, message: str) -> None:
    twin = Workflow(tuple(Node(one.id, one.kind, one.inputs, one.title) for one in workflow.nodes))
    with pytest.raises(InputError) as caught:
        to_ui(twin, TABLE)
    assert str(caught.value) == f"{message}; check the workflow first, and mend what is wrong"


def test_a_node_that_takes_from_an_unknown_one_is_refused_with_it() -> None:
    with pytest.raises(InputError, match="its input 'images' comes from no output of node '8'"):
        to_ui(Workflow((SD3.nodes[8], workflows.of_kind(SD3, "8", "Own").nodes[7])), TABLE)


class TestWidgets:
    def test_what_follows_a_seed_is_not_the_steps(self) -> None:
        for control in ("fixed", "randomize", "increment", "decrement"):
            found = read(node(1, "KSampler", 7, control, 30, 4.5, "euler", "simple", 1))["1"]
            assert found.inputs == {
                "seed": 7, "steps": 30, "cfg": 4.5, "sampler_name": "euler", "scheduler": "simple", "denoise": 1,
            }  # fmt: skip

    def test_it_may_be_missing(self) -> None:
        found = read(node(1, "KSampler", 7, 30, 4.5, "euler", "simple", 1))["1"]
        assert (found.inputs["steps"], found.inputs["denoise"]) == (30, 1)

    def test_values_may_have_names(self) -> None:
        named = node(1, "KSampler") | {"widgets_values": {"seed": 7, "steps": 30, "videopreview": {}, "odd": 1}}
        assert read(named)["1"].inputs == {"seed": 7, "steps": 30}

    def test_of_an_unknown_kind_only_names_and_lines_are_read(self) -> None:
        found = read(
            node(1, "Own", "x", 3, inputs=[("clip", "CLIP", 5)]),
            node(2, "Other") | {"widgets_values": {"text": "x", "list": []}},
            links=[[5, 2, 0, 1, 0, "CLIP"]],
        )
        assert found["1"].inputs == {"clip": Link("2", 0)}
        assert found["2"].inputs == {"text": "x"}

    @pytest.mark.parametrize("values", [None, 3, "x"])
    def test_there_may_be_none(self, values: object) -> None:
        assert read(node(1, "KSampler") | {"widgets_values": values})["1"].inputs == {}

    def test_a_value_that_is_a_table_is_left_out(self) -> None:
        found = read(node(1, "KSampler", 7, "fixed", {}, [], "euler"))["1"]
        assert found.inputs == {"seed": 7, "sampler_name": "euler"}

    def test_a_connected_widget_takes_what_the_line_brings(self) -> None:
        found = read(
            node(1, "KSampler", 7, "fixed", 30, inputs=[("steps", "INT", 5)]),
            node(2, "PrimitiveInt", 12, "fixed"),
            links=[[5, 2, 0, 1, 0, "INT"]],
        )
        assert found["1"].inputs == {"seed": 7, "steps": Link("2", 0)}

    def test_more_values_than_widgets_are_passed_over(self) -> None:
        assert read(node(1, "LoadImage", "a.png", "image", "more"))["1"].inputs == {"image": "a.png"}


class TestWhatIsInTheUiAlone:
    LINES = ([1, 1, 2, 2, 0, "VAE"], [2, 2, 0, 3, 0, "*"], [3, 3, 0, 4, 0, "*"])

    def test_notes_are_dropped(self) -> None:
        assert list(read(node(1, "Note", "x"), node(2, "MarkdownNote", "x"), node(3, "DisableNoise"))) == ["3"]

    def test_reroutes_are_followed(self) -> None:
        found = read(
            node(1, "CheckpointLoaderSimple", "x"),
            node(2, "Reroute", inputs=[("", "*", 1)]),
            node(3, "Reroute", inputs=[("", "*", 2)]),
            node(4, "VAEDecode", inputs=[("vae", "VAE", 3)]),
            links=list(self.LINES),
        )
        assert list(found) == ["1", "4"]
        assert found["4"].inputs == {"vae": Link("1", 2)}

    @pytest.mark.parametrize(
        "reroute", [node(2, "Reroute"), node(2, "Reroute", inputs=[("", "*", None)]), node(2, "Reroute", mode=2)]
    )
    def test_a_reroute_of_nothing_brings_nothing(self, reroute: Ui) -> None:
        found = read(reroute, node(4, "VAEDecode", inputs=[("vae", "VAE", 1)]), links=[[1, 2, 0, 4, 0, "*"]])
        assert found["4"].inputs == {}

    def test_reroutes_in_a_circle_bring_nothing(self) -> None:
        found = read(
            node(2, "Reroute", inputs=[("", "*", 1)]),
            node(3, "Reroute", inputs=[("", "*", 2)]),
            node(4, "VAEDecode", inputs=[("vae", "VAE", 2)]),
            links=[[1, 3, 0, 2, 0, "*"], [2, 2, 0, 3, 0, "*"]],
        )
        assert found["4"].inputs == {}

    @pytest.mark.parametrize(
        ("values", "steps"), [([12, "fixed"], 12), ({"value": 12}, 12), ([], 30), ([[12]], 30), (None, 30)]
    )
    def test_a_primitive_gives_its_value(self, values: object, steps: int) -> None:
        found = read(
            node(1, "PrimitiveNode") | {"widgets_values": values},
            node(2, "KSampler", 7, "fixed", 30, inputs=[("steps", "INT", 1)]),
            links=[[1, 1, 0, 2, 0, "INT"]],
        )
        assert list(found) == ["2"]
        assert found["2"].inputs == {"seed": 7, "steps": steps}


class TestModes:
    CHAIN = (
        node(1, "CheckpointLoaderSimple", "x"),
        node(3, "KSampler", inputs=[("model", "MODEL", 2)]),
    )
    LINES = ([1, 1, 0, 2, 0, "MODEL"], [2, 2, 0, 3, 0, "MODEL"])

    def test_a_muted_node_is_left_out_with_what_it_gives(self) -> None:
        lora = node(2, "LoraLoaderModelOnly", "k", 1.0, inputs=[("model", "MODEL", 1)], mode=2)
        found = read(*self.CHAIN, lora, links=list(self.LINES))
        assert list(found) == ["1", "3"]
        assert found["3"].inputs == {}

    def test_a_bypassed_node_hands_on_what_it_gets(self) -> None:
        lora = node(2, "LoraLoaderModelOnly", "k", 1.0, inputs=[("model", "MODEL", 1)], mode=4)
        found = read(*self.CHAIN, lora, links=list(self.LINES))
        assert list(found) == ["1", "3"]
        assert found["3"].inputs == {"model": Link("1", 0)}

    def test_of_several_inputs_it_is_the_one_in_the_same_place(self) -> None:
        sockets = [("positive", "CONDITIONING", 1), ("negative", "CONDITIONING", 2), ("vae", "VAE", 3)]
        found = read(
            node(1, "CLIPTextEncode", "good"),
            node(2, "CLIPTextEncode", "bad"),
            node(3, "VAELoader", "x"),
            node(4, "ControlNetApplyAdvanced", inputs=sockets, mode=4),
            node(5, "KSampler", inputs=[("positive", "CONDITIONING", 4), ("negative", "CONDITIONING", 5)]),
            links=[
                [1, 1, 0, 4, 0, "CONDITIONING"], [2, 2, 0, 4, 1, "CONDITIONING"], [3, 3, 0, 4, 2, "VAE"],
                [4, 4, 0, 5, 0, "CONDITIONING"], [5, 4, 1, 5, 1, "CONDITIONING"],
            ],
        )  # fmt: skip
        assert found["5"].inputs == {"positive": Link("1", 0), "negative": Link("2", 0)}

    def test_if_its_type_does_not_fit_it_is_the_first_that_does(self) -> None:
        found = read(
            node(1, "CheckpointLoaderSimple", "x"),
            node(2, "LoraLoader", inputs=[("model", "MODEL", 1), ("clip", "CLIP", 2)], mode=4),
            node(3, "CLIPTextEncode", "x", inputs=[("clip", "CLIP", 3)]),
            links=[[1, 1, 0, 2, 0, "MODEL"], [2, 1, 1, 2, 1, "CLIP"], [3, 2, 0, 3, 0, "CLIP"]],
        )
        assert found["3"].inputs == {"text": "x", "clip": Link("1", 1)}

    def test_without_one_that_fits_it_brings_nothing(self) -> None:
        found = read(
            node(2, "VAEDecode", inputs=[("samples", "LATENT", 1)], mode=4),
            node(3, "SaveImage", "x", inputs=[("images", "IMAGE", 3)]),
            links=[[1, 1, 0, 2, 0, "LATENT"], [3, 2, 0, 3, 0, "IMAGE"]],
        )
        assert found["3"].inputs == {"filename_prefix": "x"}


class TestLines:
    def test_they_may_be_tables(self) -> None:
        line = {"id": 1, "origin_id": 2, "origin_slot": 0, "target_id": 1, "target_slot": 0, "type": "CLIP"}
        found = read(
            node(1, "CLIPTextEncode", "x", inputs=[("clip", "CLIP", 1)]), node(2, "CLIPLoader"), links=[line]
        )
        assert found["1"].inputs["clip"] == Link("2", 0)

    def test_one_from_a_node_that_is_not_there_is_kept_for_the_check(self) -> None:
        found = read(node(1, "CLIPTextEncode", "x", inputs=[("clip", "CLIP", 1)]), links=[[1, 9, 1, 1, 0, "CLIP"]])
        assert found["1"].inputs["clip"] == Link("9", 1)

    @pytest.mark.parametrize("line", [None, [], [1], [1, 9, "x", 1, 0], {"id": 1}, [None, 9, 1, 1, 0], "x"])
    def test_a_broken_one_brings_nothing(self, line: object) -> None:
        found = read(node(1, "CLIPTextEncode", "x", inputs=[("clip", "CLIP", 1)]), links=[line])
        assert found["1"].inputs == {"text": "x"}


ENTRY, EXIT = -10, -20


def subgraph(name: str, *nodes: Ui, links: list[list[Any]], inputs: tuple[str, ...] = ()) -> Ui:
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    lines = [dict(zip(keys, line, strict=True)) for line in links]
    return {"id": name, "nodes": list(nodes), "links": lines, "inputs": [{"name": one} for one in inputs]}


def widget(name: str, type_: str, link: int | None) -> Ui:
    return {"name": name, "type": type_, "link": link, "widget": {"name": name}}


class TestSubgraphs:
    SAMPLING = subgraph(
        "sampling",
        node(1, "KSampler", 7, "fixed", 30, 4.5) | {
            "inputs": [
                {"name": "model", "type": "MODEL", "link": 1}, widget("seed", "INT", 2), widget("cfg", "FLOAT", 3),
            ]
        },
        node(2, "VAEDecode", inputs=[("samples", "LATENT", 4)]),
        links=[[1, ENTRY, 0, 1, 0], [2, ENTRY, 1, 1, 1], [3, ENTRY, 2, 1, 2], [4, 1, 0, 2, 0], [5, 2, 0, EXIT, 0]],
        inputs=("model", "seed", "cfg"),
    )  # fmt: skip

    def workflow(self, *values: Any, inputs: Any = (("model", "MODEL", 1),), **more: Any) -> dict[str, Node]:
        return read(
            node(1, "CheckpointLoaderSimple", "x"),
            node(5, "sampling", *values, inputs=inputs, **more),
            node(6, "SaveImage", "k", inputs=[("images", "IMAGE", 2)]),
            node(7, "PrimitiveInt", 3, "fixed"),
            links=[[1, 1, 0, 5, 0, "MODEL"], [2, 5, 0, 6, 0, "IMAGE"], [3, 7, 0, 5, 1, "INT"]],
            definitions={"subgraphs": [self.SAMPLING]},
        )

    def test_its_nodes_take_its_place(self) -> None:
        found = self.workflow()
        assert list(found) == ["1", "5:1", "5:2", "6", "7"]
        assert found["5:1"].inputs == {"model": Link("1", 0), "seed": 7, "steps": 30, "cfg": 4.5}
        assert found["5:2"].inputs == {"samples": Link("5:1", 0)}
        assert found["6"].inputs == {"filename_prefix": "k", "images": Link("5:2", 0)}

    @pytest.mark.parametrize(
        ("values", "seed", "cfg"),
        [((9, 6.0), 9, 6.0), ((9, "randomize", 6.0), 9, 6.0), ((9,), 9, 4.5), (([],), 7, 4.5)],
    )
    def test_its_own_widgets_hold_the_values(self, values: tuple[Any, ...], seed: int, cfg: float) -> None:
        inputs = self.workflow(*values)["5:1"].inputs
        assert (inputs["seed"], inputs["cfg"]) == (seed, cfg)

    def test_its_own_widgets_may_have_names(self) -> None:
        inputs = self.workflow(widgets_values={"cfg": 6.0})["5:1"].inputs
        assert (inputs["seed"], inputs["cfg"]) == (7, 6.0)

    def test_its_own_widgets_may_be_connected(self) -> None:
        inputs = self.workflow(9, 6.0, inputs=[("model", "MODEL", 1), ("seed", "INT", 3)])["5:1"].inputs
        assert (inputs["seed"], inputs["cfg"]) == (Link("7", 0), 6.0)

    def test_only_what_ends_in_a_widget_has_one(self) -> None:
        inner = subgraph(
            "a",
            node(1, "KSampler") | {"inputs": [widget("seed", "INT", 1)]},
            links=[[1, ENTRY, 2, 1, 0], [2, ENTRY, 1, EXIT, 0]],
            inputs=("unused", "through", "seed"),
        )
        assert read(node(3, "a", 9), definitions={"subgraphs": [inner]})["3:1"].inputs == {"seed": 9}

    def test_a_muted_one_is_left_out(self) -> None:
        found = self.workflow(mode=2)
        assert list(found) == ["1", "6", "7"]
        assert found["6"].inputs == {"filename_prefix": "k"}

    def test_the_official_template_with_one_is_opened(self) -> None:
        document = json.loads((TEMPLATES / "sd3.5_large_depth.json").read_text())
        found = {one.id: one for one in from_ui(document, TABLE, "x").nodes}
        assert found["68:89"].inputs == {"vae_name": "vae-ft-mse-840000-ema-pruned.safetensors"}
        assert found["68:101"].inputs == {"sigmas": Link("68:95", 0), "sigma": 10000}
        assert found["68:97"].inputs["pixels"] == Link("70", 0)
        assert found["61"].inputs["image"] == Link("68:99", 0)

    def test_one_within_itself_is_refused(self) -> None:
        inner = subgraph("a", node(1, "a"), links=[])
        with pytest.raises(InputError) as caught:
            read(node(1, "a"), definitions={"subgraphs": [inner]})
        assert str(caught.value) == "x: has subgraph 'a' within itself; save it again in the UI of ComfyUI"

    def test_one_that_leads_into_itself_is_refused_too(self) -> None:
        inner = subgraph("a", node(1, "a"), links=[[1, 1, 0, EXIT, 0]])
        with pytest.raises(InputError, match="within itself"):
            read(
                node(2, "SaveImage", inputs=[("images", "IMAGE", 1)]),
                node(1, "a"),
                links=[[1, 1, 0, 2, 0, "IMAGE"]],
                definitions={"subgraphs": [inner]},
            )

    @pytest.mark.parametrize("depth", [12, 18])
    def test_many_empty_ones_within_many_are_refused_at_once(self, depth: int) -> None:
        deep = [
            subgraph(
                str(level), *(node(one, str(level + 1)) for one in range(4 if level + 1 < depth else 0)), links=[]
            )
            for level in range(depth)
        ]
        before = time.perf_counter()
        with pytest.raises(InputError) as caught:
            read(node(1, "0"), definitions={"subgraphs": deep})
        assert str(caught.value) == (
            "x: uses its subgraphs too often: opened, they have more nodes and lines than can be read; "
            "take a smaller workflow"
        )
        assert time.perf_counter() - before < 10

    def test_many_uses_of_a_large_one_are_refused_too(self) -> None:
        notes = subgraph("a", *(node(one, "Note") for one in range(1000)), links=[])
        with pytest.raises(InputError, match="uses its subgraphs too often"):
            read(*(node(one, "a") for one in range(1000)), definitions={"subgraphs": [notes]})

    def test_many_within_many_are_refused(self) -> None:
        deep = [
            subgraph(str(level), *(node(one, str(level + 1)) for one in range(10)), links=[]) for level in range(5)
        ]
        with pytest.raises(InputError, match="has more than 10,000 nodes"):
            read(node(1, "0"), definitions={"subgraphs": deep})

    @pytest.mark.parametrize(
        "line",
        [
            [1, ENTRY, 0, 1, 0],
            [1, ENTRY, 5, 1, 0],
            [1, ENTRY, -1, 1, 0],
            [1, ENTRY, -(10**30), 1, 0],
            [1, 8, 0, 1, 0],
        ],
        ids=["top", "no entry", "before the first", "far before the first", "gone"],
    )
    def test_a_line_from_nowhere_within_one_brings_nothing_or_is_kept(self, line: list[Any]) -> None:
        inner = subgraph("a", node(1, "CLIPTextEncode", inputs=[("clip", "CLIP", 1)]), links=[line], inputs=("clip",))
        found = read(node(3, "a"), definitions={"subgraphs": [inner]})["3:1"].inputs
        assert found == ({"clip": Link("3:8", 0)} if line[1] == 8 else {})

    @pytest.mark.parametrize("slot", [-1, -(10**30), 10**30])
    def test_a_line_into_an_input_that_no_node_has_ends_in_no_widget(self, slot: int) -> None:
        lines = [[1, ENTRY, 0, 1, slot], [2, ENTRY, 0, 1, 0]]
        inner = subgraph("a", node(1, "CLIPTextEncode", inputs=[("clip", "CLIP", 2)]), links=lines, inputs=("clip",))
        assert read(node(3, "a", 9), definitions={"subgraphs": [inner]})["3:1"].inputs == {}

    def test_a_line_from_the_wall_of_no_subgraph_brings_nothing(self) -> None:
        found = read(node(1, "VAEDecode", inputs=[("vae", "VAE", 1)]), links=[[1, ENTRY, 0, 1, 0, "VAE"]])
        assert found["1"].inputs == {}

    @pytest.mark.parametrize("definitions", [None, [], {}, {"subgraphs": {}}, {"subgraphs": [3]}])
    def test_odd_definitions_are_none(self, definitions: object) -> None:
        assert list(read(node(1, "DisableNoise"), definitions=definitions)) == ["1"]


REMEDY = "save it again in the UI of ComfyUI"
ON = "switch on what is muted or bypassed, and save it again"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, f"is no graph of ComfyUI's UI; {REMEDY}"),
        ({"nodes": {}}, f"is no graph of ComfyUI's UI; {REMEDY}"),
        ({"nodes": []}, f"holds no node that runs; {ON}"),
        (ui(node(1, "Note")), f"holds no node that runs; {ON}"),
        (ui(node(1, "KSampler", mode=2), node(2, "VAEDecode", mode=4)), f"holds no node that runs; {ON}"),
        (ui(node(1, "KSampler"), node("1", "VAEDecode")), f"has several nodes with the id '1'; {REMEDY}"),
        (ui(node(1, "DisableNoise"), 3), f"entry 1 of its nodes has no id and type; {REMEDY}"),  # type: ignore[arg-type]
        (ui({"id": 1}), f"entry 0 of its nodes has no id and type; {REMEDY}"),
        (ui({"id": True, "type": "x"}), f"entry 0 of its nodes has no id and type; {REMEDY}"),
    ],
)
def test_what_is_no_graph_is_refused(document: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        from_ui(document, TABLE, "a.json")
    assert str(caught.value) == f"a.json: {message}"


@pytest.mark.parametrize(
    "more",
    [
        {"title": 3},
        {"mode": "x"},
        {"mode": None},
        {"inputs": None},
        {"inputs": {}},
        {"inputs": [None, {"name": 3}, {"link": []}]},
    ],
)
def test_odd_parts_of_a_node_are_passed_over(more: Ui) -> None:
    assert read(node(1, "DisableNoise") | more)["1"] == Node("1", "DisableNoise", {})


KEYS = ("id", "type", "inputs", "links", "nodes", "mode", "widgets_values", "name", "link", "widget")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-30, 30) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json_values, json_values, json_values)
@settings(max_examples=100, deadline=None)
def test_whatever_is_in_it_there_is_a_workflow_or_one_clear_error(nodes: Any, links: Any, definitions: Any) -> None:
    made: list[Any] = [
        {"id": 1, "type": "KSampler", "inputs": nodes, "widgets_values": links},
        {"id": 2, "type": "Reroute"},
    ]
    document = {"nodes": made, "links": links, "definitions": definitions}
    assert len(from_ui(document, TABLE, "x").nodes) == 1
    with suppress(InputError):
        assert from_ui({"nodes": nodes, "links": links, "definitions": definitions}, TABLE, "x").nodes


def test_templates_of_all_sorts_are_read() -> None:
    """Every tenth of the official templates, of models that are not known here; most use subgraphs."""
    paths: list[Path] = sorted(TEMPLATES.glob("*.json"))[::10]
    documents = [json.loads(path.read_text()) for path in paths]
    graphs = [one for one in documents if isinstance(one, dict) and "nodes" in one]
    assert len(graphs) > 50
    for one in graphs:
        workflow = from_ui(one, TABLE, "x")
        assert workflow.nodes
        assert not {each.kind for each in workflow.nodes} & {"Note", "MarkdownNote", "Reroute", "PrimitiveNode"}


def test_a_line_is_not_followed_for_ever() -> None:
    nodes = [node(one, "Reroute", inputs=[("", "*", one - 1)]) for one in range(2, 500)]
    lines = [[one, one, 0, one + 1, 0, "*"] for one in range(1, 500)]
    document = ui(
        node(1, "VAELoader", "x"), *nodes, node(500, "VAEDecode", inputs=[("vae", "VAE", 499)]), links=lines
    )
    scope = ui_scopes.top(document, "x")
    assert ui_lines.resolved(scope, "50", "VAE") == Link("1", 0)
    assert ui_lines.resolved(scope, "499", "VAE") is None
