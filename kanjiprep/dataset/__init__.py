"""The first wing: two XML sources to a folder of pictures and captions."""
