"""Reads a folder of somebody's own products, and a file of a bank's own terms."""

from collections.abc import Mapping
from pathlib import Path

from dujiang.core.marked import read_yaml
from dujiang.core.problem import ProblemList
from dujiang.finance.catalogue import products_with
from dujiang.finance.parse_product import parse_own_terms
from dujiang.finance.product import NO_OWN_TERMS, OwnTerms, Product
from dujiang.store.read_book import cannot_open, decode, read_bytes
from dujiang.store.read_programmes import read_programmes


def read_products(folder: Path | None, problems: ProblemList) -> dict[str, Product]:
    """Return the products that come with dujiang, with a folder's own files laid over them.

    Parameters
    ----------
    folder : a folder of product files, those in folders of it included; None: none of one's own
    problems : takes every problem of the folder
    """
    own = {} if folder is None else read_programmes(folder, problems)  # the same kind of folder: YAML files by name
    products, found = products_with(own)
    problems.extend(found)
    return products


def read_own_terms(
    path: Path, products: Mapping[str, Product], programmes: Mapping[str, object], problems: ProblemList
) -> OwnTerms:
    """Read a file of somebody's own terms.

    Parameters
    ----------
    path : the file
    products : by id
    programmes : those that there are, by id
    problems : takes every problem of the file

    Returns
    -------
    the terms; none if the file has a problem
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        problems.add(cannot_open(path.name, error))
        return NO_OWN_TERMS
    text, found = decode(path.name, data)
    problems.extend(found)
    marked, found = (None, []) if text is None else read_yaml(path.name, text)
    problems.extend(found)
    if marked is None:
        return NO_OWN_TERMS
    terms, found = parse_own_terms(marked, products, programmes)
    problems.extend(found)
    return terms or NO_OWN_TERMS
