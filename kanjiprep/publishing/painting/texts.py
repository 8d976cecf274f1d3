"""What is to be painted: prompts in their style with names, seeds and settings, from what the user asks for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final

from kanjiprep.errors import UsageError
from kanjiprep.paths import portable, unportable
from kanjiprep.publishing import prompt_tokens, sampling_of
from kanjiprep.publishing.painting.wish import Wish
from kanjiprep.publishing.tuned import Tuned
from kanjiprep.tokens import T5_CUT, T5_LIMIT
from kanjiprep.training import prompts
from kanjiprep.training.prompts import Prompts, Style
from kanjiprep.training.run_spec import Validation
from kanjiprep.training.running import run_source

_PLAIN: Final = "plain"
MOST_SEED: Final = 2**32 - 1
MOST_PICTURES: Final = 10_000
_LONGEST_NAME: Final = 40
_SEEDS: Final = re.compile(r"\s*([0-9]{1,10})\s*(?:-\s*([0-9]{1,10})\s*)?")


@dataclass(frozen=True, slots=True)
class Asked:
    """What pictures a user asks for; None and empty leave it to the run, or to the model's usual values.

    Attributes:
        prompts: In the user's words.
        library: A shipped file of prompts by name, or a path.
        style: A shipped one by name, or a path.
        negative: What pictures are to avoid.
        seeds: One picture of each prompt for each.
        size_px: Width and height.
        steps: Of the sampler.
        guidance: Scale of classifier-free guidance.
        like_validation: Whether to paint as the run's own validation does.
    """

    prompts: tuple[str, ...] = ()
    library: str | None = None
    style: str | None = None
    negative: str | None = None
    seeds: tuple[int, ...] = ()
    size_px: int | None = None
    steps: int | None = None
    guidance: float | None = None
    like_validation: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """A wish with its name.

    Attributes:
        name: Short, of its prompt; it becomes a part of the file's name.
        wish: What is asked for.
        start: Where in the prompt its subject begins.
    """

    name: str
    wish: Wish
    start: int = 0


@dataclass(frozen=True, slots=True)
class _Settings:
    """How pictures are sampled where the user does not say; see ``Wish``."""

    size_px: int
    steps: int
    guidance: float
    seed: int
    shift: float | None = None
    t5_tokens: int = T5_LIMIT


@dataclass(frozen=True, slots=True)
class _Words:
    """What pictures show and avoid.

    Attributes:
        texts: Subjects, whole prompts and where in them the subjects begin, by short name.
        style: Its name.
        negative: The style's.
    """

    texts: Mapping[str, tuple[str, str, int]]
    style: str
    negative: str


def pictures(asked: Asked, tuned: Tuned, family: str, flavour: str = "") -> tuple[Named, ...]:
    """Every picture that is asked for, prompt by prompt and seed by seed.

    A prompt that is there several times under several names gets further seeds each time.

    Args:
        asked: By the user.
        tuned: What paints them; a run has prompts, style and settings of its own.
        family: Of the model.
        flavour: Of the model; empty for that of ``tuned``.

    Raises:
        UsageError: If there is nothing to paint, or something is asked for that is not there.
        TrainerError: If the run's record cannot be read.
    """
    usual = _usual(asked, tuned, family, flavour or tuned.flavour)
    _refuse_strange(asked)
    words = _like_validation(asked, tuned) if asked.like_validation else _words(asked, tuned)
    seeds = asked.seeds or (usual.seed,)
    if len(words.texts) * len(seeds) > MOST_PICTURES:
        what = f"{len(words.texts) * len(seeds):,} pictures are too many at once"
        raise UsageError(what, "--seeds", f"ask for {MOST_PICTURES:,} at most")
    made: list[Named] = []
    before: dict[str, int] = {}
    span = max(seeds) - min(seeds) + 1
    for name, (subject, prompt, start) in words.texts.items():
        later = 0 if asked.like_validation else span * before.get(prompt, 0)
        before[prompt] = before.get(prompt, 0) + 1
        made += (Named(name, _wish(asked, usual, words, subject, prompt, seed + later), start) for seed in seeds)
    return tuple(made)


def _refuse_strange(asked: Asked) -> None:
    for text in (*asked.prompts, asked.negative or ""):
        if not text.isascii() and text.encode("utf-8", "replace").decode() != text:
            raise UsageError(f"{text!r:.60} is not Unicode", "", "write it in UTF-8")
    if asked.guidance is not None and not isfinite(asked.guidance):
        raise UsageError(f"{asked.guidance} is no number to multiply by", "--guidance", "give one such as 4.5")


def _wish(asked: Asked, usual: _Settings, words: _Words, subject: str, prompt: str, seed: int) -> Wish:
    return Wish(
        subject=subject,
        prompt=prompt,
        negative=words.negative if asked.negative is None else asked.negative,
        style=words.style,
        seed=seed % (MOST_SEED + 1),
        size_px=asked.size_px or usual.size_px,
        steps=asked.steps or usual.steps,
        guidance=usual.guidance if asked.guidance is None else asked.guidance,
        shift=usual.shift,
        t5_tokens=usual.t5_tokens,
    )


def repeated(named: Iterable[Named]) -> Iterator[str]:
    """Prompts that are there under several names, a sentence each."""
    names: dict[str, dict[str, int]] = {}
    for one in named:
        names.setdefault(one.wish.prompt, {}).setdefault(one.name, one.wish.seed)
    for prompt, seeds in names.items():
        if len(seeds) > 1:
            said = f"{prompt[:60]!r} is there {len(seeds)} times"
            if len(set(seeds.values())) == 1:
                yield f"{said}, each time with the same seeds, as in the run's validation: {', '.join(seeds)}"
                continue
            told = ", ".join(f"{name} from seed {seed}" for name, seed in seeds.items())
            yield f"{said}, with further seeds each time: {told}"


def seeds(text: str) -> tuple[int, ...]:
    """The seeds that a list such as ``1,2,5-8`` names, each once.

    Raises:
        UsageError: If it is no such list.
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        match = _SEEDS.fullmatch(part)
        first = int(match[1]) if match else 0
        last = int(match[2]) if match and match[2] else first
        if match and max(first, last) <= MOST_SEED and last - first >= MOST_PICTURES:
            what = f"{part.strip()} is {last - first + 1:,} seeds, which are too many at once"
            raise UsageError(what, "--seeds", f"ask for {MOST_PICTURES:,} at most")
        if not match or last > MOST_SEED or last < first:
            what = f"{text!r:.60} is no list of seeds"
            raise UsageError(what, "--seeds", f"write it as 1,2,3 or 1-4, with numbers from 0 to {MOST_SEED}")
        found |= dict.fromkeys(range(first, last + 1))
    return tuple(found)


