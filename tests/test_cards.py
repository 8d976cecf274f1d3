"""Both cards that go to the Hub: what they say, and that no text of others breaks out of its place."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import replace
from typing import Any, Final

import pytest
from huggingface_hub import DatasetCard, ModelCard
from markdown_it import MarkdownIt

from kanjiprep.dataset.card import Example
from kanjiprep.dataset.check import Spread, Statistics
from kanjiprep.dataset.folder import CaptionRecord, Counts, Disagreement, SourceRecord
from kanjiprep.dataset.raster import Style
from kanjiprep.dataset.selection import Selection
from kanjiprep.errors import HubError
from kanjiprep.evaluation.score_table import Score, Scores
from kanjiprep.publishing import licences
from kanjiprep.publishing.dataset_card import MOST_EXAMPLES, DatasetFacts, Info, hub_card
from kanjiprep.publishing.front_matter import split
from kanjiprep.publishing.merging import BEGIN, END, merge
from kanjiprep.publishing.model_card import model_card
from kanjiprep.publishing.model_facts import (
    Adapter,
    Base,
    ModelFacts,
    Sampling,
    Training,
    TrainingData,
)
from kanjiprep.publishing.widgets import Widget
from tests.test_folder import RECIPE

CERTIFICATE = replace(
    RECIPE,
    sources={
        "kanjidic": SourceRecord("KANJIDIC2", "2022-235", "2022-08-23", "50a2" * 16),
        "kanjivg": SourceRecord("KanjiVG", "", "2026-07-14", "6897" * 16),
    },
    style=Style(1024),
    caption=CaptionRecord("published", 'The kanji {{ literal }} means {{ meanings | join(", ") }}.\n'),
    counts=Counts(6414, 79034, 147_200_462, 6980, 4959),
    skipped={"no_meaning": 3, "no_strokes": 6691, "not_in_kanjidic": 286},
    disagreements=(Disagreement("菟", 12, (11,)), Disagreement("遏", 13, (12, 10))),
    digest="3815" * 16,
)
STATISTICS = Statistics(
    6414,
    147_200_462,
    Spread(0.0088, 0.1209, 0.2187),
    Spread(77, 95.0, 212),
    Spread(30, 36.0, 74),
    "estimate: by letters",
    Spread(79, 97.0, 214),
    "upper bound: by characters",
    79034,
)
FEATURES: Final = (
    {"name": "image", "dtype": "image"},
    {"name": "text", "dtype": "string"},
    {"name": "meanings", "sequence": "string"},
    {"name": "mine", "dtype": "int32"},
)
DATASET = DatasetFacts(
    "someone/kanji",
    "parquet",
    STATISTICS,
    CERTIFICATE,
    Info(FEATURES, 6414, 148_000_000, 147_500_000),
    (Example("亜", "samples/04e9c.png", "means: Asia"), Example("休", "休_kanji_04f11.png", "means: rest | day")),
    ("README.md", "SHA256SUMS", "build.json", "skipped.csv"),
)

NEGATIVE: Final = "blurry, cropped, ugly"
MODEL = ModelFacts(
    "someone/kanji-lora",
    Base("stabilityai/stable-diffusion-3.5-large", "Stable Diffusion 3.5 Large", "sd3"),
    Adapter(
        "pytorch_lora_weights.safetensors",
        128,
        64.0,
        ("to_q", "to_k", "to_v", "to_out.0"),
        152,
        94_633_984,
        "BF16",
        189_312_000,
        "3f" * 32,
        ("Names of modules were put into the form that ComfyUI reads.",),
    ),
    TrainingData(6414, "The kanji 亜 means Asia.", True, "someone/kanji", "v1.0", "3815" * 16),
    Training(
        step=14_400,
        total_steps=16_050,
        epochs=26.931,
        batch=6,
        accumulation=2,
        gpus=1,
        pictures_a_step=12,
        learning_rate=1e-4,
        schedule="polynomial, after a climb over 500 steps",
        optimizer="adamw_bf16",
        clip="by norm, at 0.1",
        resolution_px=1024,
        caption_dropout=0.1,
        precision="bf16",
        seed=42,
        trainer="SimpleTuner 4.10.1",
        gpu="NVIDIA A100-SXM4-40GB",
        hours=41.2,
        usd=53.15,
        ended="not completed, after step 15,000: stopped by request; the last checkpoint is of step 15,000",
        rollbacks=1,
        alerts=("Step 7,800: the gradient was 12 times its usual norm for 40 steps.",),
    ),
    Sampling(30, 3.0, 1024, 42),
    (
        Widget("mountains", "A kanji that means mountains", NEGATIVE, "images/mountains.png", 14_400),
        Widget("uncle", "Uncle", "", "images/uncle.png", 14_400),
    ),
    ("comfyui/workflow.json", "comfyui/workflow_api.json"),
    is_last=False,
)
TOY = replace(MODEL, base=Base("", "the tiny SD3", "sd3"), pictures=())
FIRST = replace(
    MODEL,
    base=Base("stable-diffusion-v1-5/stable-diffusion-v1-5", "Stable Diffusion 1.5", "sd1x"),
    workflows=(),
)


def data(card: str) -> dict[str, Any]:
    """The front matter as the Hub's own library reads it, which must be what ours reads."""
    kind = ModelCard if "\npipeline_tag: " in card else DatasetCard
    parsed: dict[str, Any] = kind(card).data.to_dict()  # type: ignore[no-untyped-call]
    assert parsed == split(card, "card", HubError)[0]
    return parsed


