"""The terms of the business: orders, money, stock, catalogue and commands.  Imports nothing else of this project."""
