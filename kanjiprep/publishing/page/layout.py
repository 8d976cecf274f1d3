"""The page itself: its controls, and what happens when they are used."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from kanjiprep.errors import UsageError
from kanjiprep.publishing.page import asked, words
from kanjiprep.publishing.page import sitting as sittings
from kanjiprep.publishing.page.asked import Form
from kanjiprep.publishing.page.sitting import Painting, Room
from kanjiprep.publishing.painting.texts import MOST_SEED

NOTHING: Final = ""
_LOOK_S: Final = 1.0
_TABS: Final = 64
"""So many tabs may wait at once; one picture is painted at a time all the same."""
CSS: Final = """
:root { --kp-good: #17692f; --kp-doubt: #8a5300; --kp-bad: #b3261e; }
.dark { --kp-good: #7dd695; --kp-doubt: #f0b860; --kp-bad: #ff9d94; }
.gradio-container { max-width: 1280px !important; margin: 0 auto !important; }
.kp-title { font-size: 1.5rem; font-weight: 650; margin: 0; overflow-wrap: anywhere; }
.kp-about, .kp-none, .kp-tokens, .kp-facts, .kp-why, .kp-note { color: var(--body-text-color-subdued); }
.kp-about { margin: .15rem 0 0; overflow-wrap: anywhere; }
.kp-none { padding: 3rem 1rem; text-align: center; border: 1px dashed var(--border-color-primary);
  border-radius: 8px; }
.kp-note { margin: 0 0 .75rem; font-size: .875rem; overflow-wrap: anywhere; }
.kp-prompt { display: grid; gap: .15rem; }
.kp-prompt p, .kp-warning { margin: 0; font-size: .875rem; overflow-wrap: anywhere; }
.kp-warning, .kp-error { color: var(--kp-bad); }
#whole:not(:has(p)), #warnings:not(:has(p)), #status:not(:has(span)) { display: none; }
#dice { align-self: end; min-height: 2.6rem; font-weight: 500; }
.kp-status { display: grid; gap: .35rem; overflow-wrap: anywhere; }
.kp-status progress { width: 100%; height: .5rem; accent-color: var(--color-accent); }
.kp-cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); }
.kp-card { margin: 0; border: 1px solid var(--border-color-primary); border-radius: 8px; overflow: hidden;
  background: var(--block-background-fill); }
.kp-card img { display: block; width: 100%; height: auto; margin: 0; background: #fff; }
.kp-card a:focus-visible { outline: 3px solid var(--color-accent); outline-offset: -3px; }
.kp-card figcaption { display: grid; gap: .25rem; margin: 0; padding: .65rem .75rem .75rem; font-size: .875rem; }
.kp-subject { font-weight: 600; overflow-wrap: anywhere; }
.kp-score { justify-self: start; padding: .05rem .5rem; border-radius: 999px; font-weight: 600;
  border: 1px solid currentColor; }
.kp-sound { color: var(--kp-good); }
.kp-doubtful { color: var(--kp-doubt); }
.kp-exploded { color: var(--kp-bad); }
.kp-unjudged { color: var(--body-text-color-subdued); font-weight: 400; }
.kp-down { display: none; }
.kp-download, .kp-down { justify-self: start; color: var(--link-text-color); text-decoration: underline; }
@media (max-width: 768px) { .kp-down { display: inline; } }
"""


def theme() -> Any:
    """Without a font that is not on the reader's machine."""
    import gradio as gr

    fonts = ("system-ui", "-apple-system", "Segoe UI", "Noto Sans", "sans-serif")
    return gr.themes.Base(
        primary_hue="indigo", neutral_hue="gray", font=fonts, font_mono=("ui-monospace", "Consolas", "monospace")
    )


def build(room: Room) -> Any:
    """The page over ``room``, ready to be served."""
    import gradio as gr

    with gr.Blocks(title=f"{room.offer.name} · kanjiprep", analytics_enabled=False) as page:
        gr.HTML(words.heading(room.offer), apply_default_css=False)
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=320):
                made = _controls(room)
            with gr.Column(scale=3, min_width=320):
                empty = sittings.Sitting(room.folder)
                made["cards"] = gr.HTML(words.cards(empty), apply_default_css=False, elem_id="pictures")
        made["clock"] = gr.Timer(_LOOK_S, active=False)
        _wire(page, room, made)
    page.queue(default_concurrency_limit=_TABS)
    return page