def body(card: str) -> str:
    return split(card, "card", HubError)[1]


def blocks(card: str, language: str) -> list[str]:
    tokens = MarkdownIt("commonmark", {"html": True}).parse(body(card))
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


def flat(card: str) -> str:
    """The body with its lines joined, so that it does not matter where they end."""
    return " ".join(body(card).split())


def test_the_card_of_a_dataset_is_the_golden_one(golden: Any) -> None:
    golden("hub_dataset_card.md", hub_card(DATASET).encode())


def test_the_card_of_a_model_is_the_golden_one(golden: Any) -> None:
    golden("model_card.md", model_card(MODEL).encode())


def test_the_front_matter_of_a_dataset_says_how_it_is_loaded() -> None:
    table = data(hub_card(DATASET))
    assert table["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}
    ]
    assert table["dataset_info"] == {
        "features": list(FEATURES),
        "splits": [{"name": "train", "num_bytes": 148_000_000, "num_examples": 6414}],
        "download_size": 147_500_000,
        "dataset_size": 148_000_000,
    }
    assert (table["license"], table["size_categories"]) == ("cc-by-sa-4.0", ["1K<n<10K"])


def test_the_layout_of_files_is_left_to_the_hubs_own_detection() -> None:
    card = hub_card(replace(DATASET, layout="files", info=None))
    assert not {"configs", "dataset_info"} & set(data(card))
    assert "| column |" not in card
    assert '<img src="%E4%BC%91_kanji_04f11.png" alt="休" width="96"> | means: rest \\| day |' in card


def test_without_a_certificate_nothing_is_said_that_is_not_known() -> None:
    card = hub_card(DatasetFacts("someone/mine", "files", replace(STATISTICS, strokes=None)))
    assert data(card) == {
        "pretty_name": "mine",
        "task_categories": ["text-to-image"],
        "size_categories": ["1K<n<10K"],
        "tags": ["text-to-image"],
    }
    assert "# mine\n" in card
    assert "nothing is said of their licence" in card
    assert not re.search(r"KanjiVG|KANJIDIC2|CC BY|strokes|skipped|None|\| picture", card)
    assert 'load_dataset("someone/mine", split="train")' in card
    assert "--dataset someone/mine\n" in card


def test_a_selection_a_margin_and_many_disagreements_are_told() -> None:
    certificate = replace(
        CERTIFICATE,
        style=Style(512, 5.5, 32),
        selection=Selection((1, 2), (4,), "亜唖", 100),
        skipped={"of_my_own": 2, "no_meaning": 0},
        disagreements=tuple(Disagreement("菟", 12, (11,)) for _ in range(70)),
        digest="",
    )
    card = hub_card(replace(DATASET, certificate=certificate, beside=()))
    asked = "of grade 1 or 2, of level 4 of the old JLPT, of a list of 2, the first 100"
    assert f"Of these, only what was asked for: {asked}.\n" in card
    assert "a stroke width of 5.5 in KanjiVG's square of 109 and a margin of 32 pixels.\n" in card
    assert "- 2 characters were left out:\n" in card
    assert "| 2 | of\\_my\\_own |\n" in card
    assert "English meaning |" not in card
    assert "70 characters are drawn" in card
    assert card.count("菟 12 (11)") == 60
    assert "菟 12 (11) and 10 more.\n" in card
    assert not re.search("Digest|build.json|SHA256SUMS|skipped.csv", card)


