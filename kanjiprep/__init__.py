"""kanjiprep: from two XML files to a published, judged kanji LoRA."""

__version__ = "0.1.0"
