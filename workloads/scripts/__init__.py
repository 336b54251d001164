"""The scripts that more than one experiment sends to its hosts, and how any script is found."""

from __future__ import annotations

from pathlib import Path

from workloads.connectors.script import Script

SHARED = Path(__file__).parent
_LIBRARY = SHARED / "lib.sh"


def find_script(name: str, folder: Path, *libraries: str) -> Script:
    """The script called `name` in an experiment's `folder`, or the shared one; with the functions that it may use,
    those of the named `libraries` among them.
    """
    path = folder / f"{name}.sh"
    if not path.is_file():
        path = SHARED / f"{name}.sh"
    own = folder / "lib.sh"
    named = [SHARED / "libraries" / f"{library}.sh" for library in libraries]
    return Script.load(path, _LIBRARY, *named, *([own] if own.is_file() else []))