def test_a_certificate_that_tells_of_nothing_left_out_has_no_such_list() -> None:
    certificate = replace(CERTIFICATE, counts=None, skipped=None, disagreements=())
    card = hub_card(replace(DATASET, certificate=certificate))
    assert not re.search("left out:|are drawn with", card)


def test_no_more_pictures_are_shown_than_fit() -> None:
    many = tuple(Example("亜", f"samples/{number}.png", "x") for number in range(20))
    assert hub_card(replace(DATASET, examples=many)).count("<img ") == MOST_EXAMPLES


def test_the_front_matter_of_a_model_names_its_base_licence_and_pictures() -> None:
    table = data(model_card(MODEL))
    assert table["base_model"] == "stabilityai/stable-diffusion-3.5-large"
    assert table["base_model_relation"] == "adapter"
    assert (table["license"], table["license_name"]) == ("other", "stabilityai-ai-community")
    assert table["license_link"].endswith("/stable-diffusion-3.5-large/blob/main/LICENSE.md")
    assert table["widget"] == [
        {
            "text": "A kanji that means mountains",
            "parameters": {"negative_prompt": NEGATIVE},
            "output": {"url": "images/mountains.png"},
        },
        {"text": "Uncle", "output": {"url": "images/uncle.png"}},
    ]
    assert table["instance_prompt"] == "The kanji 亜 means Asia."
    assert table["datasets"] == ["someone/kanji"]
    assert {"lora", "template:sd-lora", "sd3", "sd3-diffusers", "kanji"} <= set(table["tags"])


def test_stability_is_named_as_its_licence_wants() -> None:
    text = flat(model_card(MODEL))
    assert "**Powered by Stability AI**" in text
    assert "> This Stability AI Model is licensed under the Stability AI Community License, Copyright" in text
    assert "weights of Stable Diffusion 3.5 Large itself are not in this repository" in text


def test_an_adapter_of_the_first_model_has_its_licence_and_pipeline() -> None:
    card = model_card(FIRST)
    table = data(card)
    assert table["license"] == "creativeml-openrail-m"
    assert "license_name" not in table
    assert "StableDiffusionPipeline.from_pretrained(" in card
    assert "goes under the [CreativeML Open RAIL-M licence](https://" in card
    assert "CheckpointLoaderSimple, and set LoraLoaderModelOnly" in card
    assert not re.search("Stability|TripleCLIP|T5|hf auth", card)


def test_a_toy_is_called_one_and_offers_no_use() -> None:
    card = model_card(TOY)
    assert not {"base_model", "base_model_relation", "license", "widget"} & set(data(card))
    assert "**This is a toy.**" in card
    assert not re.search("Gallery|```python|ComfyUI\n|Stability|T5", card)


def test_a_base_model_that_is_not_ours_has_no_licence_of_ours() -> None:
    card = model_card(replace(MODEL, base=Base("someone/merged", "merged", "sd3")))
    assert "license" not in data(card)
    assert "the licence of that model applies" in flat(card)
    assert "Powered by" not in card


def test_without_workflows_comfyui_is_explained() -> None:
    adapter = replace(MODEL.adapter, repairs=())
    card = model_card(replace(MODEL, workflows=(), adapter=adapter))
    assert "TripleCLIPLoader" in card
    assert "LoraLoaderModelOnly" in card
    assert "changed after training" not in card


SCORES: Final = Scores((Score(14_400, 0.51234, {"a|b": "<b>"}), Score(15_000, 0.25, {"a|b": "2"})), None)
TABLE: Final = (
    "The scores are in report/scores.csv. | step | score | a\\|b | | --- | --- | --- | "
    "| 14,400 | 0.5123 | &lt;b&gt; | | 15,000 | 0.25 | 2 |"
)


@pytest.mark.parametrize(
    ("chosen", "is_last", "says"),
    [
        ("unscored", True, "No checkpoint was scored; this one is the last."),
        ("unscored", False, "No checkpoint was scored; this one is not the last, and was chosen by hand."),
        (14_400, False, f"Step 14,400 is published: the judge chose it. {TABLE}"),
        (14_400, True, f"Step 14,400 is published: the judge chose it. {TABLE}"),
        (15_000, False, f"Step 14,400 is published, chosen by hand; the judge chose step 15,000. {TABLE}"),
        (15_000, True, f"Step 14,400 is published, the last one; the judge chose step 15,000. {TABLE}"),
        (None, False, f"Step 14,400 is published, chosen by hand; the judge chose none. {TABLE}"),
        (None, True, f"Step 14,400 is published, the last one; the judge chose none. {TABLE}"),
    ],
)
def test_a_card_says_why_this_checkpoint(chosen: int | str | None, is_last: bool, says: str) -> None:
    scores = None if isinstance(chosen, str) else replace(SCORES, chosen=chosen)
    assert says in flat(model_card(replace(MODEL, scores=scores, is_last=is_last)))


