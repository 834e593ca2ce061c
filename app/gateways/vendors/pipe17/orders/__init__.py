"""Shipping requests as orders."""
