"""`dujiang policy test`: runs the YAML cases beside each programme."""

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import FOLDER, JSON
from dujiang.cli.output import Output
from dujiang.cli.policy.source import all_programmes
from dujiang.core.errors import InputError
from dujiang.core.marked import read_yaml
from dujiang.core.problem import Problem, ProblemList
from dujiang.core.text import Text
from dujiang.policy.cases import Case, CaseFile, Verdict, parse_cases, run_case
from dujiang.policy.catalogue import CASES, Catalogue
from dujiang.policy.programme import Level
from dujiang.store.read_book import decode
from dujiang.store.read_programmes import read_programmes


@click.command("test")
@click.argument("folder", type=FOLDER, required=False)
@JSON
@click.pass_obj
def command(output: Output, folder: Path | None, as_json: bool) -> int:
    """Run the cases (*.cases.yaml) of the catalogue, or of FOLDER, whose programmes are laid over the catalogue."""
    output.json = as_json
    merged = all_programmes(output, () if folder is None else (folder,))
    problems = ProblemList()
    content = _shipped() if folder is None else read_programmes(folder, problems)
    read = list(_case_files(content, merged.versions, problems))
    if not read and not problems:
        expected = Text(f"files that end in {CASES}", f"以 {CASES} 结尾的文件")
        problems.add(Problem("no-cases", str(folder), None, None, "no cases", expected))
    if problems:
        raise InputError(problems)
    verdicts = [(file, _run(case, file.programme, merged)) for file in read for case in file.cases]
    failed = [(file, verdict) for file, verdict in verdicts if verdict.differences]
    tested = {file.programme for file in read}
    without = [e.programme.id for e in merged.on(None).values() if e.programme.not_computable is None]
    without = [key for key in without if key not in tested and folder is None]
    if as_json:
        output.document(_document(verdicts, failed, without))
    for file, verdict in failed:
        for line in _lines(file, verdict):
            output.line(line)
    held, all_ = len(verdicts) - len(failed), len(verdicts)
    output.line(
        Text(
            f"{all_} cases of {len(tested)} programmes: {held} hold, {len(failed)} fail",
            f"{len(tested)} 项政策共 {all_} 个用例：{held} 个通过，{len(failed)} 个失败",
        )
    )
    if without:
        output.line(Text(f"without cases: {', '.join(without)}", f"尚无用例：{'、'.join(without)}"))
    return 1 if failed else 0


def _run(case: Case, programme: str, merged: Catalogue) -> Verdict:
    """Run one case with the versions that hold on its day."""
    programmes = {key: entry.programme for key, entry in merged.on(case.on).items()}
    return run_case(case, programmes[programme], programmes)


def _shipped() -> dict[str, bytes]:
    root = files("dujiang.catalog").joinpath("programmes")
    return {
        f"{level}/{item.name}": item.read_bytes()
        for level in Level
        if (place := root.joinpath(level)).is_dir()
        for item in sorted(place.iterdir(), key=lambda item: item.name)
        if item.name.endswith(CASES)
    }


def _case_files(
    content: Mapping[str, bytes], programmes: Mapping[str, object], problems: ProblemList
) -> Iterator[CaseFile]:
    for name, data in content.items():
        if not name.endswith(CASES):
            continue
        text, found = decode(name, data)
        problems.extend(found)
        marked, found = (None, []) if text is None else read_yaml(name, text)
        problems.extend(found)
        if marked is not None:
            read, found = parse_cases(marked, programmes)
            problems.extend(found)
            if read is not None:
                yield read


def _lines(file: CaseFile, verdict: Verdict) -> Iterator[Text]:
    place = f"{file.file}:{verdict.case.line}: {verdict.case.name}"
    for field, expected, got in verdict.differences:
        yield Text(
            f"{place}: {field}: expected {expected}, got {got}", f"{place}：{field}：应为 {expected}，实为 {got}"
        )


def _document(
    verdicts: list[tuple[CaseFile, Verdict]], failed: list[tuple[CaseFile, Verdict]], without: list[str]
) -> dict[str, Any]:
    return {
        "ok": not failed,
        "cases": len(verdicts),
        "failed": [
            {
                "file": file.file,
                "line": verdict.case.line,
                "programme_id": file.programme,
                "name": verdict.case.name,
                "differences": [d._asdict() for d in verdict.differences],
            }
            for file, verdict in failed
        ],
        "by_programme": dict(Counter(file.programme for file, _ in verdicts)),
        "computable_without_cases": without,
    }
