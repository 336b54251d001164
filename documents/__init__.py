"""The documents that people write (inventory, plans, service models, claims): their models, reading, and errors."""

from documents.model import Because, Fault, Items, Model, Number, Text, kind_of, renamed, repeats
from documents.reading import (
    DocumentError,
    field_hints,
    read,
    read_json,
    read_text,
    read_toml,
    words_of,
)

__all__ = [
    "Because",
    "DocumentError",
    "Fault",
    "Items",
    "Model",
    "Number",
    "Text",
    "field_hints",
    "kind_of",
    "read",
    "read_json",
    "read_text",
    "read_toml",
    "renamed",
    "repeats",
    "words_of",
]
