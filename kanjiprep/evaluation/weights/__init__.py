"""The weights of adapters: their files read without trust, and how far they have moved."""
