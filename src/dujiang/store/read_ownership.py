"""Reads `ownership.csv`: who holds what of whom."""

from pathlib import Path

from dujiang.core.problem import ProblemList
from dujiang.policy.related import Ownership, parse_ownership
from dujiang.store.read_table import read_table_file


def read_ownership(path: Path, problems: ProblemList) -> Ownership:
    """Read a table of holdings, `.csv` or `.parquet`.

    Parameters
    ----------
    path : the file
    problems : takes every problem; rows with one are left out
    """
    table = read_table_file(path, problems)
    return Ownership(()) if table is None else parse_ownership(table, problems)
