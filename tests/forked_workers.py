"""Workers of pytest-xdist that are forked from a process which has imported all tests.

pytest-xdist starts an interpreter for each worker, and each imports every test, and what that imports, for itself.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import execnet.gateway_io
import pytest
from execnet.gateway_base import ExecModel, Popen2IO
from hypothesis.internal import charmap
from hypothesis.internal.conjecture import providers

ROOT = Path(__file__).parent.parent
SERVICES = ("cloudwatch", "ebs", "ec2", "efs", "iam", "lambda_", "s3", "ssm", "vpc")


class ForkedProcess:
    """What execnet asks of a worker's process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


class ForkedIO(execnet.gateway_io.Popen2IOMaster):
    """The pipes to a worker that has been forked already."""

    def __init__(self, pid: int, to_worker: int, from_worker: int, execmodel: ExecModel) -> None:
        self.popen = ForkedProcess(pid)
        Popen2IO.__init__(self, os.fdopen(to_worker, "wb"), os.fdopen(from_worker, "rb"), execmodel)


def fork_workers(config: pytest.Config, number: int) -> None:
    """Imports the tests that the command line names, and forks the workers that execnet is about to start.

    A worker that takes the place of one that crashed is started as always.
    """
    import_tests(test_files(config.args))
    capture = config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    workers: list[tuple[int, int, int]] = []
    # Before the first gateway, which has a thread.
    with capture.global_and_fixture_disabled():
        for _ in range(number):
            workers.append(fork_worker([fd for _, *fds in workers for fd in fds]))
    started = execnet.gateway_io.create_io

    def create_io(spec: execnet.XSpec, execmodel: ExecModel) -> execnet.gateway_io.Popen2IOMaster:
        return ForkedIO(*workers.pop(0), execmodel) if workers else started(spec, execmodel)

    execnet.gateway_io.create_io = create_io


def test_files(arguments: Iterable[str]) -> list[Path]:
    paths = [Path(argument.partition("::")[0]) for argument in arguments]
    return [file for path in paths for file in (sorted(path.rglob("test_*.py")) if path.is_dir() else [path])]


def import_tests(files: Iterable[Path]) -> None:
    for file in files:
        # The workers import it again, and report why it can't be.
        with suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(file.resolve().relative_to(ROOT).with_suffix("").parts))
    # pulumi_aws imports a service when a program first uses it.
    if "pulumi_aws" in sys.modules:
        for name in SERVICES:
            importlib.import_module(f"pulumi_aws.{name}")
    # hypothesis reads the source of each module of this project for constants, and encodes each character in UTF-8.
    providers._get_local_constants()
    charmap.intervals_from_codec("utf-8")
    charmap.charmap()
    gc.collect()
    gc.freeze()


def fork_worker(of_others: Iterable[int]) -> tuple[int, int, int]:
    """The process id, and the ends of the pipes to and from it."""
    at_worker, to_worker = os.pipe()
    from_worker, of_worker = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if (pid := os.fork()) == 0:
        # The end of its pipe tells a worker that the run has ended.
        for fd in (to_worker, from_worker, *of_others):
            os.close(fd)
        serve(at_worker, of_worker)
    os.close(at_worker)
    os.close(of_worker)
    return pid, to_worker, from_worker


def serve(at_worker: int, of_worker: int) -> NoReturn:
    """Does what execnet has an interpreter do that it starts."""
    code = 1
    try:
        atexit._clear()
        for fd, number in ((at_worker, 0), (of_worker, 1)):
            os.dup2(fd, number)
            os.close(fd)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # for as long as the process lives
        exec(eval(sys.stdin.readline()), {})
        code = 0
    except KeyboardInterrupt:
        pass  # it goes to every process of the run, and the first one says so
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            atexit._run_exitfuncs()
            sys.stderr.flush()
        os._exit(code)
