"""The disk under the volume: attached through iscsi-tunnel, and given back when nobody is left to do it."""

from __future__ import annotations

import shlex
from dataclasses import replace

from workloads.connectors.script import END_OF_SCRIPT, Script
from workloads.encrypted_backup.context import Context, script
from workloads.iscsi_tunnel import attachment, ends


def attach(context: Context) -> None:
    """Attaches the server's disk to the client; `context.device` is its stable name there."""
    attached = attachment.attach(context.ends, limit_seconds=context.limit_seconds)
    context.device = attached.device
    context.record("attached", size_bytes=attached.size_bytes, tun=attached.tun, mtu_bytes=attached.mtu_bytes)


def detach(context: Context) -> None:
    """Takes disk and tunnel away from the client, which is proved; nothing there is well."""
    attachment.detach(context.ends)


def keeper(context: Context) -> Script:
    """The script that releases the volume and detaches the disk on the client, should the run be no more."""
    # A second last line would be taken for the end of the whole, which is read line by line.
    detaching = ends.script("client_detach").text.rstrip().removesuffix(END_OF_SCRIPT)
    function = (
        f"detach() {{\nbash -s -- {shlex.quote(context.ends.iqn)} << 'END_OF_DETACH'\n{detaching}\nEND_OF_DETACH\n}}"
    )
    keeping = script("client_keeper")
    return replace(keeping, text=keeping.text.replace("@DETACH@", function))
