"""Every reader of a stranger's file, given files that no program wrote: ``python -m tests.fuzz --seconds 60``."""
