"""Running tasks as a person does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from lab.paths import PROJECT

TASK_LIMIT_S = 600
Done = subprocess.CompletedProcess[str]

# Each command line runs in a fork, which has imported what every one of them needs, and ends as `fab` does.
EACH_IN_A_FORK = """
import json, os, sys
import boto3, rich.console
from fabric.main import program
import fabfile

commands, folder = json.loads(sys.argv[1]), sys.argv[2]
for number, words in enumerate(commands):
    if os.fork() == 0:
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{folder}/{number}.{name}", os.O_WRONLY | os.O_CREAT), stream)
        sys.argv = ["fab", *words]
        sys.exit(program.run())
    print(os.waitstatus_to_exitcode(os.wait()[1]))
    sys.stdout.flush()
"""


def fab(*words: str, **environment: str) -> Done:
    """A task, as a person types it."""
    return subprocess.run(
        [sys.executable, "-m", "fabric", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=TASK_LIMIT_S,
        check=False,
        env={**os.environ, **environment},
    )


def fab_each(scratch: Path, *commands: list[str], project: Path = PROJECT, **environment: str) -> list[Done]:
    """Several command lines, which share one start of Python: a second of CPU time each would be its own."""
    ran = subprocess.run(
        [sys.executable, "-c", EACH_IN_A_FORK, json.dumps(commands), str(scratch)],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=TASK_LIMIT_S,
        check=False,
        env={**os.environ, **environment},
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    codes = map(int, ran.stdout.split())
    return [
        Done(words, code, *((scratch / f"{number}.{name}").read_text() for name in ("out", "err")))
        for number, (words, code) in enumerate(zip(commands, codes, strict=True))
    ]
