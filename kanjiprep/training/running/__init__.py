"""A run once it has started: watched, guarded, stopped and gone on with."""
