"""`dujiang policy list`: the programmes there are, and why some cannot be computed."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from dujiang.cli.options import JSON
from dujiang.cli.output import Output
from dujiang.cli.policy.source import PROGRAMMES, all_programmes, on_option
from dujiang.cli.policy.words import in_both
from dujiang.core.text import Text
from dujiang.policy.catalogue import Entry
from dujiang.policy.programme import Level, Programme
from dujiang.policy.rules import GOOD_WORDS, LEVEL_WORDS, STATUS_WORDS, percent, place_words, yuan
from dujiang.policy.shape import GOODS


@click.command("list")
@click.option("--level", type=click.Choice([level.value for level in Level]), help="Only programmes of this level.")
@click.option("--province", help="Only those of this province and its cities, such as 广东.")
@click.option("--city", help="Only those of this city, such as 深圳.")
@click.option("--good", type=click.Choice(GOODS), help="Only those that pay for this good.")
@on_option("The version of each that holds on this day; default: the last of each.")
@PROGRAMMES
@JSON
@click.pass_obj
def command(
    output: Output,
    level: str | None,
    province: str | None,
    city: str | None,
    good: str | None,
    day: date | None,
    folders: Sequence[Path],
    as_json: bool,
) -> None:
    """List programmes: place, validity, what they pay, and why some cannot be computed."""
    output.json = as_json
    merged = all_programmes(output, folders)
    wanted = [
        entry
        for entry in merged.on(day).values()
        if _matches(entry.programme, level=level, province=province, city=city, good=good)
    ]
    if as_json:
        output.document({"programmes": [_document(entry) for entry in wanted]})
        return
    for name, title in LEVEL_WORDS.items():
        programmes = [e.programme for e in wanted if e.programme.jurisdiction.level is name]
        if programmes:
            _show(output, title, programmes)
    computable = sum(entry.programme.not_computable is None for entry in wanted)
    output.line(
        Text(
            f"{len(wanted)} programmes, {computable} of them computable",
            f"共 {len(wanted)} 项政策，其中 {computable} 项可计算",
        )
    )


def _matches(p: Programme, *, level: str | None, province: str | None, city: str | None, good: str | None) -> bool:
    place = p.jurisdiction
    return (
        (level is None or place.level == level)
        and (province is None or place.province == province)
        and (city is None or place.city == city)
        and (good is None or good in p.goods)
    )


def _show(output: Output, level: Text, programmes: Sequence[Programme]) -> None:
    """Show one level: what can be computed as a table, the rest each with its reason."""
    computable = [p for p in programmes if p.not_computable is None]
    columns = [
        (Text("id", "编号"), False),
        (Text("programme", "政策项目"), False),
        (Text("place", "地区"), False),
        (Text("for", "标的"), False),
        (Text("from", "起始"), False),
        (Text("until", "截止"), False),
        (Text("pays", "支持标准"), True),
        (Text("cap", "上限"), True),
    ]
    if computable:
        title = Text(f"{level.en}: computable", f"{level.zh}级：可计算")
        output.table(title, columns, [_row(output, p) for p in computable])
        output.line("")
    if len(computable) < len(programmes):
        output.line(Text(f"{level.en}: not computable, because", f"{level.zh}级：不可计算，原因"))
    for p in programmes:
        if p.not_computable is not None:
            output.line(f"{p.id}  {output.say(p.name)}\n    {output.say(p.not_computable)}")
    output.line("")


def _row(output: Output, p: Programme) -> list[str]:
    cap = p.caps[0] if p.caps else None
    return [
        p.id,
        output.say(p.name),
        output.say(place_words(p.jurisdiction)),
        ", ".join(output.say(GOOD_WORDS.get(good, Text(good, good))) for good in p.goods),
        "" if p.valid.first is None else p.valid.first.isoformat(),
        "" if p.valid.last is None else p.valid.last.isoformat(),
        _pays(output, p),
        "" if cap is None else output.say(yuan(cap.amount_ucny)),
    ]


def _pays(output: Output, p: Programme) -> str:
    shares = [s.share_ppm for s in p.special_rates]
    if p.rate is not None:
        tiers = p.rate.tiers
        shares += [band.share_ppm for band in tiers.bands] if tiers is not None else [p.rate.share_ppm or 0]
    if p.amount is not None:
        return output.say(yuan(p.amount.amount_ucny))
    if not shares:
        return ""
    least, most = percent(min(shares)), percent(max(shares))
    return least if least == most else f"{least} - {most}"


def _document(entry: Entry) -> dict[str, Any]:
    p = entry.programme
    return {
        "id": p.id,
        "name": p.name.en,
        "name_zh": p.name.zh,
        "version": p.version.isoformat(),
        "file": entry.file,
        "level": p.jurisdiction.level.value,
        "province": p.jurisdiction.province,
        "city": p.jurisdiction.city,
        "issuer": p.issuer,
        "document": p.document,
        "document_no": p.document_no,
        "kind": p.kind,
        "instrument": p.instrument,
        "goods": list(p.goods),
        "valid_from": None if p.valid.first is None else p.valid.first.isoformat(),
        "valid_until": None if p.valid.last is None else p.valid.last.isoformat(),
        "source_status": p.source_status.value,
        **in_both("source_status_words", STATUS_WORDS[p.source_status]),
        "verified": p.verified,
        "computable": p.not_computable is None,
        **in_both("reason", p.not_computable),
    }
