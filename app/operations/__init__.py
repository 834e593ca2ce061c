"""What happened, and what operators do about it: the one room behind every face an operator uses."""
