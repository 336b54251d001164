from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.machine import make
from tests.native.native_worker import SOURCE, NativeWorker

FILE_BYTES = 1024 * 1024


@pytest.fixture(scope="session")
def worker_build() -> Path:
    return make(SOURCE)


@pytest.fixture
def worker(worker_build: Path) -> NativeWorker:
    return NativeWorker(worker_build / "tidemark-worker")


@pytest.fixture
def data_file(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(os.urandom(FILE_BYTES))
    return path
