"""A machine reached by the system's OpenSSH: its address, one shared connection, files both ways, a tunnel."""
