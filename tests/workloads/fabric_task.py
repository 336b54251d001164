"""Running tasks as a person does, without a start of Python for each."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.paths import PROJECT

Done = subprocess.CompletedProcess[str]

# Each command line runs in a fork, which has imported what every one of them needs, and ends as `fab` does.
EACH_IN_A_FORK = """
import json, os, sys
import boto3, paramiko, rich.console
from fabric.main import program
import fabfile

for line in sys.stdin:
    words, environment, *files = json.loads(line)
    if os.fork() == 0:
        os.environ.clear()
        os.environ.update(environment)
        for stream, file in enumerate([os.devnull, *files]):
            os.dup2(os.open(file, os.O_WRONLY if stream else os.O_RDONLY), stream)
        sys.argv = ["fab", *words]
        sys.exit(program.run())
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


@functools.cache
def _started(project: Path) -> subprocess.Popen[str]:
    """A process that runs command lines of the project one after the other, and ends with this one."""
    return subprocess.Popen(
        [sys.executable, "-c", EACH_IN_A_FORK],
        cwd=project,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def fab(*words: str, project: Path = PROJECT, **environment: str) -> Done:
    """A task, as a person types it. A start of Python for each would take a second of CPU time."""
    forks = _started(project)
    assert forks.stdin is not None
    assert forks.stdout is not None
    with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as err:
        forks.stdin.write(json.dumps([words, {**os.environ, **environment}, out.name, err.name]) + "\n")
        forks.stdin.flush()
        try:
            code = int(forks.stdout.readline())
        except BaseException:  # the test's time is over
            os.killpg(forks.pid, signal.SIGKILL)
            _started.cache_clear()
            raise
        return Done(words, code, out.read(), err.read())
