"""Run the command line as ``python -m fastmlp``."""

import sys

from fastmlp.command_line import main

if __name__ == "__main__":
    sys.exit(main())
