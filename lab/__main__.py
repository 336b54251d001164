"""`python -m lab`."""

from __future__ import annotations

import signal
import sys


def start() -> int:
    """Import the rest, which takes a second; Ctrl-C meanwhile ends the process as it would any other."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from lab.command_line import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return main()


if __name__ == "__main__":
    sys.exit(start())
