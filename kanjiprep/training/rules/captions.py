"""Where captions come from, and how much of them is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.subject import Subject, Table, key_of, name_of

_FACTORY: Final = "SimpleTuner 4.10.1 helpers/data_backend/factory.py, run"
_PROMPTS: Final = "SimpleTuner 4.10.1 helpers/prompts.py"
_STRATEGIES: Final = ("filename", "textfile", "parquet", "instanceprompt", "csv", "huggingface", "webshart")
_OWN: Final = ("huggingface", "webshart")


def _strategy(subject: Subject, dataset: Table) -> str:
    given = dataset.get("caption_strategy")
    if given is None and dataset.get("type") in _OWN:
        return str(dataset["type"])
    return subject.text("caption_strategy") if given is None else str(given)


def _table(dataset: Table) -> Table:
    block = dataset.get("parquet")
    return block if isinstance(block, Mapping) else {}


@rule(
    "unknown-caption-strategy",
    "error",
    "A caption strategy that does not exist",
    why="The word is not checked when the file is read, and ends the run at the first caption.",
    fix="Write one of the words that are listed; a local dataset reads no metadata.csv.",
    source=_PROMPTS,
)
def unknown_strategy(subject: Subject) -> Iterator[Hit]:
    """Words that no caption comes from."""
    for dataset in subject.trained:
        strategy = _strategy(subject, dataset)
        if strategy not in _STRATEGIES:
            yield Hit(key_of(dataset, "caption_strategy"), f"{strategy!r} is none of {', '.join(_STRATEGIES)}.")


@rule(
    "captions-from-file-names",
    "warning",
    "Captions made of file names",
    why="Where no caption_strategy is written, the caption is the file name with spaces for underscores.",
    fix="Write the caption_strategy that you mean; filename if it is that.",
    source=f"{_PROMPTS}, default of the live parser",
)
def from_file_names(subject: Subject) -> Iterator[Hit]:
    """Local datasets that leave their captions to the default."""
    if subject.given("caption_strategy") is not None:
        return
    for dataset in subject.trained:
        if dataset.get("caption_strategy") is None and dataset.get("type") in ("local", "aws"):
            yield Hit(key_of(dataset, "caption_strategy"), f"{name_of(dataset)} says nothing about its captions.")


@rule(
    "captions-do-not-fit",
    "error",
    "Captions and metadata that do not fit together",
    why="Captions from parquet need metadata_backend parquet, and datasets of the Hub read their own captions only.",
    fix="Write caption_strategy and metadata_backend as the type needs them.",
    source=_FACTORY,
)
def do_not_fit(subject: Subject) -> Iterator[Hit]:
    """Pairs that the factory refuses."""
    for dataset in subject.trained:
        strategy, metadata = _strategy(subject, dataset), str(dataset.get("metadata_backend") or "")
        kind_of = dataset.get("type")
        is_bare = strategy == "parquet" and metadata in ("", "json", "discovery")
        is_foreign = strategy in _OWN and kind_of != strategy
        is_other = kind_of in _OWN and (strategy not in (kind_of, "instanceprompt") or metadata not in ("", kind_of))
        if is_bare or is_foreign or is_other:
            what = f"type {kind_of}, caption_strategy {strategy} and metadata_backend {metadata or 'discovery'}"
            yield Hit(key_of(dataset, "caption_strategy"), f"{name_of(dataset)} has {what}.")


@rule(
    "no-caption-table",
    "error",
    "A caption table without a path",
    why="Captions or metadata from parquet need a table parquet with a path in it.",
    fix="Write parquet with path, filename_column, caption_column, width_column and height_column.",
    source=f"{_FACTORY} configure_parquet_database",
)
def no_caption_table(subject: Subject) -> Iterator[Hit]:
    """Parquet without parquet."""
    for dataset in subject.trained:
        uses = "parquet" in (_strategy(subject, dataset), dataset.get("metadata_backend"))
        if uses and not _table(dataset).get("path"):
            yield Hit(key_of(dataset, "parquet"), f"{name_of(dataset)} names no table.")


@rule(
    "names-read-as-numbers",
    "note",
    "File names that may be read as numbers",
    why="A .jsonl table is read by pandas, which takes names like 04e00 or 05165 for numbers: 4.0 and 5165.0.",
    fix='Write file names with their extension, and "identifier_includes_extension": true.',
    source="SimpleTuner 4.10.1 helpers/data_backend/factory.py; pandas read_json, run",
)
def read_as_numbers(subject: Subject) -> Iterator[Hit]:
    """JSON lines without extensions."""
    for dataset in subject.trained:
        table = _table(dataset)
        is_lines = str(table.get("path") or "").endswith(".jsonl")
        if is_lines and table.get("identifier_includes_extension") is not True:
            yield Hit(key_of(dataset, "parquet"), f"{name_of(dataset)} names its pictures without extension.")


@rule(
    "no-instance-prompt",
    "error",
    "One caption for all, which is missing",
    why="The strategy instanceprompt needs instance_prompt.",
    fix="Write instance_prompt.",
    source=_PROMPTS,
)
def no_instance_prompt(subject: Subject) -> Iterator[Hit]:
    """The strategy for one prompt, without a prompt."""
    for dataset in subject.trained:
        has_prompt = dataset.get("instance_prompt") or subject.text("instance_prompt")
        if _strategy(subject, dataset) == "instanceprompt" and not has_prompt:
            yield Hit(key_of(dataset, "instance_prompt"), f"{name_of(dataset)} has no instance_prompt.")


@rule(
    "caption-dropout-by-default",
    "note",
    "Captions dropped, because nothing was said",
    why="caption_dropout_probability is 0.1 where it is not written.",
    fix="Write the caption_dropout_probability that you mean; 0 for none.",
    source="SimpleTuner 4.10.1, default of the live parser",
)
def caption_dropout(subject: Subject) -> Iterator[Hit]:
    """A missing caption dropout."""
    if subject.given("caption_dropout_probability") is None:
        yield Hit("caption_dropout_probability", "A tenth of the samples is trained without a caption.")


@rule(
    "captions-over-clip",
    "warning",
    "Captions cut at 77 tokens",
    why="The text encoder of Stable Diffusion 1.x is CLIP, which reads 77 tokens.",
    fix="Shorten the captions, or put what matters first.",
    source="CLIP's context length; SimpleTuner 4.10.1 helpers/models/sd1x/model.py",
)
def over_clip(subject: Subject) -> Iterator[Hit]:
    """Long captions where CLIP is all there is."""
    count = subject.context.captions_over_clip
    if subject.family == "sd1x" and count:
        yield Hit("tokenizer_max_length", f"{count:,} captions are longer.")


@rule(
    "captions-half-read",
    "note",
    "Captions of which CLIP reads the start",
    why="Two of SD3's three text encoders are CLIP and read 77 tokens; T5 reads on.",
    fix="Put the subject first.",
    source="SimpleTuner 4.10.1 helpers/models/sd3/model.py",
)
def half_read(subject: Subject) -> Iterator[Hit]:
    """Captions too long for CLIP, for SD3."""
    count = subject.context.captions_over_clip
    if subject.family == "sd3" and count:
        yield Hit("tokenizer_max_length", f"{count:,} captions are longer than 77 tokens.")


@rule(
    "captions-over-t5",
    "warning",
    "Captions cut at 154 tokens",
    why="The trainer gives T5 at most 154 tokens for SD3, and no other encoder reads further.",
    fix="Shorten the captions.",
    source="SimpleTuner 4.10.1 helpers/models/sd3/model.py check_user_config",
)
def over_t5(subject: Subject) -> Iterator[Hit]:
    """Captions too long for T5, for SD3."""
    count = subject.context.captions_over_t5
    if subject.family == "sd3" and count:
        yield Hit("tokenizer_max_length", f"{count:,} captions are longer.")


RULES: Final[tuple[Rule, ...]] = (
    unknown_strategy,
    from_file_names,
    do_not_fit,
    no_caption_table,
    read_as_numbers,
    no_instance_prompt,
    caption_dropout,
    over_clip,
    half_read,
    over_t5,
)
