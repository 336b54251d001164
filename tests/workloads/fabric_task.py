"""Running a task as a person does."""

from __future__ import annotations

import os
import subprocess
import sys

from lab.paths import PROJECT

TASK_LIMIT_S = 600


def fab(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
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
