"""Makes this machine match the account: hosts, file servers, interfaces, disks and rules.

Level-triggered: each pass compares the whole account with the whole machine and does what is missing. A pass may fail
anywhere; the next one continues.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from lab import account as accounts
from lab import metrics, vpc
from lab.account import Account, Instance
from lab.block_limits import HOSTS_MAX, BlockLimits
from lab.endpoint import RegionApi
from lab.errors import LabError
from lab.file_server import FileServer, Publish
from lab.host import Host, HostSpec
from lab.kernel.uml import ExitReason, Hardware, OnExit, exit_reason
from lab.metrics import FileSystemMetrics
from lab.service_model import FileSystemModel, ServiceModel

DEFAULT_MEMORY_MIB = 512
MEMORY_TAG = "memory-limit-mib"
"""The instance's tag with the memory that its host boots with: on AWS a kernel argument limits it to that."""
UPLINK_TAG = "uplink-mbit-per-s"
"""The instance's tag with the rate of its way to the internet. Hosts share one; the least rate counts."""
GIB = 1024**3
VOLUMES = "volumes"
"""The folder of the volumes' files, in the region's folder."""
NO_LIMITS_LEFT = ExitReason(
    "Server.InsufficientInstanceCapacity", f"the region's service model limits {HOSTS_MAX} hosts at most"
)
ALIVE = frozenset({"pending", "running"})
STOPPED = frozenset({"stopping", "stopped"})

MakeHost = Callable[[HostSpec, Path, OnExit], Host]
MakeFileServer = Callable[[str, Path, int, FileSystemMetrics, Publish, OnExit], FileServer]

log = logging.getLogger("lab.reconcile")


