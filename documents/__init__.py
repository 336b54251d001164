"""The documents that people write (inventory, plans, service models, claims): their models, reading, and errors."""

from documents.faults import field_hints, words_of
from documents.model import Because, Fault, Items, Model, Number, Text, kind_of, renamed, repeats
from documents.reading import DocumentError, read, read_json, read_text, read_toml

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
