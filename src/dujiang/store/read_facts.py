"""Reads `firm.yaml` and `spend.yaml`: the facts of one enterprise and one purchase (design 7)."""

from collections.abc import Mapping
from pathlib import Path

from dujiang.core.marked import read_yaml
from dujiang.core.problem import ProblemList
from dujiang.core.text import Text
from dujiang.policy.parse import stored_fact
from dujiang.policy.stated import stored_value
from dujiang.registry.book import Fact
from dujiang.store.read_book import cannot_open, decode, read_bytes


def read_facts(path: Path, problems: ProblemList) -> dict[str, Fact]:
    """Read a YAML mapping of facts; money (`_cny`) becomes micro-yuan (`_ucny`).

    Parameters
    ----------
    path : the file
    problems : takes every problem of the file; a fact with a problem is left out
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        problems.add(cannot_open(path.name, error))
        return {}
    text, found = decode(path.name, data)
    problems.extend(found)
    doc, found = (None, []) if text is None else read_yaml(path.name, text)
    problems.extend(found)
    if doc is None:
        return {}
    if not isinstance(doc.value, Mapping):
        problems.add(doc.problem("bad-type", "", doc.value, Text("facts as name: value", "以“名称: 值”给出的事实")))
        return {}
    facts: dict[str, Fact] = {}
    for key, value in doc.value.items():
        fact = None if value is None else stored_value(str(key), value)
        if isinstance(fact, Text):
            problems.add(doc.problem("bad-type", str(key), value, fact))
        elif fact is not None:
            facts[stored_fact(str(key))] = fact
    return facts
