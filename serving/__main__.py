"""`python -m serving` starts the API, as `echolot serve` does."""

from __future__ import annotations

import sys

from model.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["serve"]
    main()
