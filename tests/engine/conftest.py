"""The real engine against the region's API, with its provider; no hosts behind it, so neither root nor kernels."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.clients import Clients
from lab.endpoint import Endpoint
from lab.paths import PROJECT

REGION = "eu-central-1"


@dataclass(frozen=True)
class Engine:
    """`pulumi` for one stack in a backend of its own."""

    stack: str
    url: str
    environment: dict[str, str]
    project: Path

    @property
    def stack_file(self) -> Path:
        return self.project / "stacks" / f"Pulumi.{self.stack}.yaml"

    def pulumi(self, *words: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one command of the stack. Failing when `check` is set fails the test with all that was printed."""
        done = subprocess.run(
            ["pulumi", *words, "--stack", self.stack, "--non-interactive", "--color", "never"],
            cwd=self.project,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"pulumi {' '.join(words)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def inventory(self) -> str:
        """The stack output of that name, as the tasks read it."""
        return self.pulumi("stack", "output", "inventory").stdout.strip()

    @property
    def ec2(self) -> Any:
        return self.clients.ec2

    @property
    def clients(self) -> Clients:
        return Clients(self.url, REGION)


@pytest.fixture
def engine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An empty account, an empty backend, and the stack's file with the endpoint of this test.

    The stack is md-raid.lab, or the one that a test gives as the fixture's parameter.
    """
    stack = getattr(request, "param", "md-raid.lab")
    if shutil.which("pulumi") is None:
        pytest.skip("no `pulumi` on PATH: the real engine can't be asked (the same program runs under the SDK's mocks)")
    api = Endpoint(lambda instance_id: tmp_path / instance_id)
    listener = socket.create_server(("127.0.0.1", 0))
    api.serve(listener)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    api.reset()
    api.add_debian_image(Clients(url, REGION))
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    # A copy of the program: the engine writes into the stack file's folder.
    project = tmp_path / "project"
    (project / "stacks").mkdir(parents=True)
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(PROJECT / name, project / name)
    for name in ("aws_offers", "components", "documents", "inventory", "reaper"):
        shutil.copytree(PROJECT / name, project / name)
    (project / ".venv").symlink_to(PROJECT / ".venv")
    document = yaml.safe_load((PROJECT / "stacks" / f"Pulumi.{stack}.yaml").read_text())
    document["config"]["aws:endpoints"] = [dict.fromkeys(entry, url) for entry in document["config"]["aws:endpoints"]]
    document["config"]["tidemark:sshPublicKeyFile"] = f"{key}.pub"
    (project / "stacks" / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(document))
    for folder in ("home", "state"):
        (tmp_path / folder).mkdir()
    environment = {
        **os.environ,
        "PATH": f"{PROJECT / 'lab' / 'provider' / 'bin'}:{os.environ['PATH']}",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "rehearsal",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    made = Engine(stack, url, environment, project)
    made.pulumi("stack", "init")
    yield made
    api.close()
    listener.close()
