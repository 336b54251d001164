"""From what the API says exists to what runs on this machine, and back again.

Level-triggered: each pass compares the whole account with the whole machine and does what is missing. A pass may
be cut short anywhere; the next one goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from lab import account as accounts
from lab import metrics, vpc
from lab.account import Account, Instance, authorized_key, read_account, read_file_systems, user_data
from lab.clients import Clients
from lab.errors import LabError
from lab.file_server import FileServer
from lab.host import Host, HostSpec
from lab.instance_end import BOOT_LINE, end_reason, tell_file_system_ended, tell_instance_ended
from lab.kernel.boot import BootFiles
from lab.process_end import ProcessEnds
from lab.service_model import ServiceModel

DEFAULT_MEMORY_MIB = 512
MEMORY_TAG = "memory-limit-mib"
"""The tag by which a host says what its kernel argument limits it to. A rehearsal host boots with just that."""
UPLINK_TAG = "uplink-mbit-per-s"
"""The tag by which a host says how fast its way to the internet is. Several share one; the least counts."""
GIB = 1024**3
VOLUMES = "volumes"
"""The folder of the volumes' files, in the region's own."""
ALIVE = frozenset({"pending", "running"})

log = logging.getLogger("lab.reconcile")


class Reconciler:
    """Owns the hosts, file systems, interfaces, disks and rules of one AWS region."""

    def __init__(
        self,
        clients: Clients,
        files: BootFiles,
        folder: Path,
        forced_stops: set[str],
        say: Callable[[str], None],
        wake: Callable[[], None],
    ) -> None:
        """`wake` is called when another pass is due, since something ended by itself."""
        self._clients = clients
        self._ec2 = clients.ec2
        self._files = files
        self._folder = folder
        self._forced_stops = forced_stops
        self._say = say
        self._wake = wake
        self._ends = ProcessEnds()
        self._hosts: dict[str, Host] = {}
        self._ports: dict[str, vpc.Port] = {}
        self._file_systems: dict[str, FileServer] = {}
        self._model: ServiceModel | None = None
        self._cpus: dict[str, int] = {}  # instance or file system -> the CPU that its kernel runs on
        self._rules: str | None = None
        self._uplink_mbit_per_s: float | None = None

    def disk(self, volume_id: str) -> Path:
        return self._folder / VOLUMES / volume_id

    def console(self, instance_id: str) -> Path:
        return self._folder / "hosts" / instance_id / "console.log"

    def reconcile(self) -> bool:
        """One pass; whether the machine is as the account says. What fails is logged and tried again at the next."""
        account = read_account(self._ec2)
        by_id = {instance.instance_id: instance for instance in account.instances}
        self._make_disks(account)
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(
                pool.map(
                    self._settle_gone,
                    [i for i in self._hosts if i not in by_id or by_id[i].state == "terminated"],
                )
            )
            for instance_id in [i for i in self._ports if i not in self._hosts]:
                vpc.unplug(self._ports.pop(instance_id))
                self._cpus.pop(instance_id, None)
            file_systems = self._settle_file_systems(read_file_systems(self._clients.efs, self._ec2))
            for instance in account.instances:
                if instance.state in ALIVE:
                    self._plug(instance)
            self._apply_rules(account)
            self._apply_uplink(account)
            settled = list(pool.map(self._settle, account.instances))
        self._delete_disks(account)
        return all(settled) and file_systems

    def close(self) -> None:
        """Kill every host. Interfaces go with the namespace, files with the region's folder."""
        for host in self._hosts.values():
            self._ends.expect(host.process)
            host.remove()
        for system in self._file_systems.values():
            self._remove(system)

    def apply_service_model(self, model: ServiceModel | None) -> None:
        """Let every file system, those to come too, follow this service model."""
        self._model = model
        for system in self._file_systems.values():
            system.apply_service_model(model)

    def states(self) -> list[dict[str, object]]:
        """What runs here, for `lab status`."""
        return [
            {
                "id": instance_id,
                "name": host.spec.hostname,
                "address": host.spec.address,
                "pid": host.pid,
                "volumes": sorted(host.attached),
                "console": str(host.console),
            }
            for instance_id, host in self._hosts.items()
        ]

    def _make_disks(self, account: Account) -> None:
        for volume_id, size_gib in account.volumes.items():
            path = self.disk(volume_id)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)
            if path.stat().st_size < size_gib * GIB:
                os.truncate(path, size_gib * GIB)  # sparse: a fresh EBS volume reads as zero, and so does a hole

    def _delete_disks(self, account: Account) -> None:
        in_use = {volume_id for host in self._hosts.values() for volume_id in host.attached}
        for path in (self._folder / VOLUMES).glob("vol-*"):
            if path.name not in account.volumes and path.name not in in_use:
                path.unlink()

    def _plug(self, instance: Instance) -> None:
        port = vpc.Port(
            instance.instance_id,
            instance.address,
            vpc.gateway_of(instance.subnet_cidr),
            instance.public_address,
            instance.groups,
        )
        if instance.instance_id not in self._ports:
            vpc.plug(port)
            self._cpus[instance.instance_id] = least_used(os.sched_getaffinity(0), self._cpus.values())
        self._ports[instance.instance_id] = port

    def _apply_rules(self, account: Account) -> None:
        ports = [*self._ports.values(), *(port for system in self._file_systems.values() for port in system.ports)]
        rules = vpc.render_rules(ports, account.groups)
        if rules != self._rules:
            vpc.apply_rules(ports, account.groups)
            self._rules = rules

    def _apply_uplink(self, account: Account) -> None:
        rates = [float(i.tag(UPLINK_TAG) or 0) for i in account.instances if i.state in ALIVE and i.tag(UPLINK_TAG)]
        rate = min(rates, default=None)
        if rate != self._uplink_mbit_per_s:
            vpc.limit_uplink(rate)
            self._uplink_mbit_per_s = rate
            self._say(f"the way to the internet: {'as fast as it goes' if rate is None else f'{rate:g} Mbit/s'}")

    def _settle_file_systems(self, wanted: tuple[accounts.FileSystem, ...]) -> bool:
        """Whether each file system runs and answers at its mount targets."""
        for system_id in self._file_systems.keys() - {system.file_system_id for system in wanted}:
            self._remove(self._file_systems.pop(system_id))
            self._cpus.pop(system_id)
            self._say(f"{system_id}: deleted")
        settled = True
        for system in wanted:
            try:
                self._settle_file_system(system)
            except (LabError, OSError) as fault:
                log.error("%s: %s", system.file_system_id, fault)
                settled = False
        return settled

    def _settle_file_system(self, wanted: accounts.FileSystem) -> None:
        system_id = wanted.file_system_id
        system = self._file_systems.get(system_id)
        if system is not None and not system.running:
            self._say(f"{system_id}: it starts anew, empty")
            self._remove(self._file_systems.pop(system_id))
            system = None
        if system is None:
            self._cpus.setdefault(system_id, least_used(os.sched_getaffinity(0), self._cpus.values()))
            folder = self.console(system_id).parent
            counted = metrics.of_file_system(wanted, self._model)
            system = FileServer(system_id, self._files, folder, self._cpus[system_id], counted, self._publish)
            self._file_systems[system_id] = system
            try:
                system.start()
            finally:
                for process in system.processes:
                    take_first_when_memory_runs_out(process.pid)
                    self._ends.watch(process, partial(self._file_system_ended, system))
            self._say(f"{system_id}: an NFS server boots behind its mount targets")
        targets = {target.mount_target_id: target for target in wanted.mount_targets}
        for gone in {port.instance_id for port in system.ports} - targets.keys():
            system.unplug(gone)
        for target in targets.values():
            gateway = vpc.gateway_of(target.subnet_cidr)
            system.plug(vpc.Port(target.mount_target_id, target.address, gateway, None, target.groups))

    def _publish(self, system_id: str, minute_unix_s: int, statistics: Mapping[str, metrics.Statistics]) -> None:
        """A minute of a file system goes to CloudWatch."""
        try:
            metrics.publish(self._clients.cloudwatch, system_id, minute_unix_s, statistics)
        except (ClientError, BotoCoreError) as fault:
            log.error("%s: a minute was not published: %s", system_id, fault)

    def _file_system_ended(self, system: FileServer, _: int) -> None:
        """A process of it ended by itself: what was in it is lost, and the API must learn of it at once."""
        self._say(f"{system.file_system_id}: a process of it died, and its files with it (console: {system.console})")
        tell_file_system_ended(self._clients.region, system.file_system_id)
        self._wake()

    def _remove(self, system: FileServer) -> None:
        for process in system.processes:
            self._ends.expect(process)
        system.remove()

    def _host_ended(self, host: Host, exit_code: int) -> None:
        """It shut itself down, or its kernel died. The API learns of it at once, whatever a pass is busy with."""
        console = host.console.read_text(errors="replace") if host.console.exists() else ""
        reason = end_reason(exit_code, console)
        self._say(f"{host.spec.hostname}: {reason.words} (console: {host.console})")
        tell_instance_ended(self._clients.region, host.spec.instance_id, reason)
        self._wake()

    def _settle_gone(self, instance_id: str) -> None:
        host = self._hosts.pop(instance_id)
        self._say(f"{host.spec.hostname}: terminated")
        self._ends.expect(host.process)
        host.remove()

    def _settle(self, instance: Instance) -> bool:
        try:
            if instance.state in ALIVE:
                return self._settle_alive(instance)
            if instance.state in ("stopping", "stopped"):
                self._settle_stopped(instance)
        except (LabError, OSError) as fault:
            log.error("%s: %s", instance.name, fault)
            return False
        return True

    def _settle_alive(self, instance: Instance) -> bool:
        """Whether the host runs with all of its volumes."""
        host = self._hosts.get(instance.instance_id)
        if host is None:
            host = Host(self._spec(instance), self._files, self.console(instance.instance_id).parent)
            self._hosts[instance.instance_id] = host
        if host.process is not None and host.ended:
            self._ends.settle(host.process)  # the next pass sees what the API says then: it may have been started again
            host.kill()
            return False
        if not host.running:
            began = time.monotonic()
            with host.console.open("a") as console:
                console.write(f"\n{BOOT_LINE}\n")
            try:
                host.start({volume_id: self.disk(volume_id) for volume_id in instance.volumes})
            finally:
                if host.process is not None:
                    take_first_when_memory_runs_out(host.process.pid)
                    self._ends.watch(host.process, partial(self._host_ended, host))
            log.info("%s: kernel started in %.2f s", instance.name, time.monotonic() - began)
            self._say(f"{instance.name}: booting ({host.spec.memory_mib} MiB, {instance.address})")
        missing = sorted(instance.volumes - host.attached)
        for volume_id in missing if missing and host.ready_for_volumes else []:  # else at a later pass
            host.attach(volume_id, self.disk(volume_id))
        for volume_id in sorted(host.attached - instance.volumes):
            host.detach(volume_id)
        return host.attached == instance.volumes

    def _settle_stopped(self, instance: Instance) -> None:
        forced = instance.instance_id in self._forced_stops
        self._forced_stops.discard(instance.instance_id)
        host = self._hosts.get(instance.instance_id)
        if host is None or not host.running:
            return
        self._ends.expect(host.process)
        if forced:
            host.kill()
            self._say(f"{instance.name}: power cut")
        else:
            host.stop()
            self._say(f"{instance.name}: stopped")

    def _spec(self, instance: Instance) -> HostSpec:
        port = self._ports[instance.instance_id]
        prefix_length = instance.subnet_cidr.split("/")[1]
        return HostSpec(
            instance_id=instance.instance_id,
            hostname=instance.name,
            interface=vpc.host_interface(port.interface),
            mac=port.mac,
            address=f"{instance.address}/{prefix_length}",
            gateway=port.gateway,
            mtu=vpc.VPC_MTU_BYTES,
            memory_mib=int(instance.tag(MEMORY_TAG) or DEFAULT_MEMORY_MIB),
            cpu=self._cpus[instance.instance_id],
            authorized_key=authorized_key(self._ec2, instance.key_name),
            user_data=user_data(self._ec2, instance.instance_id),
        )


def least_used(cpus: Iterable[int], taken: Iterable[int]) -> int:
    """The CPU with the fewest hosts, the lowest of several."""
    hosts = Counter(taken)
    return min(cpus, key=lambda cpu: (hosts[cpu], cpu))


def take_first_when_memory_runs_out(pid: int) -> None:
    """Let the kernel take this process before the region, which would take all others with it (proc(5),
    oom_score_adj).
    """
    with contextlib.suppress(OSError):  # it has ended
        Path(f"/proc/{pid}/oom_score_adj").write_text("500")
