"""Stand-ins that speak real HTTP, because a channel must be shown to work without any account."""
