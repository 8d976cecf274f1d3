"""What a check finds in workflows: nothing in right ones, and one thing in each that is wrong by one change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from kanjiprep.publishing.comfyui import tracing
from kanjiprep.publishing.comfyui.checks import check_graph, model_names
from kanjiprep.publishing.comfyui.checks.check import Finding, check
from kanjiprep.publishing.comfyui.checks.checking import check_file
from kanjiprep.publishing.comfyui.checks.findings import scene
from kanjiprep.publishing.comfyui.forms.ui_form import to_ui
from kanjiprep.publishing.comfyui.graph import Link, Node, Workflow, to_api
from kanjiprep.publishing.comfyui.nodes import TABLE, Input, NodeKind
from kanjiprep.publishing.comfyui.written import export, recipe
from kanjiprep.publishing.comfyui.written.order import Order
from kanjiprep.publishing.tuned import Tuned
from kanjiprep.training import presets
from tests.comfyui_faults import RIGHT, WRONG
from tests.comfyui_words import FOUND
from tests.comfyui_workflows import SD3, given, left_out, of_kind, with_node, without

TEMPLATES = Path(str(files("comfyui_workflow_templates_json"))) / "templates"


def line(finding: Finding) -> str:
    return f"{finding.severity} {finding.node} {finding.rule}: {finding.what}; {finding.remedy}"


def rules(workflow: Workflow, table: Mapping[str, NodeKind] = TABLE, *, is_live: bool = False) -> list[str]:
    return [finding.rule for finding in check(workflow, table, is_live)]


def lively(**choices: tuple[str, ...]) -> dict[str, NodeKind]:
    """The table as a server has it, with the names of its files."""
    return {
        name: replace(
            kind, inputs=tuple(replace(one, choices=choices.get(one.name, one.choices)) for one in kind.inputs)
        )
        for name, kind in TABLE.items()
    }


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_workflow_has_no_finding(name: str) -> None:
    assert check(RIGHT[name], TABLE) == ()


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_these_words(name: str) -> None:
    assert [line(one) for one in check(WRONG[name], TABLE)] == FOUND[name]


@pytest.mark.parametrize("preset", [one for one in presets.names() if one != "sd35-large-full"])
@pytest.mark.parametrize("step", [4, 8, 16, 400, 14400])
def test_our_own_workflows_have_no_finding_whatever_the_run_is_called(preset: str, step: int) -> None:
    model = presets.load(preset).spec.model
    tuned = Tuned("lora", Path("w"), preset, step, "", model.family, model.flavour, "")
    for one in (tuned, replace(tuned, name=f"{preset}-v2"), replace(tuned, name=f"{preset}-2")):
        made = recipe.recipe(one, Order(("a", "b"), checkpoint_file="x.safetensors" if "tiny" in preset else None))
        assert recipe.label(one) in made.lora
        drawn = export.workflow(made)
        assert check(drawn, TABLE) == ()
        assert check(drawn, TABLE, is_ui=True) == ()


@pytest.mark.parametrize(
    ("name", "is_fast"),
    [
        ("Hyper-SD3-8steps-CFG-lora.safetensors", True),
        ("sdxl_4step.safetensors", True),
        ("sd3/16-step.safetensors", True),
        ("a_8steps_b.safetensors", True),
        ("sd35_turbo.safetensors", True),
        ("sd35-large-lora-lr1.05e-3-step-400.safetensors", False),
        ("kanji-v2-step-400.safetensors", False),
        ("kanji-2-steps-400.safetensors", False),
        ("kanji-3-step4.safetensors", False),
        ("kanji-400-steps.safetensors", False),
        ("kanji_1_stepping.safetensors", False),
    ],
)
def test_a_model_for_few_steps_is_known_by_its_name(name: str, is_fast: bool) -> None:
    assert model_names.is_fast(name) is is_fast


@pytest.mark.parametrize(
    ("seed", "found"), [(2**53 - 1, []), (2**53, ["rounded"]), (2**64 - 1, ["rounded"]), (2**70, ["out-of-range"])]
)
def test_a_seed_that_a_browser_rounds_is_warned_of_in_the_uis_form(seed: int, found: list[str]) -> None:
    workflow = given(SD3, "7", seed=seed)
    assert [one.rule for one in check(workflow, TABLE, is_ui=True)] == found
    assert [one.rule for one in check(workflow, TABLE)] == [one for one in found if one != "rounded"]


def test_a_file_of_the_ui_is_checked_as_one(tmp_path: Path) -> None:
    workflow = given(SD3, "7", seed=2**60)
    for name, document, found in (("ui", to_ui(workflow, TABLE), 1), ("api", to_api(workflow), 0)):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(document))
        checked = check_file(path)
        assert (checked.form, len(checked.findings)) == (name, found)
    finding = check_file(tmp_path / "ui.json").findings[0]
    assert line(finding) == (
        "warning 7 rounded: has 1152921504606846976 as 'seed', which the browser of ComfyUI's window rounds; "
        "give one up to 9007199254740991, so that everybody gets the same"
    )


def test_every_fault_has_its_words() -> None:
    assert FOUND.keys() == WRONG.keys()
    kinds = {node.id: node.kind for node in SD3.nodes}
    assert all(one.kind == kinds[one.node] for one in check(WRONG["too small"], TABLE))


@pytest.mark.parametrize(
    ("name", "nodes", "found"),
    [
        ("sd3.5_simple_example", 7, []),
        ("sd3.5_large_blur", 10, []),
        ("sd3.5_large_canny_controlnet_example", 13, []),
        ("sd3.5_large_depth", 25, ["warning 33 idle-node"]),
    ],
)
def test_official_templates_pass(name: str, nodes: int, found: list[str]) -> None:
    checked = check_file(TEMPLATES / f"{name}.json")
    assert (checked.form, checked.nodes, len(checked.workflow.nodes)) == ("ui", nodes, nodes)
    assert [line(one).partition(":")[0] for one in checked.findings] == found


def test_a_file_is_read_and_checked_at_once(tmp_path: Path) -> None:
    path = tmp_path / "workflow_api.json"
    path.write_text(json.dumps(to_api(WRONG["issue 5388"])))
    checked = check_file(path)
    assert (checked.path, checked.form, checked.nodes, checked.workflow) == (path, "api", 8, WRONG["issue 5388"])
    assert [line(one) for one in checked.findings] == FOUND["issue 5388"]


def test_the_official_template_without_its_encoders_is_issue_5388(tmp_path: Path) -> None:
    text = (TEMPLATES / "sd3.5_simple_example.json").read_text()
    path = tmp_path / "mine.json"
    path.write_text(text.replace("sd3.5_large_fp8_scaled.safetensors", "sd3.5_large.safetensors"))
    (found,) = check_file(path).findings
    assert line(found) == (
        "error 4 no-text-encoders: gives CLIP to node '40' (CLIPTextEncode) and node '16' (CLIPTextEncode), but its "
        "file 'sd3.5_large.safetensors' holds no text encoders (ComfyUI issue 5388); add a TripleCLIPLoader with "
        "clip_l.safetensors, clip_g.safetensors and t5xxl_fp16.safetensors, files of models/text_encoders, and take "
        "CLIP from it"
    )


def test_errors_come_before_warnings_and_both_in_the_order_of_the_nodes() -> None:
    workflow = given(given(left_out(SD3, "8", "vae"), "7", cfg=12.0, steps=0), "6", width=1000)
    assert [(one.severity, one.node) for one in check(workflow, TABLE)] == [
        ("error", "7"),
        ("error", "8"),
        ("warning", "6"),
        ("warning", "7"),
    ]


def test_what_a_server_does_not_run_is_a_warning() -> None:
    workflow = with_node(SD3, "20", "VAEDecode", samples=Link("99", 0))
    assert [(one.severity, one.rule) for one in check(workflow, TABLE)] == [
        ("warning", "missing-input"),
        ("warning", "link-to-nowhere"),
        ("warning", "idle-node"),
    ]
    workflow = with_node(without(SD3, "9"), "20", "VAEDecode", samples=Link("99", 0), vae=Link("1", 2))
    assert [(one.severity, one.rule) for one in check(workflow, TABLE)] == [
        ("error", "no-output"),
        ("error", "link-to-nowhere"),
    ]


def test_a_node_of_an_unknown_kind_may_save_pictures() -> None:
    workflow = of_kind(SD3, "9", "Image Save", images=Link("8", 0))
    assert rules(workflow) == ["unknown-node"]


def test_what_an_unknown_node_gives_is_not_judged() -> None:
    workflow = given(with_node(SD3, "20", "Prompt Wizard", clip=Link("2", 0)), "7", positive=Link("20", 5))
    assert rules(workflow) == ["unknown-node", "idle-node"]


class TestALiveServer:
    def test_a_file_that_it_has_is_right(self) -> None:
        assert rules(SD3, lively(lora_name=("kanji.safetensors",)), is_live=True) == []

    def test_a_file_that_it_has_not_is_an_error_with_the_nearest_name(self) -> None:
        table = lively(lora_name=("kanji-2.safetensors", "other.safetensors"))
        (found,) = check(SD3, table, is_live=True)
        assert line(found) == (
            "error 3 missing-file: wants 'kanji.safetensors' as 'lora_name', a file that the server does not have in "
            "models/loras; did you mean 'kanji-2.safetensors'? If not, put it into models/loras and reload the page"
        )

    def test_a_server_without_any_file_says_where_to_put_one(self) -> None:
        (found,) = check(SD3, lively(ckpt_name=()), is_live=True)
        assert found.remedy == "put it into models/checkpoints and reload the page"

    def test_a_file_of_a_folder_that_is_not_known_is_still_a_file(self) -> None:
        table = {**TABLE, "Own": NodeKind("Own", (Input("name", "COMBO", choices=()),), (), is_output=True)}
        (found,) = check(with_node(SD3, "20", "Own", name="x.bin"), table, is_live=True)
        assert found.remedy == "put it into the folder of its kind and reload the page"

    def test_a_picture_may_lie_in_a_folder_that_the_server_does_not_list(self) -> None:
        workflow = given(with_node(SD3, "20", "LoadImage", image="old/1.png"), "9", images=Link("20", 0))
        table = lively(image=("example.png",))
        found = next(one for one in check(workflow, table, is_live=True) if one.rule == "missing-file")
        assert (found.severity, found.node) == ("warning", "20")
        assert found.what == "wants the picture 'old/1.png', which the server does not list"

    def test_a_node_that_it_has_not_is_one_of_custom_nodes_or_a_newer_one(self) -> None:
        (found,) = check(of_kind(SD3, "9", "SaveImages", images=Link("8", 0)), TABLE, is_live=True)
        assert (found.what, found.remedy) == (
            "is of a kind that the server does not have",
            "did you mean 'SaveImage'? Install the custom nodes that it belongs to, or update ComfyUI",
        )


class TestCustomNodes:
    WIDGET = NodeKind(
        "Own",
        (
            Input("colour", "COLOUR", required=False),
            Input("mode", "COMFY_DYNAMICCOMBO_V3", required=False),
            Input("size", "INT,FLOAT", required=False),
            Input("any", "*", required=False),
            Input("seed", "INT", required=False, is_socket=True),
            Input("free", "INT", required=False),
            Input("images", "IMAGE,LATENT", required=False),
        ),
        ("INT", "*"),
        is_output=True,
    )

    @pytest.mark.parametrize(
        "inputs",
        [
            {"colour": "#fff"},
            {"mode": "fast", "mode.strength": 1.0},
            {"size": 2},
            {"any": Link("8", 0)},
            {"any": 3},
            {"seed": 3},
            {"free": -(10**30)},
            {"images": Link("7", 0)},
            {"images": Link("8", 0)},
        ],
    )
    def test_what_only_their_authors_know_is_let_pass(self, inputs: dict[str, Any]) -> None:
        assert rules(with_node(SD3, "20", "Own", **inputs), {**TABLE, "Own": self.WIDGET}) == []

    def test_an_output_for_everything_fits_everything(self) -> None:
        workflow = given(with_node(SD3, "20", "Own"), "7", latent_image=Link("20", 1))
        assert rules(workflow, {**TABLE, "Own": self.WIDGET}) == ["idle-node"]

    def test_a_link_of_none_of_several_types_is_wrong(self) -> None:
        workflow = with_node(SD3, "20", "Own", images=Link("1", 2))
        (found,) = check(workflow, {**TABLE, "Own": self.WIDGET})
        assert (found.rule, found.remedy) == (
            "wrong-link-type",
            "connect an output of the type IMAGE,LATENT, or leave it out",
        )

    def test_a_number_without_a_limit_above_has_one_below(self) -> None:
        kind = NodeKind("Own", (Input("count", "INT", least=1),), (), is_output=True)
        (found,) = check(with_node(SD3, "20", "Own", count=0), {**TABLE, "Own": kind})
        assert (found.what, found.remedy) == ("has 0 as 'count', and 1 is the least", "change it")


@pytest.mark.parametrize(
    ("inputs", "rule"),
    [
        ({"seed": "18446744073709551615"}, "warning wrong-value-type"),
        ({"seed": "1" * 5000}, "error wrong-value-type"),
        ({"seed": 10**400}, "error out-of-range"),
        ({"seed": "20.5"}, "error wrong-value-type"),
        ({"seed": True}, "warning wrong-value-type"),
        ({"cfg": "4.5"}, "warning wrong-value-type"),
        ({"cfg": float("inf")}, "error wrong-value-type"),
        ({"cfg": "nan"}, "error wrong-value-type"),
        ({"cfg": 10**400}, "error out-of-range"),
        ({"denoise": -0.5}, "error out-of-range"),
        ({"sampler_name": None}, "error unknown-choice"),
        ({"sampler_name": 3}, "error unknown-choice"),
        ({"model": None}, "error value-for-link"),
    ],
)
def test_odd_values_are_read_as_a_server_reads_them(inputs: dict[str, Any], rule: str) -> None:
    found = check(given(SD3, "7", **inputs), TABLE)[0]
    assert f"{found.severity} {found.rule}" == rule


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"width": "1024"}, "wrong-value-type"),
        ({"width": 0}, "out-of-range"),
        ({"width": Link("9", 0)}, "no-such-output"),
        ({"batch_size": 5000}, "out-of-range"),
    ],
)
def test_odd_sizes_are_found(change: dict[str, Any], rule: str) -> None:
    assert rules(given(SD3, "6", **change))[0] == rule


def test_names_out_of_a_file_are_fit_to_be_printed() -> None:
    odd = Node("\x1b[31m9", "Own\ud800" + "x" * 500, {"images": Link("8", 0)})
    workflow = Workflow((*SD3.nodes, odd, Node("21", "VAEDecode", {"samples": Link("\x1b[31m9", 0), "\x07": 1})))
    for found in check(workflow, TABLE):
        text = f"{found.node} {found.kind} {found.what} {found.remedy}"
        assert text.isprintable()
        assert len(text) < 500
    (own,) = [one for one in check(workflow, TABLE) if one.rule == "unknown-node"]
    assert (own.node, own.kind[:12]) == ("\\x1b[31m9", "Own\\ud800xxx")


def test_a_prefix_that_another_node_gives_is_not_compared() -> None:
    workflow = with_node(SD3, "20", "SaveImage", images=Link("8", 0), filename_prefix=Link("21", 0))
    assert rules(with_node(workflow, "21", "PrimitiveString", value="kanji")) == []


def test_an_unknown_input_near_a_known_one_is_probably_that_one() -> None:
    (found,) = check(given(SD3, "7", sampler_names="euler"), TABLE)
    assert (found.rule, found.remedy) == ("unknown-input", "did you mean 'sampler_name'?")


def test_a_link_that_an_unknown_input_takes_from_nowhere_can_be_left_out() -> None:
    found = check(given(SD3, "7", mask=Link("99", 0)), TABLE)
    assert {one.rule: one.remedy for one in found}["link-to-nowhere"] == "leave it out"


class TestGuiders:
    """The sampler whose model is behind a node of its own."""

    def workflow(self, kind: str = "CFGGuider", **inputs: Any) -> Workflow:
        prompts = {"positive": Link("4", 0), "negative": Link("5", 0), "cfg": 4.5}
        prompts = prompts if kind == "CFGGuider" else {"conditioning": Link("4", 0)}
        workflow = of_kind(
            without(SD3, "5") if kind == "BasicGuider" else SD3,
            "7",
            "SamplerCustomAdvanced",
            noise=Link("21", 0),
            guider=Link("22", 0),
            sampler=Link("23", 0),
            sigmas=Link("24", 0),
            latent_image=Link("6", 0),
        )
        workflow = with_node(workflow, "21", "RandomNoise", noise_seed=1)
        workflow = with_node(workflow, "22", kind, **{"model": Link("3", 0), **prompts, **inputs})
        workflow = with_node(workflow, "23", "KSamplerSelect", sampler_name="euler")
        return with_node(
            workflow, "24", "BasicScheduler", model=Link("3", 0), scheduler="beta", steps=30, denoise=1.0
        )

    @pytest.mark.parametrize("kind", ["CFGGuider", "BasicGuider"])
    def test_it_is_right(self, kind: str) -> None:
        assert rules(self.workflow(kind)) == []

    @pytest.mark.parametrize("kind", ["CFGGuider", "BasicGuider"])
    def test_its_encoders_and_latents_are_checked_against_its_model(self, kind: str) -> None:
        workflow = of_kind(self.workflow(kind), "6", "EmptyLatentImage")
        dual = {"clip_name1": "a.safetensors", "clip_name2": "b.safetensors", "type": "flux"}
        assert rules(of_kind(workflow, "2", "DualCLIPLoader", **dual)) == ["encoder-type", "latent-channels"]

    def test_its_vae_is_checked_too(self) -> None:
        workflow = with_node(self.workflow(), "30", "VAELoader", vae_name="sdxl_vae.safetensors")
        assert rules(given(workflow, "8", vae=Link("30", 0))) == ["other-vae"]


def test_two_encoders_of_stable_diffusion_1_are_none_of_its_own() -> None:
    dual = {"clip_name1": "a.safetensors", "clip_name2": "b.safetensors", "type": "sdxl"}
    workflow = of_kind(given(SD3, "1", ckpt_name="v1-5-pruned.safetensors"), "2", "DualCLIPLoader", **dual)
    found = next(one for one in check(workflow, TABLE) if one.rule == "encoder-type")
    assert found.remedy == "take CLIP from the checkpoint of Stable Diffusion 1.5"


def test_the_encoder_of_stable_diffusion_1_may_be_a_file_of_its_own() -> None:
    workflow = of_kind(RIGHT["sd1"], "4", "CLIPTextEncode", clip=Link("20", 0), text="x")
    one = with_node(workflow, "20", "CLIPLoader", clip_name="clip_l.safetensors", type="stable_diffusion")
    assert rules(one) == []


def test_a_text_encoder_loaded_as_a_model_looks_wrong() -> None:
    found = next(one for one in check(given(SD3, "1", ckpt_name="t5xxl_fp16.safetensors"), TABLE))
    assert (found.rule, found.remedy) == ("wrong-file", "load it with TripleCLIPLoader, and the base model here")


@pytest.mark.parametrize("lora", ["sd3.5-lightning-4steps.safetensors", "Hyper-SD3-8steps-lora.safetensors"])
def test_few_steps_are_right_for_a_lora_that_is_made_for_them(lora: str) -> None:
    assert rules(given(given(SD3, "3", lora_name=lora), "7", steps=4, cfg=1.0)) == []


def test_the_usual_numbers_are_not_for_models_of_another_sort() -> None:
    workflow = of_kind(SD3, "1", "UNETLoader", unet_name="wan2.1.safetensors", weight_dtype="default")
    workflow = given(with_node(workflow, "20", "VAELoader", vae_name="wan.safetensors"), "8", vae=Link("20", 0))
    assert rules(given(workflow, "7", steps=4, cfg=20.0)) == []


def test_a_prompt_that_something_changes_on_its_way_is_not_read() -> None:
    workflow = with_node(SD3, "20", "ConditioningZeroOut", conditioning=Link("5", 0))
    assert rules(given(workflow, "7", positive=Link("20", 0), negative=Link("4", 0))) == []


class TestNames:
    @pytest.mark.parametrize(
        ("name", "family", "flavour", "lacks"),
        [
            ("sd3.5_large.safetensors", "sd3", "large", True),
            ("models\\SD3.5_Large_Turbo.safetensors", "sd3", "turbo", True),
            ("sd3.5_medium.safetensors", "sd3", "medium", True),
            ("sd35-large.gguf", "sd3", "large", True),
            ("stable-diffusion-3.5-large.safetensors", "sd3", "large", True),
            ("sd3_medium_incl_clips_t5xxlfp8.safetensors", "sd3", "medium", False),
            ("sd3.5_large_fp8_scaled.safetensors", "sd3", "large", False),
            ("v1-5-pruned-emaonly.safetensors", "sd1x", "", False),
            ("sd_v1.5.ckpt", "sd1x", "", False),
            ("stable-diffusion-v1-5.safetensors", "sd1x", "", False),
            ("sd_xl_base_1.0.safetensors", "sdxl", "", False),
            ("flux1-dev-fp8.safetensors", "flux", "", False),
            ("dreamshaper_8.safetensors", "", "", False),
            ("sd3.5/dreamshaper_8.safetensors", "", "", False),
            ("diffusion_pytorch_model.safetensors", "", "", True),
            ("", "", "", False),
        ],
    )
    def test_the_name_of_a_file_tells_what_it_is(self, name: str, family: str, flavour: str, lacks: bool) -> None:
        assert (model_names.family(name), model_names.flavour(name)) == (family, flavour)
        assert model_names.lacks_encoders(name) is lacks

    @pytest.mark.parametrize(
        ("name", "encoder"),
        [
            ("clip_l.safetensors", "clip_l"),
            ("SD3/clip_g.safetensors", "clip_g"),
            ("t5xxl_fp8_e4m3fn_scaled.safetensors", "t5xxl"),
            ("clip_large.safetensors", ""),
        ],
    )
    def test_the_name_of_an_encoder_tells_which_it_is(self, name: str, encoder: str) -> None:
        assert model_names.encoder(name) == encoder


class TestTracing:
    def test_a_circle_is_found_among_what_waits_for_it(self) -> None:
        ring = [Node(str(one), "VAEDecode", {"samples": Link(str((one + 1) % 3), 0)}) for one in range(3)]
        tail = [Node("9", "SaveImage", {"images": Link("1", 0)}), Node("8", "SaveImage", {"images": Link("9", 0)})]
        found = tracing.circle(Workflow((*reversed(tail), *ring)))
        assert sorted(node.id for node in found) == ["0", "1", "2"]
        for giver, taker in zip(found, (*found[1:], found[0]), strict=True):
            assert Link(giver.id, 0) in taker.inputs.values()

    def test_a_node_that_feeds_itself_is_a_circle(self) -> None:
        assert [node.id for node in tracing.circle(given(SD3, "3", model=Link("3", 0)))] == ["3"]

    def test_a_source_in_a_circle_is_none(self) -> None:
        workflow = given(SD3, "3", model=Link("3", 0))
        nodes = tracing.by_id(workflow)
        assert tracing.source(nodes, nodes["7"], "model") is None
        assert [node.id for node in tracing.passed(nodes, nodes["7"], "model")] == ["3"]
        assert "cycle" in rules(workflow)

    def test_a_long_workflow_does_not_take_long(self) -> None:
        chain = [
            Node(str(number), "ModelSamplingSD3", {"model": Link(str(number - 1), 0), "shift": 4.0})
            for number in range(100, 3000)
        ]
        workflow = Workflow((*given(given(SD3, "7", model=Link("2999", 0)), "9").nodes, *chain))
        workflow = given(workflow, "100", model=Link("3", 0))
        assert rules(workflow) == []
        assert len(check_graph.ends(scene(workflow, TABLE, is_live=False))) == 1
