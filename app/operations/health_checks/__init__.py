"""Health checks: what of the server, its channels and their records needs a look, for commands and pages alike."""