def test_what_is_not_known_of_the_training_is_left_out() -> None:
    training = replace(MODEL.training, gpu="", usd=None, ended="", alerts=(), rollbacks=0, caption_dropout=0.0)
    card = model_card(replace(MODEL, training=training, data=TrainingData(3, "a caption", False)))
    assert not re.search(
        r"\| (GPU|its digest|trained without caption|end of the run) \||What happened|KanjiVG|CC BY|None",
        card,
    )
    assert "| dataset | 3 pictures |" in card
    assert "| the whole run took | 41.2 hours |" in card
    assert not {"datasets"} & set(data(card))
    assert "kanji" not in data(card)["tags"]
    assert "Nothing is known here of the sources of the training data." in card


def test_without_pictures_nothing_is_said_of_pictures() -> None:
    card = model_card(replace(MODEL, pictures=()))
    assert not re.search("Gallery|validation|[Pp]ictured|painted|widget", card)
    assert "- It was trained at 1,024 px. Other sizes were not tried.\n" in card
    assert 'prompt="The kanji 亜 means Asia.",\n    num_inference_steps=30,' in card


def test_pictures_of_an_earlier_step_are_called_so() -> None:
    said = "The pictures were painted at step 12,000 of the training; the adapter is of step 14,400."
    assert said not in model_card(MODEL)
    assert said in model_card(replace(MODEL, pictures=tuple(replace(one, step=12_000) for one in MODEL.pictures)))


@pytest.mark.parametrize(("model", "is_told"), [(MODEL, True), (TOY, False), (FIRST, False)])
def test_only_of_a_model_that_has_t5_it_is_said_what_t5_does_not_know(model: ModelFacts, is_told: bool) -> None:
    assert ("T5 of its base model" in model_card(model)) is is_told


def test_without_a_caption_nothing_is_said_of_captions() -> None:
    card = model_card(replace(MODEL, data=replace(MODEL.data, caption="")))
    assert "## Prompts" not in card
    assert "instance_prompt" not in data(card)


def test_several_gpus_and_rollbacks_are_counted() -> None:
    training = replace(MODEL.training, gpus=4, pictures_a_step=48, gpu="4 x NVIDIA H100", rollbacks=3, hours=0.2)
    card = model_card(replace(MODEL, training=training))
    assert "| pictures a step | 48 (batch 6, accumulation 2, 4 GPUs) |" in card
    assert "| GPU | 4 x NVIDIA H100 |" in card
    assert "| the whole run took | 12.0 minutes, 53.15 dollars |" in card
    assert "went back to an earlier checkpoint 3 times." in card


@pytest.mark.parametrize("skip_layers", [(), (7, 8, 9)])
@pytest.mark.parametrize("model", [MODEL, FIRST])
def test_the_code_of_a_card_calls_what_was_validated(model: ModelFacts, skip_layers: tuple[int, ...]) -> None:
    sampling = replace(model.sampling, skip_layers=skip_layers)
    shown = replace(model.pictures[0], negative="" if skip_layers else NEGATIVE)
    (source,) = blocks(model_card(replace(model, sampling=sampling, pictures=(shown,))), "python")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    (painting,) = [call for call in calls if ast.unparse(call.func) == "pipeline"]
    words = {one.arg: ast.unparse(one.value) for one in painting.keywords}
    assert words.pop("generator") == "torch.Generator().manual_seed(42)"
    assert words == {
        "prompt": "'A kanji that means mountains'",
        "num_inference_steps": "30",
        "guidance_scale": "3.0",
        "width": "1024",
        "height": "1024",
        **({"skip_guidance_layers": "[7, 8, 9]"} if skip_layers else {"negative_prompt": f"{NEGATIVE!r}"}),
    }
    loading = "'someone/kanji-lora', weight_name='pytorch_lora_weights.safetensors'"
    assert f"pipeline.load_lora_weights({loading})" in map(ast.unparse, calls)


POISON: Final = (
    "quotes \" and ' and \\",
    "two\nlines\n\n---\nlicense: mit\n---\n",
    "{{ 7 * 7 }} {% raw %} {# gone #}",
    "<script>alert(1)</script><img src=x onerror=y>",
    "a | b | `c` ``` d",
    "```\n# out\n```",
    f"{END}\n{BEGIN}",
    "亜 🐒 \u202e\x07\x1b[31m",
    "!!python/object/apply:os.system [id]",
    "*a &b",
    "[x](javascript:alert(1)) ![y](z)",
    "</td></tr></table>",
    "~~~\n$(id) `id`",
    "1e3",
)


