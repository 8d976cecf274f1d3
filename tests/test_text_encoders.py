import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanjiprep import tokens
from kanjiprep.errors import InputError
from kanjiprep.publishing import text_encoders
from kanjiprep.training.inside import tiny_model

pytest.importorskip("tokenizers")

MERGES = ("s u", "su n</w>", "! !</w>", "' s</w>", ". .</w>", "a n")
TEXTS = (
    "", "sun", "Sun\u2019s SUN!!", "it's the 'sun", "12 \u00bd \u732b\u732b", "a\u3000b\x1cc\x85d",
    "\u0130 \ufb01 e\u0301",
    "<|endoftext|>!? <|startoftext|>sun", "</s><pad>", "...", "  sun   sun  ", "\u2460\u2026\u338d", "\n",
)  # fmt: skip
TABLE = (
    b'{"model": {"vocab": [["a", 1], ["b", 1], ["c", 1]]},'
    b' "normalizer": {"type": "Precompiled", "precompiled_charsmap": "%s"}}'
)
REPO = "stabilityai/stable-diffusion-3.5-large"


def write_clip(folder: Path, pad: str = tiny_model.END) -> Path:
    """A CLIP tokenizer that merges a little."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    tiny_model.write_clip_tokenizer(folder, pad)
    merged = [line.replace(" ", "") for line in MERGES]
    vocabulary = [*tiny_model.clip_vocabulary(), *merged]
    (folder / "vocab.json").write_text(json.dumps({text: place for place, text in enumerate(vocabulary)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n", "utf-8")
    return folder


def write_t5(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    tiny_model.write_t5_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tokenizers of an SD3."""
    folder = tmp_path_factory.mktemp("model")
    write_clip(folder / "tokenizer")
    write_clip(folder / "tokenizer_2", "!")
    write_t5(folder / "tokenizer_3")
    return folder


def cached(home: Path, commit: str, name: str, write: Callable[[Path], Path]) -> Path:
    return write(home / "hub" / f"models--{REPO.replace('/', '--')}" / "snapshots" / commit / name)


def test_counts_are_those_of_transformers(model: Path) -> None:
    transformers = pytest.importorskip("transformers")
    for name, encoder in text_encoders.SLOTS.items():
        kind = transformers.T5TokenizerFast if encoder == "T5" else transformers.CLIPTokenizer
        theirs = kind.from_pretrained(model / name)
        ours = text_encoders.load(model / name, encoder)
        assert {text: ours(text) for text in TEXTS} == {text: len(theirs(text)["input_ids"]) for text in TEXTS}, name


@given(
    st.text(max_size=40) | st.text(alphabet=st.sampled_from("aA'sl!. \u732b\u00e9\x1c\x85\u3000\u0301"), max_size=40)
)
def test_bytes_bound_a_tokenizer_of_bytes_exactly(model: Path, text: str) -> None:
    assert sum(len(piece.encode()) for piece in tokens.clip_pieces(text)) + 2 >= text_encoders.load(
        model / "tokenizer", "CLIP-L"
    )(text)


def test_the_pad_mark_of_clip_g_is_a_token_wherever_it_stands(model: Path) -> None:
    assert text_encoders.load(model / "tokenizer", "CLIP-L")("sun!!") == 4
    assert text_encoders.load(model / "tokenizer_2", "CLIP-G")("sun!!") == 5


def test_half_a_character_is_no_end(model: Path) -> None:
    assert text_encoders.load(model / "tokenizer", "CLIP-L")("\ud800") == 3
    assert text_encoders.load(model / "tokenizer_3", "T5")("\ud800") == 3


@pytest.mark.parametrize("as_pairs", [True, False])
def test_a_clip_that_newer_libraries_saved_is_one_file(model: Path, tmp_path: Path, as_pairs: bool) -> None:
    merges: list[Any] = [line.split() for line in MERGES] if as_pairs else list(MERGES)
    vocabulary = json.loads((model / "tokenizer" / "vocab.json").read_text("utf-8"))
    document = {"model": {"type": "BPE", "vocab": vocabulary, "merges": merges}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    settings = {"pad_token": {"content": "!"}, "eos_token": tiny_model.END, "bos_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    assert text_encoders.load(tmp_path, "CLIP-G")("Sun's!!") == 6


def test_the_table_of_characters_is_kept_and_other_changes_are_not() -> None:
    table = {"type": "Precompiled", "precompiled_charsmap": "AAAAAA=="}
    assert list(text_encoders._tables({"type": "Sequence", "normalizers": [{"type": "Strip"}, table]})) == [table]
    assert list(text_encoders._tables(table)) == [table]
    assert list(text_encoders._tables({})) == []


def test_a_t5_of_pieces_alone_is_read_too(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    with (tmp_path / "spiece.model").open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["sun moon", "sun"] * 9), model_writer=file, vocab_size=9, hard_vocab_limit=False,
            minloglevel=2, num_threads=1,
        )  # fmt: skip
    count = text_encoders.load(tmp_path, "T5")
    assert (count(""), count("sun")) == (1, count("sun sun") - count("sun") + 1)


@pytest.mark.parametrize(
    ("name", "content", "encoder", "says"),
    [
        ("tokenizer.json", b"", "T5", "holds no tokenizer that is understood: JSONDecodeError"),
        ("tokenizer.json", b"[]", "CLIP-L", "holds no tokenizer that is understood: TypeError"),
        ("tokenizer.json", b'{"model": {}}', "CLIP-L", "holds no tokenizer that is understood: KeyError"),
        ("tokenizer.json", b'{"version": "1.0"}', "T5", "holds no tokenizer that is understood: KeyError"),
        ("tokenizer.json", b'{"model": {"vocab": [["a", 1]]}}', "T5", "holds no tokenizer that is understood: Exc"),
        ("tokenizer.json", TABLE % b"AAAA", "T5", "Cannot parse precompiled_charsmap"),
        ("tokenizer.json", TABLE % b"A", "T5", "holds no tokenizer that is understood: Error"),
        ("tokenizer.json", b'{"model": {"vocab": {"a": 0}, "merges": ["a b"]}}', "CLIP-L", "out of vocabulary"),
        ("tokenizer.json", b'{"model": {"vocab": {"a": 0}, "merges": ["a"]}}', "CLIP-L", "not enough values"),
        ("tokenizer.json", b"\xff", "CLIP-G", "UnicodeDecodeError"),
        ("tokenizer.json", b"[" * 100_000, "CLIP-G", "RecursionError"),
        ("spiece.model", b"version https://git-lfs", "T5", "holds no tokenizer that is understood"),
        ("vocab.json", b"{}", "CLIP-L", "cannot be read: no such file or directory"),
    ],
)
def test_a_broken_file_is_one_clear_line(
    tmp_path: Path, name: str, content: bytes, encoder: text_encoders.Encoder, says: str
) -> None:
    if name == "spiece.model":
        pytest.importorskip("sentencepiece")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="download the model anew") as caught:
        text_encoders.load(tmp_path, encoder)
    assert says.lower() in str(caught.value).lower()