class Reconciler:
    """Owns the hosts, file servers, interfaces, disks and rules of one AWS region."""

    def __init__(
        self,
        api: RegionApi,
        network: vpc.Network,
        make_host: MakeHost,
        make_file_server: MakeFileServer,
        folder: Path,
        say: Callable[[str], None],
        cpus: Collection[int] | None = None,
    ) -> None:
        """`say` gets a line for each event; `cpus` are those that hosts may run on, by default this process's."""
        self._api = api
        self._network = network
        self._make_host = make_host
        self._make_file_server = make_file_server
        self._folder = folder
        self._say = say
        self._pass = threading.Lock()
        self._hosts: dict[str, Host] = {}
        self._ports: dict[str, vpc.Port] = {}
        self._file_servers: dict[str, FileServer] = {}
        self._model: ServiceModel | None = None
        self._all_cpus = cpus or os.sched_getaffinity(0)
        self._cpus: dict[str, int] = {}  # instance or file system -> the CPU that its kernel runs on
        self._rules: str | None = None
        self._uplink_mbit_per_s: float | None = None
        self._block_limits = BlockLimits(folder, network)

    def disk(self, volume_id: str) -> Path:
        """Returns the file of a volume."""
        return self._folder / VOLUMES / volume_id

    def console(self, owner_id: str) -> Path:
        """Returns the console log of an instance's host or of a file system's server."""
        return self._folder / "hosts" / owner_id / "console.log"

    def reconcile(self) -> bool:
        """Does one pass; returns whether the machine matches the account.

        The failure of one host or file server is logged and leaves the others alone; all others are raised.
        """
        with self._pass, ThreadPoolExecutor(max_workers=8) as pool:
            account = self._api.read_account()
            wanted = {instance.instance_id for instance in account.instances if instance.state != "terminated"}
            self._make_disks(account)
            list(pool.map(self._remove_host, self._hosts.keys() - wanted))
            for instance_id in self._ports.keys() - self._hosts.keys():  # plugged in again below, if it is alive
                self._block_limits.unplugged(instance_id)  # first: a model that comes meanwhile must not look for it
                self._network.unplug(self._ports[instance_id])
                del self._ports[instance_id]
                self._cpus.pop(instance_id, None)
            file_servers_match = self._reconcile_file_servers(account)
            for instance in account.instances:
                if instance.state in ALIVE:
                    self._plug(instance)
            self._apply_rules(account)
            self._apply_uplink(account)
            beyond = self._block_limits.apply_to(account, self._ports)
            for instance_id in beyond:
                self._api.report_host_exit(instance_id, NO_LIMITS_LEFT)
            hosts_match = list(
                pool.map(self._reconcile_host, [each for each in account.instances if each.instance_id not in beyond])
            )
            self._delete_disks(account)
            return all(hosts_match) and file_servers_match

    def close(self) -> None:
        """Kills every host, then every file server. Interfaces end with the namespace, files with the folder."""
        for host in self._hosts.values():
            host.remove()
        for server in self._file_servers.values():
            server.remove()

    def apply_service_model(self, model: ServiceModel | None) -> None:
        """Applies a service model to what it is of, present and future; the other services are held to none."""
        self._block_limits.apply_model(model)  # first: it may refuse
        self._model = model
        for server in list(self._file_servers.values()):
            server.apply_service_model(self._file_system_model)

    @property
    def _file_system_model(self) -> FileSystemModel | None:
        return self._model if isinstance(self._model, FileSystemModel) else None

    def states(self) -> list[dict[str, object]]:
        """Returns what runs here, for `lab status`."""
        return [
            {
                "id": instance_id,
                "name": host.spec.hostname,
                "address": host.spec.address,
                "pid": host.pid,
                "volumes": sorted(host.attached),
                "console": str(host.console),
            }
            for instance_id, host in list(self._hosts.items())
        ]

    # --- disks and network -------------------------------------------------------------------------------

    def _make_disks(self, account: Account) -> None:
        for volume_id, volume in account.volumes.items():
            path = self.disk(volume_id)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)
            if path.stat().st_size < volume.size_gib * GIB:
                os.truncate(path, volume.size_gib * GIB)  # sparse: a fresh EBS volume reads as zero, and so does a hole

    def _delete_disks(self, account: Account) -> None:
        in_use = {volume_id for host in self._hosts.values() for volume_id in host.attached}
        for path in (self._folder / VOLUMES).glob("vol-*"):
            if path.name not in account.volumes and path.name not in in_use:
                path.unlink()

    def _plug(self, instance: Instance) -> None:
        gateway = vpc.gateway_of(instance.subnet_cidr)
        port = vpc.Port(instance.instance_id, instance.address, gateway, instance.public_address, instance.groups)
        if port.owner_id not in self._ports:
            self._network.plug(port)
            self._assign_cpu(port.owner_id)
        self._ports[port.owner_id] = port

    def _assign_cpu(self, owner_id: str) -> int:
        return self._cpus.setdefault(owner_id, least_used(self._all_cpus, self._cpus.values()))

    def _apply_rules(self, account: Account) -> None:
        ports = [*self._ports.values(), *(port for server in self._file_servers.values() for port in server.ports)]
        rules = vpc.render_rules(ports, account.groups)
        if rules != self._rules:
            self._network.apply_rules(rules)
            self._rules = rules

    def _apply_uplink(self, account: Account) -> None:
        rates = [float(i.tag(UPLINK_TAG) or 0) for i in account.instances if i.state in ALIVE and i.tag(UPLINK_TAG)]
        rate = min(rates, default=None)
        if rate != self._uplink_mbit_per_s:
            self._network.limit_uplink(rate)
            self._uplink_mbit_per_s = rate
            self._say(f"the way to the internet: {'no limit' if rate is None else f'{rate:g} Mbit/s'}")

    # --- file servers ------------------------------------------------------------------------------------

    def _reconcile_file_servers(self, account: Account) -> bool:
        """Returns whether each file system has a server that answers at its mount targets."""
        for system_id in self._file_servers.keys() - {system.file_system_id for system in account.file_systems}:
            self._remove_file_server(system_id)
            self._cpus.pop(system_id)
            self._say(f"{system_id}: deleted")
        match = True
        for system in account.file_systems:
            try:
                self._reconcile_file_server(system)
            except (LabError, OSError) as fault:
                log.error("%s: %s", system.file_system_id, fault)
                match = False
        return match

    def _reconcile_file_server(self, wanted: accounts.FileSystem) -> None:
        system_id = wanted.file_system_id
        server = self._file_servers.get(system_id)
        if server is not None and not server.running:
            self._say(f"{system_id}: it starts again, empty")
            self._remove_file_server(system_id)
            server = None
        if server is None:
            server = self._make_file_server(
                system_id,
                self.console(system_id).parent,
                self._assign_cpu(system_id),
                metrics.of_file_system(wanted, self._file_system_model),
                self._api.publish_minute,
                partial(self._file_server_exited, system_id),
            )
            self._file_servers[system_id] = server
            server.start()
            server.apply_service_model(self._file_system_model)  # which may have changed since it was made
            self._say(f"{system_id}: an NFS server boots behind its mount targets")
        targets = {target.mount_target_id: target for target in wanted.mount_targets}
        for gone in {port.owner_id for port in server.ports} - targets.keys():
            server.unplug(gone)
        for target in targets.values():
            gateway = vpc.gateway_of(target.subnet_cidr)
            server.plug(vpc.Port(target.mount_target_id, target.address, gateway, None, target.groups))

    def _remove_file_server(self, system_id: str) -> None:
        self._file_servers[system_id].remove()
        del self._file_servers[system_id]

    def _file_server_exited(self, system_id: str, _: int) -> None:
        """A process of a file server exited by itself, and its files are lost: reports it at once."""
        self._say(f"{system_id}: a process of it died, and its files with it (console: {self.console(system_id)})")
        self._api.report_file_system_failure(system_id)

    # --- hosts -------------------------------------------------------------------------------------------

    def _remove_host(self, instance_id: str) -> None:
        host = self._hosts[instance_id]
        host.remove()
        del self._hosts[instance_id]
        self._say(f"{host.spec.hostname}: terminated")

    def _reconcile_host(self, instance: Instance) -> bool:
        """Returns whether the host of an instance is as the instance says."""
        try:
            if instance.state in ALIVE:
                return self._run_host(instance)
            if instance.state in STOPPED:
                self._stop_host(instance)
        except (LabError, OSError) as fault:
            log.error("%s: %s", instance.name, fault)
            return False
        return True

    def _run_host(self, instance: Instance) -> bool:
        """Returns whether the host runs with all of its volumes."""
        host = self._hosts.get(instance.instance_id)
        if host is None:
            folder = self.console(instance.instance_id).parent
            host = self._make_host(self._spec(instance), folder, partial(self._host_exited, instance))
            self._hosts[instance.instance_id] = host
        if host.exited:
            host.report_exit()  # the next pass sees the state that this leads to: it may have been started again
            return False
        if not host.running:
            host.start({volume_id: self.disk(volume_id) for volume_id in instance.volumes})
            self._say(f"{instance.name}: booting ({host.spec.hardware.memory_mib} MiB, {instance.address})")
        missing = sorted(instance.volumes - host.attached)
        if missing and host.ready_for_volumes:  # else in a later pass
            for volume_id in missing:
                host.attach(volume_id, self.disk(volume_id))
        for volume_id in sorted(host.attached - instance.volumes):
            host.detach(volume_id)
        return host.attached == instance.volumes

    def _stop_host(self, instance: Instance) -> None:
        forced = self._api.take_forced_stop(instance.instance_id)
        host = self._hosts.get(instance.instance_id)
        if host is None or not host.running:
            return
        if forced:
            host.kill()
            self._say(f"{instance.name}: power cut")
        else:
            host.stop()
            self._say(f"{instance.name}: stopped")

    def _host_exited(self, instance: Instance, exit_code: int) -> None:
        """A host shut itself down, or its kernel died: reports it at once, even during a pass."""
        console = self.console(instance.instance_id)
        reason = exit_reason(exit_code, console.read_text(errors="replace") if console.exists() else "")
        self._say(f"{instance.name}: {reason.text} (console: {console})")
        self._api.report_host_exit(instance.instance_id, reason)

    def _spec(self, instance: Instance) -> HostSpec:
        port = self._ports[instance.instance_id]
        prefix_length = instance.subnet_cidr.split("/")[1]
        authorized_key, user_data = self._api.launch_data(instance)
        return HostSpec(
            hardware=Hardware(
                name=instance.instance_id,
                memory_mib=int(instance.tag(MEMORY_TAG) or DEFAULT_MEMORY_MIB),
                cpu=self._cpus[instance.instance_id],
                interface=vpc.host_interface(port.interface),
                mac=port.mac,
            ),
            hostname=instance.name,
            address=f"{instance.address}/{prefix_length}",
            gateway=port.gateway,
            authorized_key=authorized_key,
            user_data=user_data,
            block_limits=self._block_limits.file,
        )


def least_used(cpus: Collection[int], taken: Collection[int]) -> int:
    """Returns the CPU with the fewest hosts; the lowest if there are several."""
    hosts = Counter(taken)
    return min(cpus, key=lambda cpu: (hosts[cpu], cpu))
