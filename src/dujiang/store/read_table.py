"""Reads one table that was named as a file of its own."""

from pathlib import Path

from dujiang.core.problem import ProblemList
from dujiang.registry.raw import RawTable
from dujiang.store.read_book import cannot_open, parse_csv, parse_parquet, read_bytes


def read_table_file(path: Path, problems: ProblemList) -> RawTable | None:
    """Read a table: parquet if its name says so, CSV else.

    Parameters
    ----------
    path : the file
    problems : takes every problem

    Returns
    -------
    the table as it stands there, or None if it cannot be read
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        problems.add(cannot_open(path.name, error))
        return None
    parse = parse_parquet if path.suffix == ".parquet" else parse_csv
    table, found = parse(path.name, data)
    problems.extend(found)
    return table
