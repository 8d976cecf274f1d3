"""Show judged runs in one page that opens without a network."""
