"""Pictures made with what was trained, by diffusers."""
