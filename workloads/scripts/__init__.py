"""Scripts that more than one experiment sends to its hosts; finds any script by name."""

from __future__ import annotations

from pathlib import Path

from workloads.connectors.script import Script

SHARED = Path(__file__).parent
_LIBRARY = SHARED / "lib.sh"


def find_script(name: str, folder: Path, *libraries: str) -> Script:
    """Returns the script `name` of an experiment's `folder`, or the shared one, with both lib.sh and `libraries`."""
    path = folder / f"{name}.sh"
    if not path.is_file():
        path = SHARED / f"{name}.sh"
    own = folder / "lib.sh"
    named = [SHARED / "libraries" / f"{library}.sh" for library in libraries]
    return Script.load(path, _LIBRARY, *named, *([own] if own.is_file() else []))
