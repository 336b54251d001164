"""service-model.json of a rehearsal: the rates that its volumes and links are held to, at its scale."""

from __future__ import annotations

from dataclasses import dataclass

from report.known_answers import positive_or_none, read_model_file
from report.missing import divided
from report.records import Record, RecordError, number, number_or_none, text
from report.runs import Run


@dataclass(frozen=True)
class InstanceRates:
    """Of one instance; None is no limit."""

    network_bytes_per_s: float | None
    ebs_bytes_per_s: float | None


@dataclass(frozen=True)
class VolumeRates:
    """Of one volume; None is no limit. A larger request than `op_bytes` counts as several operations."""

    bytes_per_s: float | None
    ops_per_s: float | None
    op_bytes: float | None

    def bytes_per_s_of(self, request_bytes: int) -> float | None:
        """Returns the bytes per second of requests of one size, by whichever limit is lower."""
        by_operations = None
        if self.ops_per_s is not None:
            operations = -(-request_bytes // int(self.op_bytes)) if self.op_bytes else 1
            by_operations = self.ops_per_s / operations * request_bytes
        known = [rate for rate in (self.bytes_per_s, by_operations) if rate is not None]
        return min(known, default=None)


@dataclass(frozen=True)
class ServiceModel:
    """By type. A type that is absent has no limit."""

    name: str
    instances: dict[str, InstanceRates]
    volumes: dict[str, VolumeRates]


def read_service_model(run: Run) -> ServiceModel | None:
    """Reads the service model; None if there is none, or if it cannot be read, which is a problem of the run."""
    return read_model_file(run, _model, " can't be read")


def _model(document: Record) -> ServiceModel:
    scale = number(document, "scale")
    if scale <= 0:
        raise RecordError(f"scale must be above 0, not {scale!r}")
    return ServiceModel(
        name=text(document, "name"),
        instances={
            text(each, "type"): InstanceRates(**_scaled(each, scale, "network_bytes_per_s", "ebs_bytes_per_s"))
            for each in _tables(document, "instance")
        },
        volumes={
            text(each, "type"): VolumeRates(
                **_scaled(each, scale, "bytes_per_s", "ops_per_s"), op_bytes=number_or_none(each, "op_bytes")
            )
            for each in _tables(document, "volume")
        },
    )


def _tables(document: Record, key: str) -> list[Record]:
    tables = document.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise RecordError(f"{key} must be a list of objects")
    return tables


def _scaled(document: Record, scale: float, *keys: str) -> dict[str, float | None]:
    return {key: divided(positive_or_none(document, key), scale) for key in keys}
