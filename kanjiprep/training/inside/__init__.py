"""Scripts for the trainer's own Python: none imports kanjiprep, nothing of kanjiprep imports them."""
