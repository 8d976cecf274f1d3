"""Workflows read and written: of the UI, of the server, in pictures."""
