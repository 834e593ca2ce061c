"""What outlives a process: tables, migrations, and every statement of the core that reads or writes them."""
