"""Prints what a selection of the first argument leaves out of file systems; and of the second, how many."""

from __future__ import annotations

import os
import sys

from workloads.encrypted_backup.scripts.selection import selected

if __name__ == "__main__":
    first, second = (selected(b"/nowhere/own", [os.fsencode(each)], []) for each in sys.argv[1:])
    for rule in first.rules()[2:]:
        print(os.fsdecode(rule))
    print("of the second:", len(second.mounts))
