"""Run the command line: `python -m vujax.cli`."""

import sys

from vujax.cli import main

if __name__ == "__main__":
    sys.exit(main())
