"""The library that lets epoll answer a User Mode Linux process with one event at a time (lab/kernel/one_event.c)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.kernel.uml import PRELOADED

TWO_READY = """
import json, os, select
epoll = select.epoll()
for _ in range(2):
    reading, writing = os.pipe()
    epoll.register(reading, select.EPOLLIN | select.EPOLLET)
    os.write(writing, b"x")
asked = [len(epoll.poll(0)) for _ in range(3)]
print(json.dumps(asked))
"""


def test_each_of_two_events_comes_by_itself_and_none_is_lost() -> None:
    assert _asked([]) == [2, 0, 0], "without the library both come into one array"
    assert _asked([library for library in PRELOADED if library.stem == "one_event"]) == [1, 1, 0]


def _asked(preloaded: Sequence[Path]) -> list[int]:
    environment = {"LD_PRELOAD": " ".join(map(str, preloaded))}
    ran = subprocess.run([sys.executable, "-c", TWO_READY], env=environment, capture_output=True, text=True, check=True)
    found: list[int] = json.loads(ran.stdout)
    return found