def _controls(room: Room) -> dict[str, Any]:
    """The controls by what they are for; those of the form have the names of its fields."""
    import gradio as gr

    subject = gr.Textbox(
        label="Prompt", placeholder="What the character is to mean", info="Enter paints it.", lines=1, max_lines=4,
        max_length=asked.MOST_LETTERS, elem_id="prompt",
    )  # fmt: skip
    with gr.Row():
        paint = gr.Button("Paint", variant="primary", elem_id="paint", min_width=140)
        cancel = gr.Button("Cancel", interactive=False, elem_id="cancel", min_width=140)
    status = gr.HTML(NOTHING, apply_default_css=False, elem_id="status")
    gr.Examples([[one] for one in room.offer.examples], [subject], label="Examples", cache_examples=False)
    made = {"subject": subject, "paint": paint, "cancel": cancel, "status": status}
    return made | _choices(room) | _seeds(room) | _more(room)


def _choices(room: Room) -> dict[str, Any]:
    import gradio as gr

    offer = room.offer
    choices = [(one.label, one.key) for one in offer.choices]
    plain: dict[str, Any] = {"apply_default_css": False}
    return {
        "style": gr.Dropdown(list(offer.styles), value=offer.asked.style, label="Style", elem_id="style"),
        "whole": gr.HTML(words.prompt(room, NOTHING, offer.asked.style), elem_id="whole", **plain),
        "checkpoint": gr.Dropdown(choices, value=offer.first, label="Checkpoint", elem_id="checkpoint"),
        "warnings": gr.HTML(words.warnings(offer.choice(offer.first)), elem_id="warnings", **plain),
    }


def _seeds(room: Room) -> dict[str, Any]:
    import gradio as gr

    with gr.Row(equal_height=False):
        seed = gr.Number(
            room.offer.asked.seed, label="Seed", precision=0, minimum=0, maximum=MOST_SEED, elem_id="seed",
            min_width=140,
        )  # fmt: skip
        dice = gr.Button("⚄ Another seed", size="sm", elem_id="dice", min_width=140)
    pictures = gr.Slider(
        1,
        asked.MOST_PICTURES,
        1,
        step=1,
        label="Pictures",
        info="The others have the seeds that follow.",
        elem_id="count",
    )
    return {"seed": seed, "dice": dice, "pictures": pictures}


def _more(room: Room) -> dict[str, Any]:
    import gradio as gr

    usual = room.offer.asked
    own, most_px = room.offer.styles[usual.style].negative, max(asked.MOST_PX, usual.size_px)
    with gr.Accordion("Negative prompt, size, steps, guidance", open=False, elem_id="more"):
        return {
            "negative": gr.Textbox(
                own, label="Negative prompt", info="What pictures are to avoid; the style's own at first.", lines=2,
                max_length=asked.MOST_LETTERS, elem_id="negative",
            ),
            "size_px": gr.Slider(
                asked.LEAST_PX, most_px, usual.size_px, step=asked.SIZE_STEP_PX, label="Width and height in px"
            ),
            "steps": gr.Slider(1, asked.most_steps(room.offer), usual.inference_steps, step=1, label="Steps"),
            "guidance": gr.Slider(0, asked.MOST_GUIDANCE, usual.guidance, step=0.1, label="Guidance"),
        }  # fmt: skip


