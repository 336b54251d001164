"""A first backup and further ones of an unchanged tree: what a further one costs.

    python -m bench.backup [--files 100000] [--rounds 3] [--folder /var/tmp]

The very scripts that a client's host gets (client_copy.sh, manifest.py, client_publish.sh) run here, as root, on a
folder of a local file system in the place of the mounted volume: what is measured is the copying and reading back,
without tunnel, iSCSI and dm-crypt, which slow the first down far more than the second, which moves next to nothing.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import argument_parser, median_and_range
from workloads.connectors.script import Script, facts_in, script_command
from workloads.encrypted_backup.context import host_program, script
from workloads.encrypted_backup.scripts import seed

AIM = 0.05


class LocalVolume:
    """A folder that stands for the mounted volume."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        (self.run / "volume" / "snapshots").mkdir(parents=True)
        self.snapshots = self.run / "volume" / "snapshots"
        self.before = ""  # what each script is run by

    def output_of(self, what: Script, *arguments: str) -> str:
        """Runs a script as a host would, and returns its standard output; ends the program where it fails."""
        done = self.run_script(what, *arguments)
        if done.returncode:
            sys.exit(f"{what.name} failed: {done.stderr}")
        return done.stdout

    def run_script(self, what: Script, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a script as a host would, whether it fails or not."""
        text = what.text.replace("RUN=/run/tidemark-backup", f"RUN={self.run}")
        command = script_command(what.name, list(arguments), "root", locked=False)
        # The scripts refuse a folder that nothing is mounted at: here it is itself, as long as the script runs.
        volume = shlex.quote(str(self.run / "volume"))
        command = f"mount --bind {volume} {volume} && {self.before}{command}"
        words = ["unshare", "--mount", "--", "bash", "-c", command]
        return subprocess.run(words, input=text, capture_output=True, text=True, check=False)

    def back_up(self, name: str, source: Path, previous: str | None) -> tuple[float, float]:
        """Makes one snapshot; returns the seconds of the copy and of reading back."""
        began = time.monotonic()
        copy = facts_in(self.output_of(host_program("copy_plan", "client_copy"), name, "no", "no", "1", str(source)))
        copied = time.monotonic()
        before = f"{self.snapshots}/{previous}" if previous else ""
        command = "same" if any(fact.get("same") for fact in copy) else "write"
        facts = self.output_of(host_program("manifest"), command, f"{self.snapshots}/.partial-{name}", before)
        said = json.loads(facts.splitlines()[0])
        if said["differences"]:
            sys.exit(f"{name}: {said['differences']} differences")
        self.output_of(script("client_publish"), name, json.dumps({"name": name}))
        return copied - began, time.monotonic() - copied


def main() -> None:
    parser = argument_parser(__doc__, rounds=3)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-", dir=options.folder) as name:
        folder = Path(name)
        source = folder / "source"
        seed.make(source, "bench", options.files)
        volume = LocalVolume(folder)
        first = volume.back_up("2026-01-01T000000Z", source, None)
        print(f"first   {_shown(first)}", flush=True)
        ratios = []
        for day in range(2, 2 + options.rounds):
            again = volume.back_up(f"2026-01-{day:02}T000000Z", source, f"2026-01-{day - 1:02}T000000Z")
            ratios.append(sum(again) / sum(first))
            print(f"again   {_shown(again)}", flush=True)
        print(f"again over first: {median_and_range(ratios, '.3f')}; aim: under {AIM}; {options.files} small files")


def _shown(seconds: tuple[float, float]) -> str:
    copy, verify = seconds
    return f"{copy + verify:8.1f} s   copy {copy:6.1f} s   read back {verify:6.1f} s"


if __name__ == "__main__":
    main()
