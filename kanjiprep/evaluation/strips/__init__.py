"""A run's pictures side by side in one PNG file, with a JSON document that says where each is."""
