"""Values and names that do not arrive as they were written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kanjiprep.training.rules import words
from kanjiprep.training.rules.rule import Hit, Rule, rule
from kanjiprep.training.rules.subject import KEPT_WHOLE, OLD_NAMES, Subject, as_read

_CONVERSION: Final = "SimpleTuner 4.10.1 helpers/configuration/cli_utils.py mapping_to_cli_args, run"
_PARSER: Final = "SimpleTuner 4.10.1, its parser run"
_WRAPPED: Final = ("config", "_metadata")


def _is_wrapped(subject: Subject) -> bool:
    return isinstance(subject.config.get("config"), Mapping)


@rule(
    "wrapped-config",
    "error",
    "A config inside a config",
    why="The web interface saves {_metadata, config}; the trainer reads the outer table and drops what is nested.",
    fix="Write the keys of the inner table at the top of the file.",
    source="SimpleTuner 4.10.1 helpers/configuration/json_file.py",
)
def wrapped(subject: Subject) -> Iterator[Hit]:
    """The form that the web interface saves."""
    if _is_wrapped(subject):
        yield Hit("config", "All keys are inside of another table and will not be read.")


@rule(
    "missing-key",
    "error",
    "A key that must be there",
    why="The parser requires model_family, model_type, optimizer, output_dir and data_backend_config.",
    fix="Write the key.",
    source=_PARSER,
)
def missing_key(subject: Subject) -> Iterator[Hit]:
    """Each required key that does not arrive."""
    if _is_wrapped(subject):
        return
    for key in ("model_family", "model_type", "optimizer", "output_dir", "data_backend_config"):
        if subject.given(key) is None:
            yield Hit(key, f"{key} is missing or empty.")


@rule(
    "text-for-false",
    "error",
    "The word false where false is meant",
    why='The text "false" is dropped before it is parsed, so an option that is on by default stays on.',
    fix="Write false without quotation marks.",
    source=_CONVERSION,
)
def text_for_false(subject: Subject) -> Iterator[Hit]:
    """The text for an option that is on by default."""
    for key, value in subject.config.items():
        if key in words.ON_BY_DEFAULT and isinstance(value, str) and value.strip().lower() == "false":
            yield Hit(key, f'{key} is the text "{value}" and stays on.')


@rule(
    "list-collapses",
    "error",
    "A list of which the last element is left",
    why="A list becomes one option for each element, and the last one wins.",
    fix='Write the list as a text: "[7, 8, 9]".',
    source=_CONVERSION,
)
def list_collapses(subject: Subject) -> Iterator[Hit]:
    """Lists for keys that take one value."""
    for key, value in subject.config.items():
        if not isinstance(value, list | tuple) or key in KEPT_WHOLE | words.IGNORED | {"report_to"}:
            continue
        if len(value) > 1 or (value and key == "validation_guidance_skip_layers"):
            yield Hit(key, f"Of {value!r} only {as_read(key, value)!r} reaches the trainer.")


@rule(
    "table-dropped",
    "error",
    "A table that is dropped",
    why="Only a few keys may hold a table; under any other one it is dropped without a word.",
    fix="Write the table into a file and give its path, or write it as a text.",
    source=_CONVERSION,
)
def table_dropped(subject: Subject) -> Iterator[Hit]:
    """Tables for keys that take one value."""
    for key, value in subject.config.items():
        is_known = key in KEPT_WHOLE | words.IGNORED or key in _WRAPPED
        if isinstance(value, Mapping) and not is_known:
            yield Hit(key, f"The table of {len(value)} keys under {key} does not reach the trainer.")


@rule(
    "not-a-number",
    "error",
    "A value that is not the number it should be",
    why="The parser takes whole numbers only as such: 768.0 is an invalid int; true and false are no numbers.",
    fix="Write a plain number: 768 rather than 768.0.",
    source=_PARSER,
)
def not_a_number(subject: Subject) -> Iterator[Hit]:
    """Values that int or float would refuse."""
    for key, value in subject.config.items():
        read = as_read(key, value)
        if read is None:
            continue
        if key in words.WHOLE and not words.is_whole(read):
            yield Hit(key, f"{value!r} is no whole number.")
        elif key in words.REAL and not words.is_real(read):
            yield Hit(key, f"{value!r} is no number.")


@rule(
    "unknown-choice",
    "error",
    "A word that is none of the choices",
    why="The parser refuses any other word, and upper case as well.",
    fix="Write one of the words that are listed.",
    source=_PARSER,
)
def unknown_choice(subject: Subject) -> Iterator[Hit]:
    """Words outside of the choices of their key."""
    for key, choices in words.CHOICES.items():
        given = subject.given(key)
        if given is not None and str(given) not in choices:
            yield Hit(key, f"{given!r} is none of {', '.join(choices)}.")


@rule(
    "removed-key",
    "error",
    "A key that SimpleTuner does not take",
    why="Options that went, or that only other trainers have, end the start with: unrecognized arguments.",
    fix="Use the name that is given, or drop the key.",
    source=_PARSER,
)
def removed_key(subject: Subject) -> Iterator[Hit]:
    """Keys of older versions and of other trainers, with what to do about each."""
    for key in subject.config:
        if key in words.REMOVED:
            yield Hit(key, f"{key} is not taken; {words.REMOVED[key]}.")


@rule(
    "comment-key",
    "error",
    "A comment that is taken for an option",
    why="Every key becomes an option, whatever its first character.",
    fix="Drop the key: the file has no place for comments.",
    source=_PARSER,
)
def comment_key(subject: Subject) -> Iterator[Hit]:
    """Keys that start like comments."""
    for key in subject.config:
        if key.startswith(("_", "#", "//")) and key not in words.IGNORED and key not in _WRAPPED:
            yield Hit(key, f"{key} ends the start with: unrecognized arguments.")


@rule(
    "ignored-key",
    "error",
    "A dataset's key in config.json",
    why="These keys belong to a dataset; in config.json they are skipped without a word.",
    fix="Move the key into the dataset in multidatabackend.json.",
    source=_CONVERSION,
)
def ignored_key(subject: Subject) -> Iterator[Hit]:
    """Keys that only mean something in multidatabackend.json."""
    for key, value in subject.config.items():
        if key in words.OF_DATASETS and value is not None:
            yield Hit(key, f"{key} {value!r} has no effect here.")


@rule(
    "old-name",
    "note",
    "An older name of a key",
    why="The name is still taken for the newer one, by this version.",
    fix="Use the newer name.",
    source=_CONVERSION,
)
def old_name(subject: Subject) -> Iterator[Hit]:
    """Keys that have been renamed and still work."""
    for key in subject.config:
        if key in OLD_NAMES:
            yield Hit(key, f"{key} is now {OLD_NAMES[key]}.")
        elif key in words.TURNED:
            yield Hit(key, f"{key} is now {words.TURNED[key]}, with the opposite meaning.")


@rule(
    "environment-in-text",
    "warning",
    "A prompt that is filled from the environment",
    why="{env:NAME} in any text is replaced by that environment variable, and prompts are logged and published.",
    fix="Word the prompt without {env:...}.",
    source="SimpleTuner 4.10.1 helpers/configuration/template_vars.py, run",
)
def environment_in_text(subject: Subject) -> Iterator[Hit]:
    """Placeholders in texts that are shown."""
    for key, value in subject.config.items():
        if "prompt" in key and isinstance(value, str) and words.ENVIRONMENT.search(value):
            found = ", ".join(words.ENVIRONMENT.findall(value))
            yield Hit(key, f"{found} will be replaced by what the environment holds.")


@rule(
    "relative-path",
    "note",
    "A path that depends on where the trainer starts",
    why="Paths are looked up from the folder that the trainer was started in, not from the one of the config.",
    fix="Write absolute paths.",
    source="SimpleTuner 4.10.1 helpers/data_backend/factory.py load_configuration",
)
def relative_path(subject: Subject) -> Iterator[Hit]:
    """Relative paths among the two that every config has."""
    for key in ("output_dir", "data_backend_config"):
        path = subject.text(key)
        if path and not path.startswith(("/", "~", "{")) and path[1:3] not in (":\\", ":/"):
            yield Hit(key, f"{key} is {path}.")


RULES: Final[tuple[Rule, ...]] = (
    wrapped,
    missing_key,
    removed_key,
    comment_key,
    ignored_key,
    text_for_false,
    list_collapses,
    table_dropped,
    not_a_number,
    unknown_choice,
    old_name,
    environment_in_text,
    relative_path,
)
