"""The tokenizer files of a model that are on this machine, and how many tokens they make of a text."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

from kanjiprep.errors import InputError, os_reason

Encoder = Literal["CLIP-L", "CLIP-G", "T5"]
Tokens = Callable[[str], int]
"""How many tokens a text costs, begin and end included."""

SLOTS: Final[Mapping[str, Encoder]] = {"tokenizer": "CLIP-L", "tokenizer_2": "CLIP-G", "tokenizer_3": "T5"}
"""The folders of a pipeline. Source: model_index.json of Stable Diffusion 1.5 and 3.5."""
OF_FAMILY: Final[Mapping[str, tuple[Encoder, ...]]] = {"sd1x": ("CLIP-L",), "sd3": ("CLIP-L", "CLIP-G", "T5")}

_WHOLE: Final = "tokenizer.json"
_SETTINGS: Final = ("special_tokens_map.json", "tokenizer_config.json")
_FILES: Final = (_WHOLE, "vocab.json", "merges.txt", "spiece.model", *_SETTINGS)
_START: Final = "<|startoftext|>"
_END: Final = "<|endoftext|>"
_CUT: Final = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""Source: transformers 5.24 models/clip/tokenization_clip.py."""
_UNKNOWN: Final = 2
"""T5's piece for what it has no piece for. Source: transformers 5.24 models/t5/tokenization_t5.py."""
_SD3: Final = re.compile(r"stable-?diffusion-?v?3|(?<![a-z])sd-?v?3", re.IGNORECASE)
_REPO: Final = re.compile(r"[\w.-]+/[\w.-]+")
_REMEDY: Final = "download the model anew"


def find(base: str, family: str, environ: Mapping[str, str]) -> dict[Encoder, Path | None]:
    """The text encoders of ``base``, each with the folder of its tokenizer if that is on this machine.

    Args:
        base: A repository of the Hub, or a folder in the layout of diffusers.
        family: ``sd3`` or ``sd1x``; empty if nobody knows, and then files or the name of ``base`` tell.
        environ: For the place of the Hub's cache.
    """
    homes = tuple(_homes(base, environ))
    found: dict[Encoder, Path] = {}
    for name, encoder in SLOTS.items():
        with suppress(StopIteration):
            found[encoder] = next(home / name for home in homes if _has_tokenizer(home / name))
    named = OF_FAMILY["sd3"] if _SD3.search(Path(base).name) else ()
    encoders = OF_FAMILY.get(family) or named or tuple(found) or OF_FAMILY["sd1x"]
    empty = _left_empty(homes)
    return {encoder: found.get(encoder) for encoder in encoders if encoder not in empty}


def _homes(base: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """Where the model may be: its folder, or its snapshots in the Hub's cache, the one in use first."""
    if not base or "\0" in base:
        return
    with suppress(RuntimeError):  # no such user
        yield Path(base).expanduser()
    if _REPO.fullmatch(base):
        with suppress(OSError, RuntimeError, ValueError):  # ValueError: a NUL in the environment
            yield from _snapshots(_cache(environ) / f"models--{base.replace('/', '--')}")


def _snapshots(model: Path) -> list[Path]:
    snapshots = sorted((model / "snapshots").glob("*/"), key=lambda one: one.stat().st_mtime, reverse=True)
    main = ""
    with suppress(OSError):
        main = (model / "refs" / "main").read_text("utf-8", "replace").strip()
    return sorted(snapshots, key=lambda one: one.name != main)


def _left_empty(homes: Iterable[Path]) -> set[Encoder]:
    """The encoders that the model was saved without, as SD3 may be without T5."""
    for home in homes:
        with suppress(OSError, ValueError, RecursionError):
            index = _json(home / "model_index.json")
            parts = index if isinstance(index, dict) else {}
            return {encoder for name, encoder in SLOTS.items() if parts.get(name) == [None, None]}
    return set()


def _cache(environ: Mapping[str, str]) -> Path:
    """Source: huggingface_hub constants.py, which reads the same variables in the same order."""
    cache = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    if cache:
        return Path(cache).expanduser()
    home = environ.get("HF_HOME") or f"{environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    return Path(home).expanduser() / "hub"


def _has_tokenizer(folder: Path) -> bool:
    names: set[str] = set()
    with suppress(OSError):
        names = {name for name in _FILES if (folder / name).is_file()}
    return bool(names & {_WHOLE, "spiece.model"}) or {"vocab.json", "merges.txt"} <= names


def load(folder: Path, encoder: Encoder) -> Tokens:
    """What counts tokens as transformers does with the files in ``folder``.

    Raises:
        InputError: If the files are not what they should be.
        ModuleNotFoundError: If the package that reads them is not there.
    """
    return _load(folder, encoder, tuple(map(_stamp, (folder / name for name in _FILES))))


def _stamp(path: Path) -> tuple[int, int]:
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    return 0, 0


@functools.lru_cache(maxsize=6)
def _load(folder: Path, encoder: Encoder, _stamps: object) -> Tokens:
    try:
        count = _t5(folder) if encoder == "T5" else _clip(folder)
        count("a")
    except ModuleNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"cannot be read: {os_reason(error)}", str(folder), _REMEDY) from error
    except Exception as error:  # tokenizers and sentencepiece raise Exception itself for a broken file
        reason = f"{type(error).__name__}: {error}"[:200]
        raise InputError(f"holds no tokenizer that is understood: {reason}", str(folder), _REMEDY) from error
    return count


