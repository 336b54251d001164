"""raw/associations.ndjson: how the API answered for an allocation of another region, and for one of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from report.eip_region.schema import Attempts, Refusal
from report.records import read_as
from report.runs import Run

NOT_FOUND = "InvalidAllocationID.NotFound"
ASSOCIATED = "associated"


@dataclass(frozen=True)
class _Attempt:
    allocation_id: str
    allocation_region: str
    asked_region: str
    age_s: float
    code: str | None  # of a refusal


def read_refusal(run: Run) -> Refusal:
    """Of the run's last proof, where there are several."""
    unknown = "no address of another region was asked for"
    attempts = run.read("associations", partial(read_as, _Attempt)) if run.has_stream("associations", unknown) else []
    asked = run.manifest.region
    foreign = _last([each for each in attempts if each.allocation_region != each.asked_region])
    own = _last([each for each in attempts if each.allocation_region == each.asked_region])
    made = None if foreign is None else foreign.codes.count(ASSOCIATED)
    return Refusal(
        asked_region=asked,
        foreign=foreign,
        own=own,
        refused=None if foreign is None else foreign.codes == [NOT_FOUND],
        associations=made,
        own_associated=None if own is None else own.codes[-1] == ASSOCIATED,
    )


def _last(attempts: list[_Attempt]) -> Attempts | None:
    """The attempts with the newest allocation."""
    if not attempts:
        return None
    newest = attempts[-1].allocation_id
    with_newest = [each for each in attempts if each.allocation_id == newest]
    foreign = attempts[-1].allocation_region != attempts[-1].asked_region
    return Attempts(
        allocation_id=newest,
        allocation_region=attempts[-1].allocation_region,
        attempts=len(with_newest),
        codes=list(dict.fromkeys(each.code or ASSOCIATED for each in with_newest)),
        oldest_age_s=max(each.age_s for each in with_newest) if foreign else None,
    )
