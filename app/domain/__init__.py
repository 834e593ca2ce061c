"""What the business speaks of.  Imports nothing else of this project."""