def _clip(folder: Path) -> Tokens:
    """As transformers' CLIPTokenizer, which builds all but the vocabulary, the merges and the marks itself."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    vocabulary, merges = _byte_pairs(folder)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token=_END, end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_CUT), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.add_special_tokens(sorted({_START, _END, *_marks(folder)} & set(vocabulary)))
    return lambda text: len(tokenizer.encode(_valid(text), add_special_tokens=False).ids) + 2


def _byte_pairs(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    if (folder / _WHOLE).is_file():
        model = _json(folder / _WHOLE)["model"]
        vocabulary, lines = model["vocab"], model["merges"]
    else:
        vocabulary = _json(folder / "vocab.json")
        lines = (folder / "merges.txt").read_text("utf-8").splitlines()
    pairs = [line.split(" ") if isinstance(line, str) else line for line in lines if not _is_comment(line)]
    return vocabulary, [(first, second) for first, second in pairs]


def _is_comment(line: str | list[str]) -> bool:
    return isinstance(line, str) and (not line or line.startswith("#version"))


def _marks(folder: Path) -> Iterator[str]:
    """Texts that are one token wherever they stand: the pad mark of CLIP-G in SD3 is an exclamation mark."""
    for name in _SETTINGS:
        settings = _json(folder / name) if (folder / name).is_file() else {}
        for key in ("bos_token", "eos_token", "unk_token", "pad_token"):
            mark = settings.get(key)
            text = mark.get("content") if isinstance(mark, dict) else mark
            if isinstance(text, str):
                yield text


def _t5(folder: Path) -> Tokens:
    """As transformers' T5TokenizerFast, which takes the vocabulary and the table of characters from the file."""
    if not (folder / _WHOLE).is_file():
        return _pieces(folder)
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    document = _json(folder / _WHOLE)
    pieces = [(str(piece), float(score)) for piece, score in document["model"]["vocab"]]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=_UNKNOWN))
    for table in _tables(document.get("normalizer") or {}):
        tokenizer.normalizer = normalizers.Precompiled(base64.b64decode(table["precompiled_charsmap"], validate=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    tokenizer.add_special_tokens([str(mark["content"]) for mark in document.get("added_tokens") or ()])
    return lambda text: len(tokenizer.encode(_valid(text), add_special_tokens=False).ids) + 1


def _tables(normalizer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for one in normalizer.get("normalizers", [normalizer]):
        if one.get("type") == "Precompiled":
            yield one


def _pieces(folder: Path) -> Tokens:
    from sentencepiece import SentencePieceProcessor

    model = SentencePieceProcessor()
    model.LoadFromSerializedProto((folder / "spiece.model").read_bytes())
    return lambda text: len(model.EncodeAsIds(_valid(text))) + 1


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _valid(text: str) -> str:
    """``text`` without halves of characters, which UTF-8 has no bytes for."""
    return text.encode("utf-8", "replace").decode()
