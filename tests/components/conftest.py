"""Fixtures of the declared part: a key pair, and an AWS endpoint that answers from moto's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.components.stack_program import Run, declare, public_key_text
from tests.lab.in_process import answered_in_process

pytest.register_assert_rewrite("tests.components.every_stack")  # so that its assertions say what they saw


@pytest.fixture
def public_key_file(tmp_path: Path) -> Path:
    path = tmp_path / "id_ed25519.pub"
    path.write_text(public_key_text() + " person@desk\n")
    return path


@pytest.fixture(scope="session")
def declared() -> dict[tuple[object, ...], Run]:
    """What `declare_once` has declared in this session."""
    return {}


@pytest.fixture
def declare_once(declared: dict[tuple[object, ...], Run], public_key_file: Path) -> Callable[..., Run]:
    """`declare`, of which a stack with the same changes is run by the first test that asks, shielded like any test."""

    def of(stack: str, **changes: str) -> Run:
        key = (stack, *sorted(changes.items()))
        if key not in declared:
            declared[key] = declare(stack, public_key_file, **changes)
        return declared[key]

    return of


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """The URL of a moto server on a loopback port of its own, which answers this process without HTTP."""
    from moto.server import ThreadedMotoServer

    from lab.endpoint import cache_lookups

    cache_lookups()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    assert server._server is not None
    with answered_in_process(url, server._server.app):
        yield url
    server.stop()
