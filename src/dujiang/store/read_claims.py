"""Reads `claims.csv`: what was claimed before a purchase."""

from pathlib import Path

from dujiang.core.problem import ProblemList
from dujiang.policy.claims import Claims, parse_claims
from dujiang.store.read_table import read_table_file


def read_claims(path: Path, problems: ProblemList) -> Claims:
    """Read a table of claims, `.csv` or `.parquet`.

    Parameters
    ----------
    path : the file
    problems : takes every problem; with one there are no claims
    """
    table = read_table_file(path, problems)
    return Claims() if table is None else parse_claims(table, problems)
