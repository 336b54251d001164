"""A first and a second backup of an unchanged tree: what a second one costs.

    python -m bench.backup [--files 100000] [--folder /var/tmp]

The very scripts that a client's host gets (client_copy.sh, manifest.py, client_publish.sh) run here, as root, on a
folder of a local file system in the place of the mounted volume: what is measured is the copying and reading back,
without tunnel, iSCSI and dm-crypt, which slow the first down far more than the second, which moves next to nothing.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from workloads.connectors.script import Script, script_command
from workloads.encrypted_backup.context import host_program, script
from workloads.encrypted_backup.scripts import seed

AIM = 0.1


class LocalVolume:
    """A folder that stands for the mounted volume."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        (self.run / "volume" / "snapshots").mkdir(parents=True)
        self.snapshots = self.run / "volume" / "snapshots"
        self.before = ""  # what each script is run by

    def do(self, what: Script, *arguments: str) -> str:
        """Runs a script as a host would; its standard output."""
        done = self.done(what, *arguments)
        if done.returncode:
            sys.exit(f"{what.name} failed: {done.stderr}")
        return done.stdout

    def done(self, what: Script, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a script as a host would, whether it fails or not."""
        text = what.text.replace("RUN=/run/tidemark-backup", f"RUN={self.run}")
        command = script_command(what.name, list(arguments), "root", locked=False)
        # The scripts refuse a folder that nothing is mounted at: here it is itself, as long as the script runs.
        volume = shlex.quote(str(self.run / "volume"))
        command = f"mount --bind {volume} {volume} && {self.before}{command}"
        words = ["unshare", "--mount", "--", "bash", "-c", command]
        return subprocess.run(words, input=text, capture_output=True, text=True, check=False)

    def back_up(self, name: str, source: Path, previous: str | None) -> tuple[float, float]:
        """One snapshot; seconds of the copy and of reading back."""
        began = time.monotonic()
        self.do(host_program("copy_plan", "client_copy"), name, "no", "1", str(source))
        copied = time.monotonic()
        before = f"{self.snapshots}/{previous}" if previous else ""
        facts = self.do(host_program("manifest"), "write", f"{self.snapshots}/.partial-{name}", before)
        said = json.loads(facts.splitlines()[0])
        if said["differences"]:
            sys.exit(f"{name}: {said['differences']} differences")
        self.do(script("client_publish"), name, json.dumps({"name": name}))
        return copied - began, time.monotonic() - copied


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-", dir=options.folder) as name:
        folder = Path(name)
        source = folder / "source"
        seed.make(source, "bench", options.files)
        volume = LocalVolume(folder)
        first = volume.back_up("2026-01-01T000000Z", source, None)
        second = volume.back_up("2026-01-02T000000Z", source, "2026-01-01T000000Z")
        for what, (copy, verify) in (("first", first), ("second", second)):
            print(f"{what:<7} {copy + verify:8.1f} s   copy {copy:6.1f} s   read back {verify:6.1f} s")
        ratio = sum(second) / sum(first)
        print(f"second over first: {ratio:.3f} (aim: under {AIM}), {options.files} small files")


if __name__ == "__main__":
    main()
