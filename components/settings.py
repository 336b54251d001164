"""Reads a stack's settings as typed values and collects every error, instead of stopping at the first.

An error is one line of the form `FILE: KEY: what is wrong; what is allowed or what to do`.
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
"""Switches a setting off, for example `tidemark:cpuLimit: none`."""

# Plain decimal numbers only: a leading zero means octal in YAML 1.1, and int() accepts 1_0 and the digits of every
# script. A hundred digits are more than any limit here has, and fewer than int() refuses.
_WHOLE_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,99})")
_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,100})?")
_LONGEST_QUOTED = 40


class ValidationError(ValueError):
    """The stack cannot be created as it is configured. The text has one line an error."""

    def __init__(self, errors: Collection[str]) -> None:
        super().__init__("\n".join(errors))


class SettingError(Exception):
    """What is wrong with a setting, and the remedy. Raised where the setting's key is not known."""

    def __init__(self, fault: str, remedy: str) -> None:
        super().__init__(f"{fault}; {remedy}")
        self.fault = fault
        self.remedy = remedy


@dataclass
class Settings:
    """The configuration of one stack in all namespaces; `raw` maps keys such as `tidemark:sshCidr` to text.

    Each reading method returns a value of its type. If the setting is missing or malformed, it adds an error and
    returns a placeholder. A check that depends on settings asks `is_valid` for them first, so that one mistake gives
    one error. `raise_errors` raises before any placeholder can be used.
    """

    raw: Mapping[str, str]
    stack: str
    errors: list[str] = field(default_factory=list)
    _invalid: set[str] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)

    @property
    def file(self) -> str:
        """The stack file's path below the project's directory (stackConfigDir in Pulumi.yaml)."""
        return f"stacks/Pulumi.{self.stack}.yaml"

    def add_error(self, key: str, fault: str, remedy: str) -> None:
        """Adds an error about this setting, as one line."""
        self._invalid.add(key)
        # Text that is quoted from the file may have line breaks.
        self.errors.append(" ".join(f"{self.file}: {key}: {fault}; {remedy}".split()))

    def is_valid(self, *keys: str) -> bool:
        """Returns whether none of these settings has an error so far."""
        return self._invalid.isdisjoint(keys)

    def raise_errors(self) -> None:
        """Raises ValidationError if there are errors."""
        if self.errors:
            raise ValidationError(self.errors)

    def optional_text(self, key: str) -> str | None:
        """Returns the setting without surrounding blanks, or None if it is absent. An empty one is an error."""
        self._known.add(key)
        if key not in self.raw:
            return None
        text = self.raw[key].strip()
        if not text:
            self.add_error(key, "empty", "give it a value or remove the line")
            return None
        return text

    def text(self, key: str, example: str) -> str:
        """Reads a setting that must be there. The error proposes `example`."""
        text = self.optional_text(key)
        if text is not None:
            return text
        if self.is_valid(key):
            self.add_error(key, "missing", f"set it: pulumi config set {key} {example} -s {self.stack}")
        return example

    def text_or(self, key: str, default: str) -> str:
        """Returns the setting, or the default if it is absent."""
        return self.optional_text(key) or default

    def text_or_none(self, key: str) -> str | None:
        """Returns the setting, or None if it is absent or `none`."""
        text = self.optional_text(key)
        return None if text == NONE else text

    def choice(self, key: str, allowed: Collection[str], default: str, *, required: bool = False) -> str:
        """Reads one of the allowed words. With `required` the default is an example: the setting must be there."""
        text = self.text(key, default) if required else self.text_or(key, default)
        if self.is_valid(key) and text not in allowed:
            self.add_error(key, f"there is no {text}", f"choose one of {', '.join(allowed)}")
        return text

    def required_choice(self, key: str, allowed: Collection[str]) -> str:
        """Reads one of the allowed words. If the setting is missing, the error lists them."""
        if self.optional_text(key) is None and self.is_valid(key):
            self.add_error(
                key, "missing", f"choose one of {', '.join(allowed)}: pulumi config set {key} NAME -s {self.stack}"
            )
        return self.choice(key, allowed, "") if self.is_valid(key) else ""

    def integer(self, key: str, low: int, high: int, default: int, *, required: bool = False) -> int:
        """Reads a whole number within bounds, both included. With `required` the default is an example: the setting
        must be there.
        """
        text = self.text(key, str(default)) if required else self.text_or(key, str(default))
        if self.is_valid(key):
            self._check_whole_number(key, text, low, high, _range(low, high))
        return int(text) if self.is_valid(key) else default

    def integer_or_none(self, key: str, low: int, high: int, default: int | None = None) -> int | None:
        """Reads a whole number within bounds, both included; `none` is None. Absent is the default."""
        text = self.optional_text(key)
        if text is None:
            return default
        if text == NONE:
            return None
        self._check_whole_number(key, text, low, high, f"{_range(low, high)}, or {NONE}")
        return int(text) if self.is_valid(key) else default

    def _check_whole_number(self, key: str, text: str, low: int, high: int, allowed: str) -> None:
        if not _WHOLE_NUMBER.fullmatch(text):
            # 010, 1_0 and Arabic digits are numbers too, so the error says which form is allowed.
            form = " in plain digits" if any(character.isdigit() for character in text) else ""
            self.add_error(key, f"{_cut(text)} is not a whole number{form}", allowed)
        elif not low <= int(text) <= high:
            self.add_error(key, f"{_cut(text)} is out of range", allowed)

    def amount_or_none(self, key: str) -> float | None:
        """Reads a positive amount of money; None (no limit) if it is absent or `none`."""
        text = self.optional_text(key)
        if text is None or text == NONE:
            return None
        amount = float(text) if _AMOUNT.fullmatch(text) else math.nan
        if not amount > 0:
            self.add_error(
                key, f"{_cut(text)} is not a positive amount", f"give dollars an hour, such as 10, or {NONE}"
            )
            return None
        return amount

    def flag(self, key: str) -> bool:
        """Reads true or false; absent is false."""
        text = self.optional_text(key)
        if text is None or text == "false":
            return False
        if text != "true":
            self.add_error(key, f"{text} is neither true nor false", "write true or false")
        return text == "true"

    def reject_unknown(self, namespace: str) -> None:
        """Adds an error for each setting of the namespace that nothing has read: it may be misspelt."""
        for key in sorted(self.raw):
            if key.startswith(f"{namespace}:") and key not in self._known:
                near = difflib.get_close_matches(key, self._known, n=1, cutoff=0.75)
                known = ", ".join(sorted(k.partition(":")[2] for k in self._known if k.startswith(f"{namespace}:")))
                remedy = f"did you mean {near[0]}?" if near else f"remove it; the settings are {known}"
                self.add_error(key, "not a setting of this experiment", remedy)


def _range(low: int, high: int) -> str:
    return f"allowed is {low}" if low == high else f"allowed are {low} to {high}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]}… ({len(text)} characters)"


def stack_settings() -> Settings:
    """Returns the settings of the running stack, from the engine, a test or the rehearsal."""
    engine = json.loads(os.environ.get("PULUMI_CONFIG", "{}"))
    # pulumi.Config reads one known key at a time and cannot list unknown ones.
    given = pulumi.runtime.config.CONFIG.get()
    return Settings({**engine, **given}, pulumi.get_stack())