def seen(card: str) -> tuple[set[str], list[int]]:
    """Every tag of HTML that a reader makes of the card, and how many cells the rows of its tables have."""
    from lxml import html

    page = html.fromstring(MarkdownIt("commonmark", {"html": True}).enable("table").render(body(card)))
    tags = {str(node.tag) for node in page.iter() if isinstance(node.tag, str)}
    return tags, [len(row) for row in page.xpath("//tr")]


@pytest.mark.parametrize("poison", POISON)
def test_no_text_breaks_out_of_the_card_of_a_dataset(poison: str) -> None:
    source = SourceRecord(poison, poison, "", poison)
    certificate = replace(
        CERTIFICATE,
        tool=poison,
        renderer=poison,
        sources={"kanjidic": source},
        caption=CaptionRecord(poison, poison),
        skipped={poison: 1},
        digest=poison,
    )
    told = replace(DATASET, certificate=certificate, examples=(Example("亜", poison, poison),))
    card, clean = hub_card(told), replace(DATASET, examples=DATASET.examples[:1])
    clean = replace(clean, certificate=replace(CERTIFICATE, sources={"a": source}, skipped={"a": 1}))
    assert data(card) == data(hub_card(DATASET))
    assert seen(card)[0] <= seen(hub_card(clean))[0]
    assert seen(card)[1] == seen(hub_card(clean))[1]
    assert poison.replace("<!-- kanjiprep:", "<!- - kanjiprep:").strip() in [one.strip() for one in blocks(card, "")]
    assert merge(card, card, HubError, "card").text == card
    (command,) = blocks(card, "bash")
    assert shlex.split(command)[-1] == "someone/kanji"


@pytest.mark.parametrize("poison", POISON)
def test_no_text_breaks_out_of_the_card_of_a_model(poison: str) -> None:
    told = replace(
        MODEL,
        base=replace(MODEL.base, name=poison),
        adapter=replace(MODEL.adapter, repairs=(poison,), targets=(poison,), file_name=poison, dtype=poison),
        data=replace(MODEL.data, caption=poison, revision=poison),
        training=replace(
            MODEL.training, alerts=(poison,), gpu=poison, schedule=poison, optimizer=poison, ended=poison
        ),
        pictures=(Widget("a", poison, poison, "images/a.png", 14_400),),
        scores=Scores((Score(100, 0.5, {poison: poison}),), 100),
        workflows=(poison,),
    )
    card, clean = model_card(told), model_card(replace(MODEL, scores=Scores((Score(100, 0.5, {"a": "b"}),), 100)))
    table = data(card)
    assert table["instance_prompt"] == poison
    assert table["widget"][0]["text"] == table["widget"][0]["parameters"]["negative_prompt"] == poison
    assert table["license"] == "other"
    assert seen(card)[0] <= seen(clean)[0]
    assert seen(card)[1] == seen(clean)[1]
    assert merge(card, card, HubError, "card").text == card
    (source,) = blocks(card, "python")
    words = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.keyword)]
    (prompt,) = [ast.literal_eval(word.value) for word in words if word.arg == "prompt"]
    assert prompt == poison.replace("<!-- kanjiprep:", "<!- - kanjiprep:")


@pytest.mark.parametrize("card", [hub_card(DATASET), model_card(MODEL)])
def test_a_card_stands_between_our_marks_and_can_be_renewed(card: str) -> None:
    assert body(card).startswith(f"\n{BEGIN}\n\n# ")
    assert body(card).endswith(f"\n\n{END}\n")
    assert merge(card, "", HubError, "card").text == card
    assert not re.search(r"\n{3,}|[ \t]\n", card)


@pytest.mark.parametrize("flavour", ["large", "medium", "large-turbo"])
def test_a_notice_is_written_where_the_licence_wants_one(flavour: str) -> None:
    licence = licences.of_base(f"stabilityai/stable-diffusion-3.5-{flavour}")
    assert licence is not None
    notice = licences.notice_file(licence, "Stable Diffusion 3.5")
    assert notice.startswith(f"{licence.notice}\n\nChanged: ")
    first = licences.of_base("stable-diffusion-v1-5/stable-diffusion-v1-5")
    assert first is not None
    assert licences.notice_file(first, "Stable Diffusion 1.5") == ""
    assert licences.of_base("someone/else") is None