def short_name(text: str, taken: Iterable[str] = ()) -> str:
    """A short name for the prompt ``text``: its words, and code points for what no file name should hold."""
    spelt = "".join(map(_spelt, unicodedata.normalize("NFKD", text).lower()))
    words = [word for word in re.split(r"[^a-z0-9]+", spelt) if word]
    name = ""
    for word in words:
        if name and len(name) + len(word) >= _LONGEST_NAME:
            break
        name = f"{name}_{word}" if name else word[:_LONGEST_NAME]
    name, others = portable(name, "prompt"), set(taken)
    if name not in others:
        return name
    return next(longer for number in range(2, MOST_PICTURES) if (longer := f"{name}_{number}") not in others)


def _spelt(letter: str) -> str:
    if letter.isascii():
        return letter
    return "" if unicodedata.combining(letter) else f" u{ord(letter):x} " if letter.isalnum() else " "


def _usual(asked: Asked, tuned: Tuned, family: str, flavour: str) -> _Settings:
    """How pictures are sampled where the user says nothing."""
    if not asked.like_validation:
        usual, seed = sampling_of.usual(family, flavour), sampling_of.seed(tuned)
        size_px = usual.size_px if tuned.asked is None else tuned.asked.size_px
        return _Settings(size_px, usual.steps, usual.guidance, seed)
    run, told = _validated(tuned)
    shift = sampling_of.validation_shift(run) if family == "sd3" else None
    return _Settings(told.size_px, told.inference_steps, told.guidance, told.seed, shift, T5_CUT)


