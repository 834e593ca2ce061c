"""A shop for headless checkouts.  Knows no vendor."""
