"""Tests of the channel server, one folder per room; what several rooms use stands here, one module per subject."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The project's folder."""

UPSTREAM = ROOT.parent / "shared" / "reference" / "retailops" / "master"
"""What the SDK has published, where it lies beside the project; only for comparison."""
