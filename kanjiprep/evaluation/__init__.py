"""Judge the checkpoints of a run by the pictures that they paint."""
