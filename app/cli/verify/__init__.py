"""`channel verify`, and what it shares with other commands that call a server: keys, addresses, bodies and flags."""
