"""What we rent at Lambda: what it costs, what is ours, and whether it is really gone."""
