"""LoRA files looked at, mended, made smaller and averaged, so that diffusers and ComfyUI apply them equally."""
