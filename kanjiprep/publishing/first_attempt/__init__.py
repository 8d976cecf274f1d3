"""Attempt 1 anew: a full fine-tune of Stable Diffusion 1.5 with diffusers' own script, at home or on Modal."""
