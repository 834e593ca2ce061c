"""`python -m app.cli` is `channel` where no script is installed."""

from __future__ import annotations

from app.cli import main

if __name__ == "__main__":
    main()
