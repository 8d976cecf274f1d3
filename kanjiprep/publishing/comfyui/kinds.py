"""What kinds of nodes ComfyUI has, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kanjiprep.publishing.comfyui.graph import Value

WIDGETS: Final = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"})
"""Types of inputs that a node holds itself; all others come from another node."""
ANY: Final = "*"
"""The type of a socket that takes everything."""
_UNSETTLED: Final = "COMFY_"
"""How the names of types begin that are settled by what is connected."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a kind of node.

    Attributes:
        name: As workflows call it.
        type: ``MODEL``, ``CLIP``, ``LATENT`` ... of a socket; ``INT``, ``FLOAT``, ``STRING``, ``BOOLEAN`` or
            ``COMBO`` of a widget; several types are separated by commas.
        required: Whether a node does not run without it.
        default: What a new node holds.
        least: The smallest number.
        most: The largest number.
        step: What a widget counts in; the server does not insist on it.
        choices: Of a COMBO; None where they are files that only a server knows.
        control_after_generate: Whether the UI holds a second widget behind it, which changes a seed.
        folder: Below ``models/``, where the file has to be that it names; ``input`` for a picture.
        is_long: Whether it is a text of several lines.
        is_socket: Whether it must come from another node, whatever its type.
        uploads: Whether the UI holds a button behind all widgets, to send a file.
    """

    name: str
    type: str
    required: bool = True
    default: Value = None
    least: float | None = None
    most: float | None = None
    step: float | None = None
    choices: tuple[Value, ...] | None = None
    control_after_generate: bool = False
    folder: str = ""
    is_long: bool = False
    is_socket: bool = False
    uploads: bool = False

    @property
    def is_widget(self) -> bool:
        """Whether the node holds its value itself, unless another node gives it."""
        return not self.is_socket and self.type in WIDGETS


@dataclass(frozen=True, slots=True)
class NodeKind:
    """A class of nodes.

    Attributes:
        name: ComfyUI's name of the class.
        inputs: In the order of the UI.
        outputs: Their types, in order.
        is_output: Whether a server runs it for its own sake, as it does SaveImage.
        output_names: Of the outputs, where they are not their types.
    """

    name: str
    inputs: tuple[Input, ...] = ()
    outputs: tuple[str, ...] = ()
    is_output: bool = False
    output_names: tuple[str, ...] = ()

    def input(self, name: str) -> Input | None:
        """The input of this name."""
        return next((one for one in self.inputs if one.name == name), None)

    @property
    def widgets(self) -> tuple[Input, ...]:
        """The inputs that a node holds itself, in the order of ``widgets_values``."""
        return tuple(one for one in self.inputs if one.is_widget)

    def grows(self, name: str) -> bool:
        """Whether it may have grown an input of this name, which is of the form ``group.name``."""
        group = self.input(name.partition(".")[0])
        return group is not None and is_unsettled(group.type)


def is_unsettled(type_: str) -> bool:
    """Whether a type fits all others."""
    return type_ == ANY or type_.startswith(_UNSETTLED)


def fits(given: str, wanted: str) -> bool:
    """Whether an output of type ``given`` may feed an input of type ``wanted``.

    Source: ComfyUI, comfy_execution/validation.py: a type may be several with commas, and one in common is enough.
    """
    if is_unsettled(given) or is_unsettled(wanted):
        return True
    return bool(_types(given) & _types(wanted))


def _types(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(","))
