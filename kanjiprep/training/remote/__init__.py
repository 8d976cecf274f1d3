"""A run on another machine, which runs this very tool."""
