"""Everything that limits or carries a call to a vendor: rates, turns, circuit breaker."""
