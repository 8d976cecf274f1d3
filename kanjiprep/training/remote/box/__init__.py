"""The machine at the far end of SSH: looked at, set up, told secrets, and asked to run our own tool."""
