"""Training: what a run asks for, costs and becomes in the trainer's own words."""
