"""A workflow for what was trained, with everything that it takes to load it."""
