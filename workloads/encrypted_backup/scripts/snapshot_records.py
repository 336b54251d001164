"""Reads the records of the mounted volume's snapshots: runs on the client, as root.

    python3 - SNAPSHOTS

One JSON document a folder that has a snapshot's name: its record (snapshot.json) with "folder", the name of the
folder; or the folder with "damaged", which says why there is no record that can be read.
"""

from __future__ import annotations

import json
import os
import re
import sys

NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z", re.ASCII)
# A record holds the sources and patterns of one command line, and is not longer (execve(2), MAX_ARG_STRLEN).
LONGEST_BYTES = 1 << 20


def record_of(folder: str) -> dict[str, object]:
    """Returns a snapshot's record, or what is wrong with it."""
    try:
        with open(os.path.join(folder, "snapshot.json"), "rb") as file:
            content = file.read(LONGEST_BYTES + 1)
    except OSError as error:
        return {"damaged": f"its record can't be read ({error.strerror})"}
    try:
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return {"damaged": "its record is damaged"}
    if len(content) > LONGEST_BYTES or not isinstance(found, dict):
        return {"damaged": "its record is no record"}
    return found


def main(snapshots: str) -> None:
    for name in sorted(os.listdir(snapshots)):
        if NAME.fullmatch(name):
            print(json.dumps({**record_of(os.path.join(snapshots, name)), "folder": name}))


if __name__ == "__main__":
    main(*sys.argv[1:])
