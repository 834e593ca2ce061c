"""The vendors, found by the name of their folder: a new one is a folder here, with `VENDOR`, and nothing else."""
