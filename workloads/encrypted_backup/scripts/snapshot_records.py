"""Reads the records of the mounted volume's snapshots: runs on the client, as root.

    python3 - SNAPSHOTS

Prints one JSON document for each folder with a snapshot's name: its record (snapshot.json) and "folder", or "folder"
and "damaged", the reason why the record can't be read.
"""

from __future__ import annotations

import json
import os
import re
import sys

NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z", re.ASCII)
# A record was one argument of a command, whose length is limited (execve(2), MAX_ARG_STRLEN).
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
        return {"damaged": "its record is not a JSON object or too long"}
    return found


def main(snapshots: str) -> None:
    for name in sorted(os.listdir(snapshots)):
        if NAME.fullmatch(name):
            print(json.dumps({**record_of(os.path.join(snapshots, name)), "folder": name}))


if __name__ == "__main__":
    main(*sys.argv[1:])
