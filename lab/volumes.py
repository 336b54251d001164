"""EBS volumes of the region's API, where moto's differ from those of EC2.

Refused: attaching a volume that is attached, at a device name that is taken, or to an instance that has ended
(AttachVolume, and "Error codes for the Amazon EC2 API"). moto allows all of it, and so hid a deployment that attaches a
volume to a new server before it has left the old one.
"""

from __future__ import annotations

import functools
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_block_store import EBSBackend

_moto_attach = EBSBackend.attach_volume
_ATTACHABLE = frozenset({"running", "stopped", "stopping"})


def volumes_like_ec2() -> None:
    """Change moto's class; a second time changes nothing."""
    EBSBackend.attach_volume = _attach  # type: ignore[method-assign]  # moto has no hook for it


@functools.wraps(_moto_attach)
def _attach(self: Any, volume_id: str, instance_id: str, device_path: str, *arguments: Any, **named: Any) -> Any:
    volume, instance = self.get_volume(volume_id), self.get_instance(instance_id)
    if volume.attachment is not None:
        raise EC2ClientError("VolumeInUse", f"{volume_id} is already attached to an instance")
    if instance._state.name not in _ATTACHABLE:
        raise EC2ClientError("IncorrectState", f"Instance '{instance_id}' is not 'running'.")
    if device_path in instance.block_device_mapping:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Invalid value '{device_path}' for unixDevice. Attachment point {device_path} is already in use",
        )
    return _moto_attach(self, volume_id, instance_id, device_path, *arguments, **named)
