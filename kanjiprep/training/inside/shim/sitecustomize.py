"""Lets SimpleTuner train on a machine without a GPU; its folder stands first on PYTHONPATH there.

SimpleTuner pins every batch in memory for the way to the GPU, and torch refuses that where there is none.
As soon as torch is loaded, pinning becomes a step that does nothing.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from typing import Any


class _WaitForTorch(importlib.abc.MetaPathFinder):
    """Stands at the door of imports until torch comes by, once."""

    def find_spec(self, fullname: str, *_: Any, **__: Any) -> ModuleSpec | None:
        """Torch's own spec, whose loader does ours after its work; nothing for other modules."""
        if fullname != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("torch")
        if spec is not None and spec.loader is not None:
            _append(spec.loader)
        return spec


def _append(loader: Any) -> None:
    load = loader.exec_module

    def load_and_unpin(module: Any) -> None:
        load(module)
        if not module.cuda.is_available():
            module.Tensor.pin_memory = _as_it_is

    loader.exec_module = load_and_unpin


def _as_it_is(tensor: Any, *_: Any, **__: Any) -> Any:
    return tensor


sys.meta_path.insert(0, _WaitForTorch())
