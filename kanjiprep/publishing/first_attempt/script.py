"""diffusers' script train_text_to_image.py as it was on one day: where it is and what it needs."""

from __future__ import annotations

from typing import Final

NAME: Final = "train_text_to_image.py"
VERSION: Final = "0.40.0"
"""Of diffusers. The script of a version asks for that version or a newer one."""
COMMIT: Final = "d035dcd7cc7c88e0a154609b62887d50bba9fdc2"
"""What the tag of that version stands for."""
COMMITTED: Final = "2026-08-20"
URL: Final = f"https://raw.githubusercontent.com/huggingface/diffusers/v{VERSION}/examples/text_to_image/{NAME}"
SHA256: Final = "d4430bca96ab52aaed12d99132a4410b2db4b1114ec4cf85fb24cc0889ed8408"

REQUIREMENTS: Final = (
    f"diffusers=={VERSION}",
    "accelerate==1.15.0",
    "datasets==5.2.0",
    "ftfy==6.3.1",
    "tensorboard==2.21.0",
    "torch==2.13.0",
    "torchvision==0.28.0",
    "transformers==5.24.0",
)
"""Versions with which the command line was tried: two steps on a CPU, from pictures to a pipeline that loads."""
