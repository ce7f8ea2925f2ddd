"""`verify`: reads both folders, runs every rule that the files allow, and says what it found."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from dujiang.verify.book import Book, read_book
from dujiang.verify.cells import Broken
from dujiang.verify.clearing import check_clearing
from dujiang.verify.documents import Row, read_bytes
from dujiang.verify.options import Options
from dujiang.verify.programme import Programme, read_programme
from dujiang.verify.results import Results, read_results
from dujiang.verify.run import check_run
from dujiang.verify.support import Programmes
from dujiang.verify.verdict import Sheet, Verdict

COUPLINGS = ("full", "isolated")


def verify(book: Path, results: Path) -> Verdict:
    """Check a result against its book from the files alone (design 4.5, 8, 9).

    Parameters
    ----------
    book : folder of the book that was cleared
    results : folder that `dujiang clear` or `dujiang run` wrote

    Returns
    -------
    what was found, how many facts were checked by rule, and the figures worked out again. A file that is missing or
    broken is a finding of the rule `files`; rules that need it are left out of `checks`
    """
    sheet = Sheet()
    given = read_results(results, sheet)
    programmes = _read_programmes(results / "programmes", sheet)
    sheet.checks["files"] += 1
    try:
        read = read_book(book)
        _check_digest(book, given.summary, sheet)
        _check_programme_files(read, book / "programmes", programmes, sheet)
    except Broken as broken:
        sheet.find("files", f"book:{broken.where}", broken.found, broken.en, broken.zh)
        return sheet.verdict()
    support = Programmes(read, programmes, given.domestic)
    options = Options(read, support, _coupling(given, sheet))
    cleared = check_clearing(options, given, sheet)
    check_run(results, options, cleared, given.summary, sheet)
    return sheet.verdict()


def _check_digest(book: Path, stated: Row | None, sheet: Sheet) -> None:
    """The result was made from this very book: SHA-256 over length and content of each file's name and bytes (9.6)."""
    if stated is None or "book_sha256" not in stated:
        return
    digest = hashlib.sha256()
    paths = [p for p in book.rglob("*") if p.suffix in (".csv", ".parquet", ".yaml", ".yml") and p.is_file()]
    for path in sorted(paths, key=lambda p: p.relative_to(book).parts):
        for part in (path.relative_to(book).as_posix().encode(), read_bytes(path)):
            digest.update(len(part).to_bytes(8, "big") + part)
    sheet.same("summary", "summary.json:book_sha256", stated["book_sha256"], digest.hexdigest())


def _coupling(given: Results, sheet: Sheet) -> str:
    """Return the coupling that the summary states; which orders may use which pools depends on it (design 4.2)."""
    stated = None if given.summary is None else given.summary.get("coupling")
    if given.summary is not None:
        sheet.hold(
            stated in COUPLINGS, "summary", "summary.json:coupling", stated, "full or isolated", "full 或 isolated"
        )
    return "isolated" if stated == "isolated" else "full"


def _read_programmes(folder: Path, sheet: Sheet) -> list[Programme]:
    programmes: dict[str, Programme] = {}
    for path in sorted(folder.rglob("*.yaml")) if folder.is_dir() else []:
        sheet.checks["files"] += 1
        try:
            programme = read_programme(path)
        except Broken as broken:
            sheet.find("files", f"programmes/{broken.where}", broken.found, broken.en, broken.zh)
            continue
        sheet.same("programme", f"programmes/{path.name}:id", programme.programme_id, path.stem)
        programmes[programme.programme_id] = programme
    return list(programmes.values())


def _check_programme_files(book: Book, own_folder: Path, programmes: Sequence[Programme], sheet: Sheet) -> None:
    """The programmes that took part are those that the book names or brings, the latter byte for byte (design 7)."""
    own: dict[str, bytes] = {}
    for path in sorted(p for p in own_folder.rglob("*") if p.suffix in (".yaml", ".yml")):
        own[read_programme(path).programme_id] = read_bytes(path)
    there = {p.programme_id: p.content for p in programmes}
    for programme_id in sorted({*own, *book.budgets}):
        where = f"programmes/{programme_id}.yaml"
        sheet.hold(programme_id in there, "files", where, None, "a copy of the programme", "政策文件副本")
    for programme_id, content in there.items():
        where = f"programmes/{programme_id}.yaml"
        known = programme_id in own or programme_id in book.budgets
        sheet.hold(known, "programme", where, programme_id, "a programme that the book names", "需求簿列出的政策")
        if programme_id in own:
            same = own[programme_id] == content
            sheet.hold(
                same, "programme", where, "another text", "the book's file, byte for byte", "与需求簿文件逐字节相同"
            )
