"""The experiment's constants, each with its reason."""

from __future__ import annotations

from pathlib import Path

EXPERIMENT = "encrypted-backup"
SCRIPTS = Path(__file__).parent / "scripts"

BLANK = "third"
"""The role of the machine that recovers everything in the drill: iscsi-tunnel's third host, on which nothing is set
up."""

LUKS = "luks"
KINDS = (LUKS, "truecrypt", "veracrypt")

# Copying, reading back and checking take as long as there is data; nothing is said while a large file is read. That the
# other side is alive is seen from the heartbeats (workloads/lease.py), not from this.
LONG_SECONDS = 7 * 24 * 3600.0

# argon2id's cost is what keeps a guesser out: cryptsetup's own choice (as much memory as 1 GiB, two seconds) on a real
# machine. In a rehearsal host a page of memory costs a switch of processes: 64 MiB took 11 s to fill, 1 MiB takes
# three with all else. Such a volume lives for minutes and holds made-up files.
REHEARSAL_COST = ("--pbkdf-memory", "1024", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "1")
