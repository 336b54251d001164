"""Runs a host's script against folders that stand for /sys, /proc, /etc and the like, with made-up tools."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from workloads.connectors.script import Script, script_command

# What a script may read and write; of /dev, all but the kernel's own devices.
_PLACES = re.compile(
    r"(?<![\w/.}*\\-])/(?=(?:sys|proc|etc|run|usr/local|var/lib|lib/systemd|dev(?!/(?:null|zero|fd|tcp|urandom)))\b)"
)


class ScriptWorld:
    """A root directory, empty at first. Block devices are plain files in it, so that no test needs root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "bin").mkdir()

    def path(self, place: str) -> Path:
        """Where `place`, an absolute path, lies here."""
        return self.root / place.lstrip("/")

    def file(self, place: str, text: str = "") -> Path:
        """Makes a file with its folders."""
        path = self.path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._here(text))
        return path

    def read(self, place: str) -> str:
        """What a file holds, as it would be on a host."""
        return self.path(place).read_text().replace(str(self.root), "")

    def link(self, place: str, target: str) -> None:
        """Makes a symbolic link to `target`, another place here."""
        path = self.path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(self.path(target))

    def tool(self, name: str, body: str = "") -> None:
        """A command of that name, in bash; how it is called is noted in `calls`."""
        path = self.root / "bin" / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> {self.root}/calls\n{self._here(body)}\n')
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """The calls of tools so far, in order."""
        log = self.root / "calls"
        return log.read_text().replace(str(self.root), "").splitlines() if log.exists() else []

    def disk(self, name: str, size_bytes: int, serial: str | None = None) -> None:
        """A whole disk; NVMe shows its serial elsewhere than others do."""
        self.file(f"/sys/block/{name}/size", f"{size_bytes // 512}\n")
        self.path(f"/sys/block/{name}/holders").mkdir()
        self.link(f"/sys/class/block/{name}", f"/sys/block/{name}")
        self.file(f"/dev/{name}")
        if serial is not None:
            place = "device/serial" if name.startswith("nvme") else "serial"
            self.file(f"/sys/block/{name}/{place}", serial)

    def run(self, script: Script | str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs it as a host would, without root and lock. What it says of places is as a host would say it."""
        text = script if isinstance(script, str) else script.text
        text = self._here(text).replace("PATH=/usr/sbin", f"PATH={self.root}/bin:/usr/sbin")
        command = script_command("probe", [self._here(word) for word in arguments], "root", locked=False)
        done = subprocess.run(
            ["bash", "-c", command], input=text, capture_output=True, text=True, timeout=120, check=False
        )
        done.stdout = done.stdout.replace(str(self.root), "")
        done.stderr = done.stderr.replace(str(self.root), "")
        return done

    def _here(self, text: str) -> str:
        return re.sub(r"\[ (! )?-b ", r"[ \1-e ", _PLACES.sub(f"{self.root}/", text))
