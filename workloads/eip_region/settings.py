"""The experiment's constants, each with its reason."""

from __future__ import annotations

from pathlib import Path

EXPERIMENT = "eip-region"
SCRIPTS = Path(__file__).parent / "scripts"
PLANS = Path(__file__).parent / "plans"

NOT_FOUND = "InvalidAllocationID.NotFound"
"""What EC2 answers for an allocation that is not of the region that is asked, and for one that it does not know yet."""

FOREIGN_REGIONS = ("us-east-1", "us-west-2")
"""Where the throw-away allocation is made: the first that is not the stack's own. Every account has both enabled."""
THROW_AWAY = "eip-region-throw-away"
"""The name, as a tag, of what is released whatever happens."""

API_POLL_SECONDS = 0.2
"""Between two DescribeAddresses: five a second is far below EC2's limits on describing calls."""
KNOWN_SECONDS = 30
"""EC2's API is eventually consistent ("Ensure idempotency and eventual consistency", EC2 API Reference): so long an
allocation may be unknown though it is there.
"""
SSH_PORT = 22
