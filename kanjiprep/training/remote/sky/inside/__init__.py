"""Scripts that run under SkyPilot's Python; nothing here is imported by kanjiprep."""
