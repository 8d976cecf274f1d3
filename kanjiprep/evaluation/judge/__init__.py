"""A small network, trained on the dataset's own characters, that sees which components a picture has."""
