"""The door: what RetailOps calls.  HTTP in, HTTP out, nothing else."""
