"""eip-region: its summary, and its page in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from report.claims import Claim
from report.eip_region.figures import moves_plot
from report.eip_region.moves import read_moves, remap_of
from report.eip_region.schema import SCHEMA, Attempts, MoveFigures, Refusal, Summary
from report.eip_region.tables import PROOFS, distribution_table, moves_table, refusal_table
from report.format import MISSING, figure, seconds, unbreakable
from report.page import Block, Html, KeyFigure, Page, Section
from report.proofs import proofs_table, read_proofs
from report.records import Record, objects, read_as
from report.runs import Manifest, Run
from report.summary import run_fields
from report.table import Missing
from report.topology import NO_INVENTORY, Box, Layer, host_box, hosts_table, joined, layers, named_hosts

QUESTION = "Can an Elastic IP leave its region, and what does a client see when it moves across the zones of it?"
NOT_FOUND = "InvalidAllocationID.NotFound"
ASSOCIATED = "associated"


@dataclass(frozen=True)
class _Attempt:
    allocation_id: str
    allocation_region: str
    asked_region: str
    age_s: float
    code: str | None  # of a refusal


def summarize(run: Run) -> Summary:
    refusal = _refusal(run)
    moves, connections = read_moves(run)
    return Summary(
        **run_fields(run, SCHEMA),
        refusal=refusal,
        remap=remap_of(moves),
        moves=moves,
        connections=connections,
        proofs=read_proofs(run),
        problems=list(run.problems),
    )


def _refusal(run: Run) -> Refusal:
    """Returns how the API answered for an allocation of another region and for one of its own, in the run's last proof
    (raw/associations.ndjson).
    """
    unknown = "no address of another region was asked for"
    attempts = run.read("associations", partial(read_as, _Attempt)) if run.has_stream("associations", unknown) else []
    foreign = _last([each for each in attempts if each.allocation_region != each.asked_region])
    own = _last([each for each in attempts if each.allocation_region == each.asked_region])
    return Refusal(
        asked_region=run.manifest.region,
        foreign=foreign,
        own=own,
        refused=None if foreign is None else foreign.codes == [NOT_FOUND],
        associations=None if foreign is None else foreign.codes.count(ASSOCIATED),
        own_associated=None if own is None else own.codes[-1] == ASSOCIATED,
    )


def _last(attempts: list[_Attempt]) -> Attempts | None:
    """Returns the attempts with the newest allocation."""
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


def page(manifest: Manifest, summary: Summary, _: Sequence[Claim] = ()) -> Page:
    moves: list[Block] = [moves_plot(summary) or Missing("No move was recorded.")]
    moves += [distribution_table(summary.remap), moves_table(summary.moves)] if summary.moves else []
    refused: Block = Missing("No address of another region was asked for.")
    if summary.refusal.foreign is not None:
        refused = refusal_table(summary.refusal)
    where: list[Block] = [
        _topology(manifest.inventory, manifest.region, summary.moves),
        hosts_table(manifest.inventory, "The limits are set at boot."),
    ]
    sections = [
        Section("topology", "What ran where", where),
        Section("refusal", "Outside its region", [refused, proofs_table(summary.proofs, PROOFS)]),
        Section("moves", "Across zones", moves),
    ]
    return Page(QUESTION, _key_figures(summary), sections, summary.problems)


def _key_figures(summary: Summary) -> list[KeyFigure]:
    remap = summary.remap
    return [
        KeyFigure("refused outside its region", figure(summary.refusal.refused)),
        KeyFigure("moves across zones", f"{remap.across_zones} of {remap.moves}"),
        KeyFigure("interruption for TCP, median", seconds(remap.tcp_interruption_s.median)),
        KeyFigure("interruption for SSH, median", seconds(remap.interruption_s.median)),
        KeyFigure("interruption for SSH, longest", seconds(remap.interruption_s.max)),
        KeyFigure("the API's answer, median", seconds(remap.api_answered_s.median)),
        KeyFigure("connections that nobody answered", figure(remap.unanswered)),
    ]


def _topology(inventory: Record, region: str, moves: Sequence[MoveFigures]) -> Html | Missing:
    hosts = named_hosts(inventory)
    if not hosts:
        return NO_INVENTORY
    address = next(iter(objects(inventory, "elastic_ips")), {})
    source = "allocated by the stack" if address.get("allocated") is True else "given to the stack"
    name = unbreakable(str(address.get("address") or MISSING))
    return layers(
        "The address and the hosts that have it in turn",
        [
            Layer([Box("who connects", "outside the region, new connections to port 22")]),
            Layer(
                [Box(name, joined(address.get("id") or MISSING, source, region), "array")],
                f"moved {len(moves)} times" if moves else "not moved",
            ),
            Layer([host_box(host, kind="server") for host in hosts]),
        ],
    )
