"""Chaos: merchants live whole order lives at Pipe17 and Rally while everything around them is hurt at random.

`run.py` is one run, `faults.py` the table of what is played, `judging.py` and `money_books.py` compare the vendors'
books with what was answered.  `python -m tests.system.chaos --help` plays one by hand.
"""
