"""Lets SimpleTuner do what it could not; its folder stands first on PYTHONPATH.

Without a GPU: SimpleTuner pins every batch in memory for the way to the GPU, and torch refuses that where there
is none. If the CPU was asked for, pinning becomes a step that does nothing.

Stable Diffusion 1.x: SimpleTuner 4.10.1 makes its pipeline without the ``safety_checker`` and ``feature_extractor``
that the pipeline asks for, and with an ``image_processor`` that it does not know, so that no run gets past its first
caption. They become optional, and are not there.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any


class _Wait(importlib.abc.MetaPathFinder):
    """Stands at the door of imports until a module comes by, once."""

    def __init__(self, name: str, mend: Callable[[Any], None]) -> None:
        self.name = name
        self.mend = mend

    def find_spec(self, fullname: str, *_: Any, **__: Any) -> ModuleSpec | None:
        """The module's own spec, whose loader mends it after its work; nothing for other modules."""
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            _append(spec.loader, self.mend)
        return spec


def _append(loader: Any, mend: Callable[[Any], None]) -> None:
    load = loader.exec_module

    def load_and_mend(module: Any) -> None:
        load(module)
        mend(module)

    loader.exec_module = load_and_mend


def _unpin(torch: Any) -> None:
    if os.environ.get("ACCELERATE_USE_CPU") == "true" and not torch.cuda.is_available():
        torch.Tensor.pin_memory = _as_it_is


def _as_it_is(tensor: Any, *_: Any, **__: Any) -> Any:
    return tensor


def _spare_checker(pipelines: Any) -> None:
    for kind in vars(pipelines).values():
        if inspect.isclass(kind) and kind.__module__ == pipelines.__name__ and kind.__name__.endswith("Pipeline"):
            _make_optional(kind)


def _make_optional(kind: Any) -> None:
    init = kind.__init__
    known = inspect.signature(init).parameters
    if "safety_checker" not in known or known["safety_checker"].default is not inspect.Parameter.empty:
        return

    @functools.wraps(init)
    def lenient(self: Any, *args: Any, **parts: Any) -> None:
        parts = {name: part for name, part in parts.items() if name in known}
        absent = {} if args else {"safety_checker": None, "feature_extractor": None}
        init(self, *args, **{**absent, **parts})

    kind.__init__ = lenient


sys.meta_path.insert(0, _Wait("torch", _unpin))
sys.meta_path.insert(0, _Wait("simpletuner.helpers.models.sd1x.pipeline", _spare_checker))
