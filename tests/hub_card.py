"""What the Hub checks in the YAML front matter of a README.md.

Source: https://huggingface.co/docs/hub/datasets-cards and model-cards, and the templates of both cards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LICENSES = _words("""
    afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0 bigscience-openrail-m bsd
    bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0
    cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
    cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0
    creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 gemma gfdl gpl
    gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 lppl-1.3c mit mpl-2.0
    ms-pl ncsa odbl odc-by ofl-1.1 openrail openrail++ osl-3.0 pddl postgresql unknown unlicense wtfpl zlib other
""")
TASKS = _words("""
    any-to-any depth-estimation feature-extraction image-classification image-feature-extraction image-segmentation
    image-text-to-text image-to-3d image-to-image image-to-text image-to-video mask-generation object-detection other
    question-answering text-classification text-generation text-to-3d text-to-image text-to-speech text-to-video
    token-classification translation unconditional-image-generation visual-question-answering
    zero-shot-image-classification
""")
"""Those of the official list that a picture dataset or a LoRA could name."""
SIZES = _words("n<1K 1K<n<10K 10K<n<100K 100K<n<1M 1M<n<10M 10M<n<100M 100M<n<1B 1B<n<10B 10B<n<100B 100B<n<1T n>1T")
CREATORS = frozenset({"crowdsourced", "found", "expert-generated", "machine-generated", "no-annotation", "other"})
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a card, and what is only not as good as it could be."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check_card(text: str, repo_type: str) -> Verdict:
    """The verdict of the Hub on a README.md of a "model", "dataset" or "space"."""
    found = _FRONT_MATTER.match(text)
    if found is None:
        return Verdict(warnings=("empty or missing yaml metadata in repo card",))
    try:
        data = yaml.safe_load(found.group(1))
    except yaml.YAMLError as error:
        return Verdict(errors=(f"YAML Metadata Error: {' '.join(str(error).split())}",))
    if data is None:
        return Verdict(warnings=("empty or missing yaml metadata in repo card",))
    if not isinstance(data, dict):
        return Verdict(errors=("YAML Metadata Error: the metadata must be a mapping",))
    checks = {**_COMMON, **(_DATASET if repo_type == "dataset" else _MODEL)}
    errors = [f'"{key}" {wrong}' for key in data for wrong in checks.get(key, _nothing)(data[key])]
    return Verdict(tuple(errors), () if errors else tuple(_warnings(data)))


def metadata(text: str) -> Mapping[str, Any]:
    """The metadata of a card that is known to be good."""
    found = _FRONT_MATTER.match(text)
    return (yaml.safe_load(found.group(1)) or {}) if found else {}


Check = Callable[[Any], Iterator[str]]


def _nothing(_: Any) -> Iterator[str]:
    return iter(())


def _string(value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        yield "must be a string"


def _strings(value: Any) -> Iterator[str]:
    """A list of strings, which YAML makes easy to miss: `no` is a boolean and `1` a number."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        yield "must be an array of strings"


def _string_or_strings(value: Any) -> Iterator[str]:
    if not isinstance(value, str) and [*_strings(value)]:
        yield "must be a string or an array of strings"


def _of(known: frozenset[str], check: Check) -> Check:
    """A check for one or several of a list of words."""

    def of(value: Any) -> Iterator[str]:
        if wrong := [*check(value)]:
            yield from wrong
            return
        for one in [value] if isinstance(value, str) else value:
            if one not in known:
                yield f"must be one of the known values, and {one!r} is not"

    return of


def _languages(value: Any) -> Iterator[str]:
    if wrong := [*_string_or_strings(value)]:
        yield from wrong
        return
    for one in [value] if isinstance(value, str) else value:
        if not re.fullmatch("[a-z]{2,3}|multilingual|code", one):
            yield f"must be ISO 639 codes of two or three small letters, and {one!r} is not"


def _configs(value: Any) -> Iterator[str]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        yield "must be an array of objects"
        return
    for one in value:
        if not isinstance(one.get("config_name"), str):
            yield "needs a config_name in each of its objects"
        if "data_files" in one:
            yield from _data_files(one["data_files"])


def _data_files(value: Any) -> Iterator[str]:
    if not isinstance(value, str | list):
        yield "has data_files that are neither a string nor an array"
        return
    for one in [value] if isinstance(value, str) else value:
        good = isinstance(one, str) or (
            isinstance(one, dict) and isinstance(one.get("split"), str) and not [*_string_or_strings(one.get("path"))]
        )
        if not good:
            yield "has data_files that are neither a path nor an object of split and path"


def _dataset_info(value: Any) -> Iterator[str]:
    infos = value if isinstance(value, list) else [value]
    if not all(isinstance(info, dict) for info in infos):
        yield "must be an object or an array of objects"
        return
    for info in infos:
        for key in ("features", "splits"):
            parts = info.get(key, [])
            if not isinstance(parts, list) or not all(isinstance(p, dict) and "name" in p for p in parts):
                yield f"has {key} that are no array of objects with a name"


def _warnings(data: Mapping[str, Any]) -> Iterator[str]:
    for key in ("task_categories", "pipeline_tag"):
        value = data.get(key, [])
        for one in [value] if isinstance(value, str) else value:
            if one not in TASKS:
                yield f'The {key} "{one}" is not in the official list'
    if data.get("license") == "other" and not data.get("license_name"):
        yield '"license_name" should be given where "license" is other'


_COMMON: Mapping[str, Check] = {
    "license": _of(LICENSES, _string_or_strings),
    "license_name": _string,
    "license_link": _string,
    "language": _languages,
    "tags": _strings,
    "pretty_name": _string,
}
_DATASET: Mapping[str, Check] = {
    "task_categories": _strings,
    "task_ids": _strings,
    "size_categories": _of(SIZES, _string_or_strings),
    "annotations_creators": _of(CREATORS, _strings),
    "language_creators": _of(CREATORS, _strings),
    "source_datasets": _strings,
    "configs": _configs,
    "dataset_info": _dataset_info,
}
_MODEL: Mapping[str, Check] = {
    "base_model": _string_or_strings,
    "base_model_relation": _of(frozenset({"adapter", "finetune", "merge", "quantized"}), _string),
    "pipeline_tag": _string,
    "library_name": _string,
    "datasets": _string_or_strings,
    "metrics": _strings,
    "instance_prompt": _string,
}
