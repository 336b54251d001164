"""Reads the YAML of a claims file, with the faults that YAML's own readers pass over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from report.claims import ClaimError

_DEPTH_MAX = 20  # a claim's point lies five deep


def read_claims_file(path: Path) -> Any:
    """Returns the document. Raises ClaimError with one line for a file that can't be read or is no YAML."""
    try:
        text = path.read_text(encoding="utf-8")
        _check_shape(text)
        return yaml.load(text, Loader=_Loader)
    except FileNotFoundError:
        raise ClaimError(f"{path}: no such file; each experiment has one") from None
    except OSError as error:
        raise ClaimError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ClaimError(f"{path}: can't be read: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date such as 2018-13-01 is a ValueError
        raise ClaimError(f"{path}: not YAML: {' '.join(str(error).split())}") from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's where PyYAML was built with it: a tenth of the time. Refuses a field that a mapping has twice, of which
    YAML's readers take the last.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        names = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if names.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
        return super().construct_mapping(node, deep)


def _check_shape(text: str) -> None:
    """Raises YAMLError for what a reader can't bear: collections nested so deeply that libyaml's reader, which calls
    itself for each, would end this process (seen with 50,000), and aliases, by which a collection may contain itself.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH_MAX:
            problem = f"nested more than {_DEPTH_MAX} deep"
        elif isinstance(event, yaml.AliasEvent):
            problem = f"*{event.anchor}: write out what is meant"
        else:
            continue
        raise yaml.YAMLError(f"{problem}, {event.start_mark}")