def _validated(tuned: Tuned) -> tuple[Path, Validation]:
    """The run of ``tuned``, and how it paints its validation pictures."""
    if tuned.run is None or tuned.asked is None:
        raise UsageError("is of no run whose validation could be followed", tuned.name, "leave it out")
    return tuned.run, tuned.asked


def _words(asked: Asked, tuned: Tuned) -> _Words:
    is_told = bool(asked.style) and _has_own(asked)  # then the run need not be asked, and its style may be gone
    own = _run_prompts(tuned.run, tuned.asked) if tuned.run and tuned.asked and not is_told else None
    name = asked.style or (tuned.asked.style if tuned.asked else _PLAIN)
    style = own.style if own is not None and not asked.style else prompts.style(name, Path())
    plain = _own(asked) or (dict(own.plain) if own is not None else {})
    if not plain:
        raise UsageError("there is nothing to paint", "", "give --prompt TEXT, or --library creatures")
    start = prompt_tokens.start(style)
    texts = {key: (text, style.composed(text), start) for key, text in plain.items()}
    return _Words(texts, _named(name), style.negative)


def _like_validation(asked: Asked, tuned: Tuned) -> _Words:
    """The run's own prompts as the trainer had them, or the user's as it would have had them."""
    if asked.style:
        raise UsageError("--like-validation takes the style of the run", "--style", "give one of the two")
    run, told = _validated(tuned)
    negative, style = sampling_of.validation_negative(run), _named(told.style)
    given = None if _has_own(asked) else run_source.prompts(run)
    if given:
        known = prompts.load(told, run)[0].style
        texts = {name: _found(told.prompts.get(name, text), text, known) for name, text in given.items()}
        return _Words(texts, style, negative or "")
    own = _run_prompts(run, told)
    plain = _own(asked) or dict(own.plain)
    texts = {name: _found(text, own.style.around(text), own.style) for name, text in plain.items()}
    return _Words(texts, style, own.negative if negative is None else negative)


def _found(subject: str, prompt: str, style: Style) -> tuple[str, str, int]:
    """A prompt that ``style`` was put around, if that is still here, and where its subject begins."""
    is_around = prompt == style.around(subject)
    blank = len(subject) - len(subject.lstrip())
    return subject, prompt, blank + (len(style.prefix) if is_around else max(0, prompt.find(subject)))


def _has_own(asked: Asked) -> bool:
    return bool(asked.prompts or asked.library is not None)


def _own(asked: Asked) -> dict[str, str]:
    """The user's prompts by short name."""
    found = prompts.library(asked.library, Path()) if asked.library is not None else {}
    for name in found:
        if not prompts.SHORT_NAME.fullmatch(name) or unportable(name):
            what = f"the prompt name {name!r:.60} is no name for a file"
            raise UsageError(what, "--library", "use lower-case letters, digits and single _")
    for text in dict.fromkeys(asked.prompts):
        found[short_name(text, found)] = text
    if not all(text.strip() for text in found.values()):
        raise UsageError("a prompt is empty", "--prompt", "say what to paint")
    return found


def _run_prompts(run: Path, asked: Validation) -> Prompts:
    found, problems = prompts.load(asked, run)
    if problems:
        raise UsageError("; ".join(problems), str(run), "give --prompt and --style")
    return found


def _named(style: str) -> str:
    """A style's name without the folders of this machine."""
    return Path(style).stem
