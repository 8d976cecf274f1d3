"""The parts of the page that are not controls, in HTML in which no word of a user is markup."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Final
from urllib.parse import quote

from markupsafe import Markup

from kanjiprep.publishing import prompt_tokens
from kanjiprep.publishing.page import asked
from kanjiprep.publishing.page.judged import Judgement
from kanjiprep.publishing.page.offer import Choice, Offer
from kanjiprep.publishing.page.sitting import Card, Painting, Room, Sitting
from kanjiprep.training.prompts import Style

_SUBJECT: Final = "Your prompt"
_FILE: Final = "/gradio_api/file="
"""Where Gradio serves the files of its temporary folder."""
_NO_CARDS: Final = Markup(
    '<p class="kp-none">Pictures come here, the latest first. They stay until the tab is closed.</p>'
)


_DOWN: Final = Markup('<a class="kp-down" href="#pictures">Show</a>')
"""On a narrow page the pictures are far below."""


def heading(offer: Offer) -> str:
    """The title with the run's name, and what is painted with."""
    number = len(offer.choices) - 1  # the last is the base model alone
    count = f"{number} checkpoint{'' if number == 1 else 's'}" if offer.run else "one LoRA"
    return Markup('<h1 class="kp-title">{}</h1><p class="kp-about">{}, on {}</p>').format(
        offer.name, count, _name(offer.base)
    )


def _name(base: str) -> str:
    """A repository, or the name of a folder."""
    return Path(base).name if Path(base).is_absolute() or base.startswith((".", "~")) else base


def cards(sitting: Sitting) -> str:
    """The pictures of a sitting, the latest first."""
    if not sitting.cards:
        return _NO_CARDS
    told = {one.judgement: _said(one.judgement) for one in sitting.cards if one.judgement.done()}
    whys = dict.fromkeys(one.why for one in told.values() if one.word is None)
    notes = Markup("").join(Markup('<p class="kp-note">Not judged: {}.</p>').format(one) for one in whys)
    return notes + Markup('<div class="kp-cards">{}</div>').format(
        Markup("").join(map(_card, reversed(sitting.cards)))
    )


def _card(card: Card) -> Markup:
    wish, address = card.wish, f"{_FILE}{quote(str(card.path))}"
    facts = [f"seed {wish.seed}", card.choice.short, f"style {wish.style}"]
    return Markup(
        '<figure class="kp-card"><a href="{address}" target="_blank" rel="noopener" title="Open at full size">'
        '<img src="{address}" alt="{subject}" width="{side}" height="{side}" loading="lazy"></a>'
        '<figcaption><b class="kp-subject">{subject}</b><span class="kp-facts">{facts}</span>{score}'
        '<a class="kp-download" href="{address}" download="{name}">Download PNG</a></figcaption></figure>'
    ).format(
        address=address,
        subject=wish.subject,
        side=wish.size_px,
        facts=", ".join(facts),
        score=_score(card.judgement),
        name=card.path.name,
    )


def _score(judgement: Future[Judgement]) -> Markup:
    if not judgement.done():
        return Markup('<span class="kp-score kp-unjudged">being judged</span>')
    found = _said(judgement)
    if found.word is None or found.score is None:
        return Markup('<span class="kp-score kp-unjudged" title="{}">not judged</span>').format(found.why)
    numbers = f"style {found.style:.2f}, shape {found.shape:.2f}"
    return Markup(
        '<span class="kp-score kp-{word}">{word}, {score:.0f} of 100</span><span class="kp-why">{why}</span>'
    ).format(word=found.word, score=found.score, why=f"{numbers}; {found.why}" if found.why else numbers)


def _said(judgement: Future[Judgement]) -> Judgement:
    error = judgement.exception()
    return Judgement(None, None, f"{type(error).__name__}: {error}") if error else judgement.result()


def status(painting: Painting) -> str:
    """How far a wish is."""
    bar = ""
    if painting.kind == "work" and painting.done is not None:
        bar = Markup('<progress max="100" value="{:.1f}"></progress>').format(100 * painting.done)
    role = "alert" if painting.kind == "error" else "status"
    down = _DOWN if painting.kind == "done" else ""
    return Markup('<div class="kp-status kp-{}" role="{}">{}<span>{} {}</span></div>').format(
        painting.kind, role, bar, painting.text, down
    )


def prompt(room: Room, subject: str, style_name: str) -> str:
    """The whole prompt as it is read, how many tokens it has, and what of it is cut."""
    subject = " ".join(str(subject)[: asked.MOST_LETTERS].split())
    if style_name not in room.offer.styles:
        return ""
    style = room.offer.styles[style_name]
    if not subject:
        return _adds(style)
    parts = asked.parted(style, subject)
    lines = [Markup('<p class="kp-whole">{}<b>{}</b>{}</p>').format(*parts), *_counted(room, subject, parts)]
    return Markup('<div class="kp-prompt">{}</div>').format(Markup("").join(lines))


def _counted(room: Room, subject: str, parts: tuple[str, str, str]) -> Iterator[Markup]:
    """How many tokens there are, and what is cut."""
    whole = "".join(parts)
    counts = room.counter(whole)
    told = (f"{one.encoder} {'' if one.is_exact else 'at most '}{one.tokens} of {one.limit}" for one in counts)
    yield Markup('<p class="kp-tokens">Tokens: {}</p>').format(", ".join(told))
    warning = prompt_tokens.warning(prompt_tokens.lost(subject, whole, room.counter, len(parts[0])))
    if warning:
        yield Markup('<p class="kp-warning">{}</p>').format(warning[0].upper() + warning[1:])
    elif any(one.tokens > one.limit for one in counts):
        is_sure = all(one.is_exact for one in counts)
        words = "The end of the style is cut" if is_sure else "The end of the style may be cut"
        yield Markup('<p class="kp-warning">{}, your prompt is not</p>').format(words)


def _adds(style: Style) -> str:
    """What a style puts around a prompt."""
    before, subject, after = asked.parted(style, _SUBJECT)
    if not before and not after:
        return Markup('<div class="kp-prompt"><p class="kp-tokens">This style adds nothing to the prompt.</p></div>')
    told = Markup("{}<b>{}</b>{}").format(before, subject, after)
    return Markup('<div class="kp-prompt"><p class="kp-tokens">{}</p></div>').format(told)


def warnings(choice: Choice) -> str:
    """What speaks against a checkpoint."""
    lines = Markup("").join(Markup('<p class="kp-warning">{}</p>').format(one) for one in choice.warnings)
    return Markup("<div>{}</div>").format(lines) if choice.warnings else ""
