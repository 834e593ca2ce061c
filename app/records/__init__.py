"""What outlives a process: tables, migrations, and the few questions asked of them."""
