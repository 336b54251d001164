"""`python -m workloads.throttle`: holds a command, or a running process, to a rate."""

from __future__ import annotations

import os
import sys

from workloads.errors import WorkloadError
from workloads.throttle.display import Display
from workloads.throttle.run import EXIT_REFUSED, run
from workloads.throttle.settings import parse_command_line


def main() -> int:
    _open_missing_standard_streams()
    display = Display()
    try:
        return run(parse_command_line(sys.argv[1:]), display)
    except WorkloadError as error:
        display.say(str(error))
        return EXIT_REFUSED


def _open_missing_standard_streams() -> None:
    """Opens /dev/null for each standard stream that is closed: a pipe opened later would get its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
