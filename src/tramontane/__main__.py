"""``python -m tramontane`` is the command ``tramontane``."""

from __future__ import annotations

from tramontane.cli import main

if __name__ == "__main__":
    main(prog_name="tramontane")
