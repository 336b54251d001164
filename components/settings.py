"""Reading a stack's settings: typed, with every fault collected as one line instead of stopping at the first.

A line has the form `FILE: KEY: what is wrong; what is allowed or what to do`.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pulumi.runtime

NONE = "none"
"""What a setting that can be switched off is set to, for example `tidemark:cpuLimit: none`."""

# Decimal, as everybody reads them alike: a leading zero is octal in YAML 1.1, and Python's own conversion takes 1_0 and
# the digits of every script. The longest has more digits than any limit here, and fewer than int() refuses.
_WHOLE_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,99})")
_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,100})?")
_LONGEST_QUOTED = 40


class ValidationError(ValueError):
    """A stack that cannot be created as it is configured. Its text has one line for each fault."""

    def __init__(self, problems: Collection[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass
class Settings:
    """The configuration of one stack, all namespaces: `raw` maps `tidemark:sshCidr` to its text.

    Each reading method returns a value of its type always; when the setting is missing or malformed it notes
    the fault, and returns a stand-in. A later check that depends on settings asks `good(...)` for them first,
    so that one fault is told once. `finish` raises before any stand-in can be used.
    """

    raw: Mapping[str, str]
    stack: str
    problems: list[str] = field(default_factory=list)
    _bad: set[str] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)

    @property
    def file(self) -> str:
        """The stack file, as it is found from the project's directory (stackConfigDir in Pulumi.yaml)."""
        return f"stacks/Pulumi.{self.stack}.yaml"

    def refuse(self, key: str, fault: str, remedy: str) -> None:
        """Note a fault of this setting."""
        self._bad.add(key)
        # Whatever was quoted from the file, a fault stays one line.
        self.problems.append(" ".join(f"{self.file}: {key}: {fault}; {remedy}".split()))

    def good(self, *keys: str) -> bool:
        """Whether nothing has been found wrong with any of these settings so far."""
        return self._bad.isdisjoint(keys)

    def finish(self) -> None:
        """Raise ValidationError if anything was found wrong."""
        if self.problems:
            raise ValidationError(self.problems)

    def optional_text(self, key: str) -> str | None:
        """The setting as text without surrounding blanks; None when it is absent. An empty one is a fault."""
        self._known.add(key)
        if key not in self.raw:
            return None
        text = self.raw[key].strip()
        if not text:
            self.refuse(key, "empty", "give it a value or remove the line")
            return None
        return text

    def text(self, key: str, example: str) -> str:
        """A setting that must be there. `example` is what the message proposes."""
        text = self.optional_text(key)
        if text is not None:
            return text
        if self.good(key):
            self.refuse(key, "missing", f"set it: pulumi config set {key} {example} -s {self.stack}")
        return example

    def text_or(self, key: str, default: str) -> str:
        """A setting that may be absent: then it is the default."""
        return self.optional_text(key) or default

    def text_or_none(self, key: str) -> str | None:
        """A setting that may be absent, or the word none: then it is None."""
        text = self.optional_text(key)
        return None if text == NONE else text

    def choice(self, key: str, allowed: Collection[str], example: str, *, default: str | None = None) -> str:
        """A setting that is one of some words. Absent is the default, where there is one."""
        text = self.text(key, example) if default is None else self.text_or(key, default)
        if self.good(key) and text not in allowed:
            self.refuse(key, f"there is no {text}", f"choose one of {', '.join(allowed)}")
        return text

    def integer(self, key: str, low: int, high: int, *, default: int | None = None, example: int) -> int:
        """A whole number within bounds, both included."""
        text = self.optional_text(key) if default is not None else self.text(key, str(example))
        if text is None or not self.good(key):
            return example if default is None else default
        return self._whole_number(key, text, low, high, example, _range(low, high))

    def integer_or_none(self, key: str, low: int, high: int, *, default: int | None, example: int) -> int | None:
        """A whole number within bounds, or the word none. Absent is the default."""
        text = self.optional_text(key)
        if text is None:
            return default
        if text == NONE:
            return None
        number = self._whole_number(key, text, low, high, example, f"{_range(low, high)}, or {NONE}")
        return number if self.good(key) else default

    def _whole_number(self, key: str, text: str, low: int, high: int, example: int, allowed: str) -> int:
        if not _WHOLE_NUMBER.fullmatch(text):
            # 010, 1_0, ten in Arabic digits: a number to somebody, so it is said what is missing.
            form = " in plain digits" if any(character.isdigit() for character in text) else ""
            self.refuse(key, f"{_cut(text)} is not a whole number{form}", allowed)
            return example
        number = int(text)
        if not low <= number <= high:
            self.refuse(key, f"{_cut(text)} is out of range", allowed)
        return number

    def amount_or_none(self, key: str) -> float | None:
        """A positive amount of money. Absent, or the word none, is None: no limit."""
        text = self.optional_text(key)
        if text is None or text == NONE:
            return None
        amount = float(text) if _AMOUNT.fullmatch(text) else math.nan
        if not amount > 0:
            self.refuse(key, f"{_cut(text)} is not a positive amount", f"give dollars an hour, such as 10, or {NONE}")
            return None
        return amount

    def flag(self, key: str) -> bool:
        """true or false; absent is false."""
        text = self.optional_text(key)
        if text is None or text == "false":
            return False
        if text != "true":
            self.refuse(key, f"{text} is neither true nor false", "write true or false")
        return text == "true"

    def refuse_unknown(self, namespace: str) -> None:
        """Note every setting of the namespace that nothing has asked for: a misspelt one would have no
        effect.
        """
        for key in sorted(self.raw):
            if key.startswith(f"{namespace}:") and key not in self._known:
                near = difflib.get_close_matches(key, self._known, n=1, cutoff=0.75)
                known = ", ".join(sorted(k.partition(":")[2] for k in self._known if k.startswith(f"{namespace}:")))
                remedy = f"did you mean {near[0]}?" if near else f"remove it; the settings are {known}"
                self.refuse(key, "not a setting of this experiment", remedy)


def _range(low: int, high: int) -> str:
    return f"allowed is {low}" if low == high else f"allowed are {low} to {high}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]}… ({len(text)} characters)"


def stack_settings() -> Settings:
    """The settings of the stack that is being run: from the engine, or as a test or the rehearsal gave
    them.
    """
    engine = json.loads(os.environ.get("PULUMI_CONFIG", "{}"))
    # pulumi.Config can be asked for one known key only; unknown ones are to be found too.
    given = pulumi.runtime.config.CONFIG.get()
    return Settings({**engine, **given}, pulumi.get_stack())
