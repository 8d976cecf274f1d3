"""ComfyUI: workflows written, checked against its nodes, and run by a server."""
