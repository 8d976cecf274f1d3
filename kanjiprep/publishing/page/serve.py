"""The page served: on this machine alone, with a folder of its own, until somebody ends it."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from kanjiprep.errors import UsageError, os_reason
from kanjiprep.publishing import prompt_tokens
from kanjiprep.publishing.page import layout
from kanjiprep.publishing.page.gate import Gate
from kanjiprep.publishing.page.judged import Judge, Loading
from kanjiprep.publishing.page.offer import Offer
from kanjiprep.publishing.page.sitting import Room, Saving
from kanjiprep.publishing.page.studio import Opening, Studio
from kanjiprep.publishing.prompt_tokens import Counter

HOST: Final = "127.0.0.1"
PORT: Final = 7860
_PORTS: Final = 100
"""So many are tried."""
_PATIENCE_S: Final = 10.0
"""For the picture at work to end its step."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served and how.

    Attributes:
        offer: What can be chosen.
        opening: Loads the model.
        loading: Finds the bands of the training pictures.
        save: Writes a picture.
        port: The first that is tried.
        share: Whether anybody with the link may use it.
        opened: What opens the page in a browser; None if nothing does.
    """

    offer: Offer
    opening: Opening
    loading: Loading
    save: Saving
    port: int = PORT
    share: bool = False
    opened: Callable[[str], object] | None = None


def refuse_without_extra() -> None:
    """Say what is missing before anything is loaded.

    Raises:
        UsageError: If a library of the extra is not installed.
    """
    for module, name in (("gradio", "Gradio"), ("diffusers", "diffusers"), ("torch", "torch")):
        if importlib.util.find_spec(module) is None:
            raise UsageError(f"the page needs {name}", "", "pip install 'kanjiprep[app]'")


def free_port(first: int) -> int:
    """The first port from ``first`` on that nobody listens at.

    Raises:
        UsageError: If all are taken.
    """
    last = min(first + _PORTS, 65_536)
    for port in range(first, last):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return port
    raise UsageError(f"no port from {first} to {last - 1} can be had", "--port", "give another")


def settle(environ: MutableMapping[str, str], folder: Path) -> None:
    """Have Gradio and the Hub's client tell nobody, keep files in ``folder``, and heed no setting but ours.

    Must be done before either is imported.
    """
    for name in [one for one in environ if one.startswith("GRADIO_")]:
        del environ[name]
    hosts = [environ[name] for name in ("no_proxy", "NO_PROXY") if environ.get(name)]
    local = ",".join([*hosts, HOST, "localhost"])
    environ.update(
        GRADIO_ANALYTICS_ENABLED="False",
        GRADIO_TEMP_DIR=str(folder),
        HF_HUB_DISABLE_TELEMETRY="1",
        NO_PROXY=local,
        no_proxy=local,
    )


def serve(serving: Serving, folder: Path, say: Say) -> None:
    """Serve the page until the process is told to end.

    Args:
        serving: What and how.
        folder: Of its files, see ``settle``.
        say: Hears where it is.

    Raises:
        UsageError: If no port can be had, or the page cannot be shared.
    """
    ended = threading.Event()
    if serving.share:
        say("PUBLIC: with --share anybody who has the link can paint on this machine and see what the page shows;")
        say("PUBLIC: all of it passes through a server of Gradio's. Ctrl-C ends it.")
    with _hushed(), _until(ended), _room(serving, folder, say) as room:
        page = layout.build(room)
        port = free_port(serving.port)
        with _served(page, port, serving) as (address, public):
            if port != serving.port:
                say(f"port {serving.port} is taken, so it is {port}")
            say(f"the page: {address}")
            if public:
                say(f"PUBLIC: {public}")
            if serving.opened is not None:
                serving.opened(address)
            say("Ctrl-C ends it")
            while not ended.wait(1.0):  # with a limit, so that signals are heard
                pass
    say("the page is closed; pictures that were not downloaded are gone")


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for the files of one page, removed at the end.

    Raises:
        UsageError: If none can be made.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="kanjiprep-app-")).resolve()
    except OSError as error:
        raise UsageError(f"no temporary folder can be made: {os_reason(error)}", "", "set TMPDIR") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _counter(offer: Offer) -> Counter:
    """Exact from the moment on when the tokenizers are here: the first picture may fetch them."""
    return lambda text: prompt_tokens.count(text, offer.base, os.environ, offer.family)


@contextmanager
def _room(serving: Serving, folder: Path, say: Say) -> Iterator[Room]:
    studio, judge = Studio(serving.opening), Judge(serving.loading)
    try:
        yield Room(serving.offer, studio, judge, serving.save, folder / "pictures", _counter(serving.offer))
    finally:
        judge.close(_PATIENCE_S)
        if not studio.close(_PATIENCE_S):
            say("the model does not stop at once, and is left alone")


@contextmanager
def _until(ended: threading.Event) -> Iterator[None]:
    """Sets ``ended`` when the process is told to end, by Ctrl-C or otherwise."""

    def _hear(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if ended.is_set():
            raise KeyboardInterrupt  # somebody does not want to wait for the step either
        ended.set()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    wanted = [one for one in signals if signal.getsignal(one) != signal.SIG_IGN]  # nohup stays as it was meant
    before = {one: signal.signal(one, _hear) for one in wanted}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _served(page: Any, port: int, serving: Serving) -> Iterator[tuple[str, str | None]]:
    """The page's address, and the public one if it is shared, while it is served."""
    try:
        yield _launched(page, port, serving)
    finally:
        page.close(verbose=False)


def _launched(page: Any, port: int, serving: Serving) -> tuple[str, str | None]:
    from starlette.middleware import Middleware

    try:
        _, local, public = page.launch(
            server_name=HOST, server_port=port, share=serving.share, prevent_thread_lock=True, quiet=True,
            inbrowser=False, show_error=False, allowed_paths=[], footer_links=[], run_history=False, ssr_mode=False,
            mcp_server=False, pwa=False, enable_monitoring=False, theme=layout.theme(), css=layout.CSS,
            app_kwargs={"middleware": [Middleware(Gate, is_public=serving.share)]},
        )  # fmt: skip
    except OSError as error:  # somebody took the port meanwhile, or the machine is too busy to serve in time
        raise UsageError(f"the page cannot be served at port {port}", "", "run the same command again") from error
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if serving.share and not public:
        raise UsageError("no public link can be had from Gradio", "--share", "leave it out, or check the network")
    return local, public


@contextmanager
def _hushed() -> Iterator[None]:
    """Without the libraries' warnings and prints, none of which is for a user; what we say goes to stderr."""
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        warnings.simplefilter("ignore")
        logging.getLogger("httpx").setLevel(logging.WARNING)
        yield
