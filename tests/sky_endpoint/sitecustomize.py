"""In the real SkyPilot of a test: lets its ten minutes of patience with SSH pass sooner.

Its other words need no such thing: the engine itself says which server is Lambda. On PYTHONPATH of SkyPilot's Python;
KANJIPREP_TEST_SKY_SPEED says how many times faster than the world the clock of sky.provision.provisioner runs.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
import time
import types
from collections.abc import Sequence
from typing import Any

_PATIENT = "sky.provision.provisioner"


def _hasty(speed: float) -> types.SimpleNamespace:
    """A time module whose seconds are shorter; it sleeps as long as the real one."""
    start = time.time()
    return types.SimpleNamespace(**{**vars(time), "time": lambda: start + (time.time() - start) * speed})


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> Any:
        """The module as it is, with another clock."""
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name == _PATIENT else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            load(module)
            module.__dict__["time"] = _hasty(float(os.environ["KANJIPREP_TEST_SKY_SPEED"]))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "KANJIPREP_TEST_SKY_SPEED" in os.environ:
    sys.meta_path.insert(0, _Finder())
