"""LoRA files looked at, mended, made smaller and added up, so that diffusers and ComfyUI apply them equally."""
