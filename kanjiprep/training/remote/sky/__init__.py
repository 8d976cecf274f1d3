"""SkyPilot, which rents machines at Lambda, in an environment and a home of its own."""
