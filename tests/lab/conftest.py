"""The region's API in this process, without a region behind it: neither root nor hosts."""

from __future__ import annotations

import logging
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.clients import Clients
from lab.endpoint import Endpoint
from tests.lab.in_process import answered_in_process

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

REGION = "eu-central-1"


@dataclass(frozen=True)
class Api:
    """An endpoint that serves an account with nothing in it but what AWS puts there, and Debian's image."""

    endpoint: Endpoint
    clients: Clients
    consoles: Path

    @property
    def url(self) -> str:
        return self.clients.url

    @property
    def ec2(self) -> EC2Client:
        return self.clients.ec2

    def reset(self) -> None:
        """Empty the account again."""
        self.endpoint.reset()
        self.endpoint.add_debian_image(self.clients)
        self.endpoint.forced_stops.clear()
        self.endpoint.changed.clear()


@pytest.fixture
def api(api_over_http: Api) -> Iterator[Api]:
    """An account whose API answers this process without HTTP."""
    with answered_in_process(api_over_http.url, api_over_http.endpoint._application):
        yield api_over_http


@pytest.fixture
def api_over_http(tmp_path: Path) -> Iterator[Api]:
    """One for each test: moto finds the added calls on a class, where the newest endpoint's replace the others'."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
    consoles = tmp_path / "consoles"
    consoles.mkdir()
    endpoint = Endpoint(lambda instance_id: consoles / instance_id)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint.serve(listener)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        made = Api(endpoint, Clients(url, REGION), consoles)
        made.reset()
        yield made
        endpoint.close()


@pytest.fixture
def lab_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a region, with a key pair in it and nothing else."""
    folder = tmp_path / "lab"
    folder.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "id_ed25519")], check=True)
    monkeypatch.setenv("TIDEMARK_LAB_DIR", str(folder))
    return folder
