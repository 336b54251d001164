"""The environment of a rehearsal, without those settings of the user that would change it.

A profile, an endpoint of one service or a proxy leads boto3 away from the region on loopback. Downloads (the root
image, the AWS CLI's wheels) keep the user's proxy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# curl(1) and Python's urllib.request.getproxies_environment: in either case; no_proxy belongs to them.
PROXY_SUFFIX = "_proxy"
TEMPORARY = ("TMPDIR", "TEMP", "TMP")  # the order of Python's tempfile; User Mode Linux knows all three
# pip's option --proxy as a variable (pip documentation, "Environment Variables"); boto3 does not know it.
PIP_PROXY = "PIP_PROXY"


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns a copy without AWS_*, *_proxy, and a folder for temporary files that can't be used.

    boto3 finds neither the user's configuration nor credentials; pip keeps the proxy.
    """
    kept = {name: value for name, value in environment.items() if not _is_removed(name, value)}
    proxy = environment.get("https_proxy") or environment.get("HTTPS_PROXY")
    if proxy:
        kept.setdefault(PIP_PROXY, proxy)
    kept["AWS_CONFIG_FILE"] = kept["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    kept["AWS_EC2_METADATA_DISABLED"] = "true"
    return kept


def _is_removed(name: str, value: str) -> bool:
    if name in TEMPORARY:
        return not (Path(value).is_dir() and os.access(value, os.W_OK | os.X_OK))
    return name.startswith("AWS_") or (name.lower().endswith(PROXY_SUFFIX) and name != PIP_PROXY)


_downloads: dict[str, str] = {}


def isolate() -> None:
    """Changes this process's environment to that of a rehearsal; its children inherit it."""
    _downloads.update((name, value) for name, value in os.environ.items() if name.lower().endswith(PROXY_SUFFIX))
    kept = isolated(os.environ)
    os.environ.clear()
    os.environ.update(kept)
    complete_path()


def complete_path() -> None:
    """Makes this Python the `python3` of processes that are started from here on, and lets root find its tools.

    Each connection to a host is a `python3 -m lab.proxy_command`, and a version manager's stand-in for python3 takes
    0.2 s of CPU time (pyenv 2.6, AMD EPYC). Root under cron(8), or by `su` without a dash, has a PATH without sbin.
    """
    own, given = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([own, given, "/usr/sbin", "/sbin"])


@contextmanager
def users_proxies() -> Iterator[None]:
    """Restores the user's proxies for the downloads in the block."""
    before = {name: os.environ.get(name) for name in _downloads}
    os.environ.update(_downloads)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
