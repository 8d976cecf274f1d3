"""A page on this machine alone, to paint with a run's checkpoints and see what they score."""
