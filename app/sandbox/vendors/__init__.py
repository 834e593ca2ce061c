"""The stand-ins, found by the name of their folder: a new one is a folder here and nothing else."""
