"""A ComfyUI that runs: asked, given work, and its pictures fetched."""