def test_a_missing_package_is_told_as_such(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ModuleNotFoundError):
        text_encoders.load(write_clip(tmp_path / "tokenizer"), "CLIP-L")


def test_a_file_that_was_changed_is_read_anew(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "tokenizer")
    assert text_encoders.load(folder, "CLIP-L")("sun") == 3
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    assert text_encoders.load(folder, "CLIP-L")("sun") == 5


def test_a_folder_has_the_encoders_whose_tokenizers_it_has(model: Path, tmp_path: Path) -> None:
    assert text_encoders.find(str(model), "", {}) == {
        "CLIP-L": model / "tokenizer", "CLIP-G": model / "tokenizer_2", "T5": model / "tokenizer_3",
    }  # fmt: skip
    write_clip(tmp_path / "tokenizer")
    assert text_encoders.find(str(tmp_path), "", {}) == {"CLIP-L": tmp_path / "tokenizer"}
    assert list(text_encoders.find(str(tmp_path), "sd3", {})) == ["CLIP-L", "CLIP-G", "T5"]


def test_a_model_that_was_saved_without_t5_has_none(model: Path, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"tokenizer_3": [null, null]}', "utf-8")
    assert list(text_encoders.find(str(tmp_path), "sd3", {})) == ["CLIP-L", "CLIP-G"]
    (tmp_path / "model_index.json").write_text("[]", "utf-8")
    assert list(text_encoders.find(str(tmp_path), "sd3", {})) == ["CLIP-L", "CLIP-G", "T5"]


@pytest.mark.parametrize(
    ("base", "encoders"),
    [
        (REPO, 3),
        ("StabilityAI/Stable-Diffusion-3-medium-diffusers", 3),
        ("someone/SD3.5-kanji", 3),
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", 1),
        ("sd3-tries/my-sd15", 1),
        ("", 1),
        ("a\0b", 1),
        ("~nobody-of-that-name/x", 1),
        ("x" * 5000, 1),
    ],
)
def test_without_files_the_name_tells_how_many_there_are(tmp_path: Path, base: str, encoders: int) -> None:
    found = text_encoders.find(base, "", {"HF_HOME": str(tmp_path)})
    assert list(found) == list(text_encoders.SLOTS.values())[:encoders]
    assert set(found.values()) == {None}


def test_the_snapshot_in_use_comes_first_then_the_newest(tmp_path: Path) -> None:
    old = cached(tmp_path, "aaa", "tokenizer", write_clip)
    new = cached(tmp_path, "bbb", "tokenizer", write_clip)
    third = cached(tmp_path, "aaa", "tokenizer_3", write_t5)
    os.utime(old.parent, (1, 1))
    environ = {"HF_HOME": str(tmp_path)}
    refs = new.parent.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text("bbb\n", "utf-8")
    assert text_encoders.find(REPO, "", environ) == {"CLIP-L": new, "CLIP-G": None, "T5": third}
    (refs / "main").write_text("aaa", "utf-8")
    assert text_encoders.find(REPO, "", environ)["CLIP-L"] == old
    (refs / "main").unlink()
    assert text_encoders.find(REPO, "", environ)["CLIP-L"] == new


@pytest.mark.parametrize(
    ("variable", "below"),
    [
        ("HF_HUB_CACHE", "x/hub"),
        ("HUGGINGFACE_HUB_CACHE", "x/hub"),
        ("HF_HOME", "x"),
        ("XDG_CACHE_HOME", "."),
    ],
)
def test_the_cache_is_where_the_environment_says(tmp_path: Path, variable: str, below: str) -> None:
    home = tmp_path / "huggingface" if variable == "XDG_CACHE_HOME" else tmp_path / "x"
    there = cached(home, "aaa", "tokenizer", write_clip)
    assert text_encoders.find(REPO, "", {variable: str(tmp_path / below)})["CLIP-L"] == there
    assert text_encoders.find(REPO, "", {variable: "\0"})["CLIP-L"] is None
