"""Packages, corrections of their tracking, and completed requests."""
