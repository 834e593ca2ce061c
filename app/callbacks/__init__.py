"""HTTP in, HTTP out: receives the callbacks that RetailOps sends, and writes their answers."""
