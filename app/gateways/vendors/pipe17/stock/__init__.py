"""Stock sent to Pipe17, and what it holds."""
