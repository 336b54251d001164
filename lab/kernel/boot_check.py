"""Whether a kernel runs on this very processor: it is started, and must reach a program that prints a line."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from lab.errors import LabError
from lab.kernel.choice import VARIABLE, Kernel
from lab.paths import PROJECT

ROOT = PROJECT / "lab" / "kernel" / "build" / "root"
LINE = "tidemark: user space runs"
"""What `init.c` prints."""
MEMORY_MIB = 64
TIMEOUT_SECONDS = 20
PANIC = re.compile(r"Kernel panic - not syncing: .*")
CAUSE = re.compile(r"userspace - .*errno.*|.*ptrace set fp regs failed.*|.*PROT_EXEC.*|.*: No space left on device.*")


def check_boot(kernel: Kernel) -> None:
    """Boot the kernel to one program and off again, in about a second. Raises LabError with what its console says."""
    if not (ROOT / "init").exists():
        raise LabError(f"{ROOT / 'init'}: not there; `make setup` compiles it")
    with tempfile.TemporaryDirectory(prefix="tidemark-boot-check-") as folder:
        command = [
            str(kernel.path),
            f"mem={MEMORY_MIB}M",
            "seccomp=auto",
            "root=/dev/root",
            "rootfstype=hostfs",
            f"rootflags={_short(ROOT, Path(folder))}",
            "ro",
            "init=/init",
            "con=null",
            "con0=null,fd:1",
            "ssl=null",
            "umid=check",
            f"uml_dir={folder}",
        ]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            console, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            console = ""
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)
                process.wait()
    if LINE not in console:
        reason = _reason(console)
        raise LabError(f"{kernel} does not run on this machine: {reason}; {_remedy(reason)}")


def _short(root: Path, folder: Path) -> Path:
    """The root by a path without spaces, which a kernel's command line can't hold."""
    link = folder / "root"
    link.symlink_to(root)
    return link


def _reason(console: str) -> str:
    """The line of a console that says why a kernel ended."""
    found = CAUSE.search(console) or PANIC.search(console)
    if found:
        return found.group().strip()
    lines = [line.strip() for line in console.splitlines() if line.strip()]
    return lines[-1] if lines else f"no word from it within {TIMEOUT_SECONDS} s"


def _remedy(reason: str) -> str:
    if "fp regs" in reason:
        return (
            "kernels before 6.13 can't run on a processor with AMX: let Debian's newer one be fetched, "
            f"or name one with {VARIABLE}"
        )
    return f"name another kernel with {VARIABLE}"
