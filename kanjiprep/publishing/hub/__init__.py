"""The Hub: one child process that talks to it, and what becomes of its answers."""
