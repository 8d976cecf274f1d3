"""What is wrong with a workflow, and what to do about it."""
