"""Products at Pipe17, and which of them RetailOps has."""
