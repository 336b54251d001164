"""The whole program of encrypted-backup under mocks: iscsi-tunnel's, with a client to back up and a blank machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.components.every_stack import check_names, check_root_volumes, inventory_of
from tests.components.stack_program import declare
from workloads.encrypted_backup.drill import BLANK_ROLE
from workloads.iscsi_tunnel.endpoints import client_of, server_of


@pytest.mark.parametrize("stack", ["encrypted-backup.eu-central-1", "encrypted-backup.us-east-1"])
def test_a_server_a_client_and_a_blank_machine(stack: str, public_key_file: Path) -> None:
    run = declare(stack, public_key_file)
    check_names(run)
    check_root_volumes(run, stack)
    inventory = inventory_of(run)
    assert inventory.experiment == "encrypted-backup"
    assert [host.role for host in inventory.hosts] == ["server", "client", BLANK_ROLE]
    assert [volume.size_gib for volume in server_of(inventory).volumes] == [80]
    client = client_of(inventory, None)
    assert client is not None
    assert client.name == "client"
    assert run.of("aws:ebs/volume:Volume")[0].custom
