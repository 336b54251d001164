"""Writes figures and paths for people. A missing figure is a dash, never 0."""

from __future__ import annotations

from pathlib import Path

MISSING = "\u2013"


def figure(value: float | str | bool | None, digits: int = 3) -> str:
    """Writes three significant digits, or all digits before the point: 0.0123, 1.23, 12.3, 123, 12 345."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if value == 0:
        return "0"
    if isinstance(value, int) or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.{digits}g}"


def percent(ratio: float | None) -> str:
    return MISSING if ratio is None else f"{ratio * 100:.0f} %"


def formatted(value: float | None, layout: str) -> str:
    """Writes a figure by a layout of str.format, such as "{:.3f} s"."""
    return MISSING if value is None else layout.format(value)


def ratio(value: float | None) -> str:
    return formatted(value, "{:.2f}")


def seconds(value: float | None) -> str:
    if value is None:
        return MISSING
    if value >= 120:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes} min {rest:02d} s"
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def latency_us(value: float | None) -> str:
    """Writes a latency in microseconds, milliseconds or seconds."""
    if value is None:
        return MISSING
    if value < 1000:
        return f"{figure(value)} µs"
    if value < 1_000_000:
        return f"{figure(value / 1000)} ms"
    return f"{figure(value / 1e6)} s"


def milliseconds(value_us: float | None) -> str:
    """Writes a latency in milliseconds, without the unit."""
    return figure(None if value_us is None else value_us / 1000)


def size_bytes(value: float | None) -> str:
    if value is None:
        return MISSING
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{figure(value)} {unit}"
        value /= 1024
    return f"{figure(value)} TiB"


def moment(iso: str | None) -> str:
    """Writes 2026-11-23T12:00:00Z as 2026-11-23 12:00:00 UTC."""
    if iso is None:
        return MISSING
    text = iso.replace("T", " ")
    return f"{text[:-1]} UTC" if text.endswith("Z") else text


def from_here(path: Path) -> str:
    """Writes a path relative to the working directory if it lies below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def unbreakable(text: str) -> str:
    """Returns the text with hyphens at which a browser breaks no line."""
    return text.replace("-", "\u2011")
