"""What the reconciler asks the region's API, and what it reports to it."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import StateReason
from moto.efs.models import efs_backends

from lab.account import Account, Instance, authorized_key, read_account, user_data
from lab.clients import Clients
from lab.endpoint import Endpoint
from lab.kernel.uml import ExitReason
from lab.metrics import Statistics, publish

log = logging.getLogger("lab.region_api")


class RegionApi:
    """The API of one AWS region, as its reconciler needs it."""

    def __init__(self, clients: Clients, endpoint: Endpoint) -> None:
        self._clients = clients
        self._endpoint = endpoint

    def read_account(self) -> Account:
        """Returns all that the machine has to match."""
        return read_account(self._clients)

    def launch_data(self, instance: Instance) -> tuple[str, bytes]:
        """Returns the authorized SSH key and the user data of an instance."""
        ec2 = self._clients.ec2
        return authorized_key(ec2, instance.key_name), user_data(ec2, instance.instance_id)

    def take_forced_stop(self, instance_id: str) -> bool:
        """Whether the last StopInstances for it had Force; the next call returns False."""
        forced = instance_id in self._endpoint.forced_stops
        self._endpoint.forced_stops.discard(instance_id)
        return forced

    def publish_minute(self, file_system_id: str, minute_unix_s: int, statistics: Mapping[str, Statistics]) -> None:
        """Puts a minute of a file system's metrics into CloudWatch; logs a failure."""
        try:
            publish(self._clients.cloudwatch, file_system_id, minute_unix_s, statistics)
        except (ClientError, BotoCoreError) as fault:
            log.error("%s: a minute was not published: %s", file_system_id, fault)

    def report_host_exit(self, instance_id: str, reason: ExitReason) -> None:
        """Terminates or stops an instance whose host exited, by its shutdown behavior, and wakes the reconciler.

        An instance that is not running any more keeps its state.
        """
        with self._endpoint.one_call:
            instance = ec2_backends[DEFAULT_ACCOUNT_ID][self._clients.region].get_instance(instance_id)
            if instance.state in ("pending", "running"):
                if instance.instance_initiated_shutdown_behavior == "terminate":
                    instance.terminate()
                else:
                    instance.stop()
                # Not through API calls: between two of them a client would see the state with another reason.
                instance._reason = f"{reason.message} ({utcnow():%Y-%m-%d %H:%M:%S} GMT)"
                instance.state_reason = StateReason(reason.message, reason.code)
        self._endpoint.changed.set()

    def report_file_system_failure(self, file_system_id: str) -> None:
        """Sets the state `error`, EFS' word for "in a failed state and is unrecoverable" (EFS User Guide, "File system
        status"), and wakes the reconciler.
        """
        with self._endpoint.one_call:
            system = efs_backends[DEFAULT_ACCOUNT_ID][self._clients.region].file_systems_by_id.get(file_system_id)
            if system is not None:
                system.life_cycle_state = "error"
        self._endpoint.changed.set()
