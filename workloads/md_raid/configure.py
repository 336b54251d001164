"""Brings the hosts to the state that the experiment needs, in named steps.

Each step looks first and changes only what differs, so a run may be stopped anywhere and started again. A second run
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from workloads.console import si_bytes
from workloads.deployment import Step, install_packages, run_steps
from workloads.iscsi import device_unit
from workloads.md_raid.arrays import assemble_mirrors, check_zeroed, create_mirrors, make_stripe, return_legs
from workloads.md_raid.context import Context, script
from workloads.md_raid.topology import LEG_GIB, STRIPE, leg_path

ARRAY_BYTES_AT_LEAST = 75 * 10**9
NETWORK_UNIT = "network-online.target"
"""The unit after which the portals' addresses are up."""

# These decide how long reads stall when a server dies: the initiator pings each target every noop_out_interval seconds,
# gives it noop_out_timeout to answer, and fails the pending requests after replacement_timeout more; then md reads from
# another leg. Measured for 120/5/5 (replacement, interval, timeout; open-iscsi's defaults) 132 s, for 5/5/5 15.2 s, for
# 1/1/2 4.2 s. Short limits cost little: a leg that is dropped by mistake is rebuilt from the bitmap.
SESSION_SETTINGS = (
    "node.startup=automatic",
    "node.session.timeo.replacement_timeout=1",
    "node.conn[0].timeo.noop_out_interval=1",
    "node.conn[0].timeo.noop_out_timeout=2",
)

PACKAGES = {
    "storage": ("lvm2", "targetcli-fb"),
    "client": ("mdadm", "open-iscsi"),
}
MODULES = {
    "storage": ("dm_mod", "target_core_mod", "target_core_iblock", "iscsi_target_mod"),
    "client": ("iscsi_tcp", "sd_mod", "raid0", "raid1", "raid10"),
}


def configure(context: Context, at_boundary: Callable[[str], None] | None = None) -> int:
    """Runs all steps; returns the number of changes. `at_boundary` gets the name of each step that has ended."""
    return run_steps(context, [Step(name, partial(body, context)) for name, body in STEPS.items()], at_boundary)


def configure_and_record(context: Context) -> None:
    """Runs all steps, and records the arrays."""
    configure(context)
    context.record_arrays("configured")


def bring_packages(context: Context) -> int:
    """Installs packages and loads kernel modules on all hosts at once."""
    needed = {host.name: (PACKAGES[host.role], MODULES[host.role]) for host in context.topology.hosts}
    return install_packages(context, script("host_packages"), needed)


def name_initiator(context: Context) -> int:
    """Sets the client's initiator name, and what happens at its boot; before the targets, whose ACLs hold the name."""
    topology = context.topology
    return context.on_client("client_initiator", [topology.initiator, *topology.array_names]).changed


def make_volumes(context: Context) -> int:
    """Makes a volume group and a logical volume on each EBS volume."""
    arguments = {
        server.name: [str(LEG_GIB), *(f"{volume.id}={volume.device}" for volume in server.volumes)]
        for server in context.topology.servers
    }
    results = context.hosts.run(script("storage_volumes"), arguments)
    return sum(result.changed for result in results.values())


def export_targets(context: Context) -> int:
    """Exports each leg as an iSCSI target."""
    arguments = {}
    for server in context.topology.servers:
        legs = {leg: leg_path(leg.volume) for leg in context.topology.legs_of(server.name)}
        arguments[server.name] = [
            server.private_address,
            context.topology.initiator,
            "",  # the kernel's parameters, as the original had them
            " ".join([NETWORK_UNIT, *map(device_unit, legs.values())]),
            *(f"{leg.iqn}={leg.volume}={path}" for leg, path in legs.items()),
        ]
    results = context.hosts.run(script("iscsi_targets"), arguments)
    return sum(result.changed for result in results.values())


def log_in(context: Context) -> int:
    """Logs in to every target, and waits for its disk."""
    pairs = [f"{leg.iqn}={leg.address}" for leg in context.topology.legs]
    return context.on_client("client_sessions", [*SESSION_SETTINGS, "--", *pairs]).changed


def list_arrays(context: Context) -> int:
    """Lists the arrays for the next boot, and describes them."""
    state = context.client_state()
    missing = [name for name in context.topology.array_names if name not in state.arrays]
    if missing:
        raise context.client_error(f"{', '.join(missing)} not running", "run configure again")
    size = state.arrays[STRIPE].size_bytes or 0
    expected = ARRAY_BYTES_AT_LEAST * len(context.topology.mirrors) // 5
    if size < expected:
        raise context.client_error(
            f"/dev/{STRIPE} has {size} bytes, fewer than {expected}",
            "deploy fresh volumes: its mirrors were made smaller",
        )
    changed = list_boot_arrays(context)
    mirrors, legs, disks = map(len, (context.topology.mirrors, context.topology.servers, context.topology.legs))
    words = f"RAID-0 over {mirrors} mirrors of {legs} legs, {disks} iSCSI disks"
    context.console.say("arrays", f"{STRIPE} {si_bytes(size)}: {words}")
    return changed


def list_boot_arrays(context: Context) -> int:
    """Lists the arrays in mdadm's configuration, by their present UUIDs."""
    arrays = context.client_state().arrays
    uuids = [f"{name}={arrays[name].uuid}" for name in context.topology.array_names]
    return context.on_client("client_arrays_file", uuids).changed


STEPS: dict[str, Callable[[Context], int]] = {
    "packages": bring_packages,
    "initiator": name_initiator,
    "volumes": make_volumes,
    "targets": export_targets,
    "sessions": log_in,
    "mirrors assembled": assemble_mirrors,
    "legs zeroed": check_zeroed,
    "mirrors created": create_mirrors,
    "legs returned": return_legs,
    "stripe": make_stripe,
    "boot": list_arrays,
}