def _wire(page: Any, room: Room, made: dict[str, Any]) -> None:
    import gradio as gr

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    form = [made[name] for name in Form.__slots__]
    shown = [made[name] for name in ("status", "cards", "paint", "cancel", "clock", "whole")]
    going = gr.on([made["paint"].click, made["subject"].submit], _knowing(gr, painting(room)), form, shown, **quiet)
    going.failure(failed, None, [made[name] for name in ("status", "paint", "cancel")], **quiet)
    # Not queued: it must be heard while a picture is painted.
    made["cancel"].click(_knowing(gr, stopping(room)), None, made["cancel"], queue=False, **quiet)
    made["clock"].tick(_knowing(gr, looking(room)), None, [made["cards"], made["clock"]], **quiet)
    told = [made["subject"], made["style"]]
    gr.on(
        [made["subject"].change, made["style"].change, page.load],
        lambda subject, style: words.prompt(room, subject, style),
        told, made["whole"], trigger_mode="always_last", **quiet,
    )  # fmt: skip
    made["style"].change(negatives(room), [made["style"], made["negative"]], made["negative"], **quiet)
    made["checkpoint"].change(against(room), made["checkpoint"], made["warnings"], **quiet)
    made["dice"].click(lambda: random.randint(0, MOST_SEED), None, made["seed"], **quiet)  # noqa: S311
    page.unload(_knowing(gr, leaving(room)))


def _knowing(gr: Any, handler: Callable[..., Any]) -> Callable[..., Any]:
    """``handler``, whose first argument Gradio is to fill in with the request, and so with the tab that it is of."""
    handler.__annotations__ = {"request": gr.Request}
    return handler


def painting(room: Room) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """What the button does: paint, telling what to show where after every step."""

    def paint(request: Any, *values: Any) -> Iterator[tuple[Any, ...]]:
        here, form = room.sitting(request.session_hash), Form(*values)
        count = -1
        for now in sittings.paint(room, here, form):
            yield _view(room, here, form, now, with_cards=count != len(here.cards))
            count = len(here.cards)

    return paint


def _view(room: Room, here: sittings.Sitting, form: Form, now: Painting, *, with_cards: bool) -> tuple[Any, ...]:
    import gradio as gr

    is_over = now.kind != "work"
    return (
        words.status(now),
        words.cards(here) if with_cards or is_over else gr.skip(),
        gr.Button("Paint" if is_over else "Painting", interactive=is_over),
        gr.Button(interactive=not is_over),
        gr.Timer(active=not here.is_judged),
        words.prompt(room, form.subject, form.style) if is_over else gr.skip(),
    )


def failed() -> tuple[Any, ...]:
    """What is shown if the page itself fails, so that it can be used again."""
    import gradio as gr

    told = Painting("the page has failed; the terminal tells more", kind="error")
    return words.status(told), gr.Button("Paint", interactive=True), gr.Button(interactive=False)


def stopping(room: Room) -> Callable[..., Any]:
    """What Cancel does."""

    def stop(request: Any) -> Any:
        import gradio as gr

        room.sitting(request.session_hash).stop.set()
        return gr.Button(interactive=False)

    return stop


def looking(room: Room) -> Callable[..., tuple[Any, Any]]:
    """What is shown anew while pictures are being judged."""

    def look(request: Any) -> tuple[Any, Any]:
        import gradio as gr

        here = room.sitting(request.session_hash)
        is_judged = here.is_judged
        return words.cards(here), gr.Timer(active=not is_judged)

    return look


def leaving(room: Room) -> Callable[[Any], None]:
    """What a tab that is closed does."""

    def leave(request: Any) -> None:
        room.leave(request.session_hash)

    return leave


def negatives(room: Room) -> Callable[[str, str], str]:
    """The negative prompt after another style was chosen: its own, unless the user has written one."""
    own = {one.negative for one in room.offer.styles.values()}

    def negative(style: str, written: str) -> str:
        chosen = room.offer.styles.get(style)
        return chosen.negative if chosen and (written in own or not written) else written

    return negative


def against(room: Room) -> Callable[[str], str]:
    """What is said against the checkpoint that was chosen."""

    def told(checkpoint: str) -> str:
        with contextlib.suppress(UsageError):
            return words.warnings(room.offer.choice(checkpoint))
        return NOTHING

    return told
