"""What a made or imported book assumes, in the form in which `book.yaml` keeps it and reports print it."""

import hashlib
from functools import cache
from importlib.resources import files

import numpy as np
from ruamel.yaml import YAML

from dujiang.core.text import Text


def assumed(book: str, entry: str, value: object, package: str = "dujiang.sim") -> dict[str, object]:
    """Return one entry of `assumptions`: a value, and a sentence on what was assumed and why.

    Parameters
    ----------
    book : kind of book, `trace` or `week`
    entry : name of the entry in `data/assumptions.yaml`
    value : what was assumed; plain numbers, texts, lists and mappings
    package : whose sentences
    """
    text = sentences(package)[book][entry]
    return {"value": value, "en": text.en, "zh": text.zh}


@cache
def sentences(package: str = "dujiang.sim") -> dict[str, dict[str, Text]]:
    """Return the sentences of a package's `data/assumptions.yaml`, of each kind of book by entry."""
    source = files(package).joinpath("data/assumptions.yaml").read_text(encoding="utf-8")
    document = YAML(typ="safe", pure=True).load(source)
    return {book: {name: Text(**text) for name, text in entries.items()} for book, entries in document.items()}


def component_rng(seed: int, component: str) -> np.random.Generator:
    """Return a generator of its own for one component, so that a change in one leaves the draws of others alone.

    Parameters
    ----------
    seed : seed of the whole, not negative
    component : name of what is drawn; part of the stored result's definition
    """
    return np.random.Generator(np.random.PCG64([seed, stable_hash(component)]))


def stable_hash(text: str) -> int:
    """Return the first eight bytes of BLAKE2b of a text as a number; the same on every machine and run."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
