"""The first-boot script of a host."""

from __future__ import annotations

from pathlib import Path

SCRIPT = Path(__file__).with_name("first-boot.sh")


def first_boot_script(*, lifetime_hours: int, memory_limit_mib: int | None) -> str:
    """Returns the script with its values filled in; None for no limit of memory.

    The values are whole numbers, so nothing needs quoting. No secret belongs there: every user who may describe the
    instance can read its user data.
    """
    values = {
        "@LIFETIME_HOURS@": str(int(lifetime_hours)),
        "@MEMORY_LIMIT_MIB@": "" if memory_limit_mib is None else str(int(memory_limit_mib)),
    }
    script = SCRIPT.read_text(encoding="ascii")
    for mark, value in values.items():
        if script.count(mark) != 1:
            raise ValueError(f"{SCRIPT.name} must have {mark} in it once")
        script = script.replace(mark, value)
    return script
