"""The catalogue of financial products, as a table and as a document (`dujiang fund --list`)."""

from collections.abc import Iterable
from typing import Any

from dujiang.cli.output import Output
from dujiang.cli.policy.words import clause_document, in_both
from dujiang.core.money import MICRO, cny
from dujiang.core.text import Text
from dujiang.finance.instrument import Kind
from dujiang.finance.product import TERMS, Product, TermValue, citation, shown_value, written
from dujiang.policy.programme import leaves
from dujiang.policy.rules import place_words, yuan

KIND_WORDS = {
    Kind.LOAN: Text("loans", "贷款"),
    Kind.LEASE: Text("leases", "租赁"),
    Kind.BOND: Text("bonds", "债券"),
    Kind.EQUITY: Text("equity and funds", "股权与基金"),
    Kind.SUBSIDY: Text("subsidies of premiums", "保费补贴"),
    Kind.GUARANTEE: Text("guarantees", "担保"),
    Kind.INSURANCE: Text("insurance", "保险"),
    Kind.RECEIVABLES: Text("supply-chain finance", "供应链金融"),
}
_COLUMNS = (
    (Text("id", "编号"), False),
    (Text("product", "产品"), False),
    (Text("place", "地区"), False),
    (Text("price", "价格"), True),
    (Text("term", "期限"), True),
    (Text("ceiling", "上限"), True),
    (Text("asks for", "条件"), False),
)


def list_products(output: Output, products: Iterable[Product]) -> None:
    """Print the products by kind, then what is none and why; with `--json` one document."""
    listed = list(products)
    if output.json:
        output.document({"ok": True, "products": [product_document(p) for p in listed]})
        return
    for kind, title in KIND_WORDS.items():
        rows = [_row(output, p) for p in listed if p.kind is kind and p.not_offered is None]
        if rows:
            output.table(title, _COLUMNS, rows)
            output.line("")
    closed = [p for p in listed if p.not_offered is not None]
    output.line(Text("named by a source, and no instrument for a project:", "来源提及，但不是项目可用的工具："))
    for p in closed:
        if p.not_offered is not None:
            output.line(f"{p.id}  {output.say(p.name)}\n    {output.say(p.not_offered)}")
    output.line(
        Text(
            "\n* an example: the source states none; put a bank's own terms in its place (--terms)",
            "\n* 示例值：来源未载明，可用机构自己的条款替换（--terms）",
        )
    )


def _row(output: Output, p: Product) -> list[str]:
    price = next((n for n in ("rate", "required_return", "rate_of_cost", "fee", "fixed_fee_cny") if n in p.terms), None)
    between = output.say(Text("; ", "；"))
    asked = between.join(output.say(asked.text) for asked in p.conditions)
    return [
        p.id,
        output.say(p.name),
        output.say(place_words(p.jurisdiction)),
        "" if price is None else _term(output, p, price),
        _term(output, p, "term_months"),
        _term(output, p, "most_cny"),
        asked,
    ]


def _term(output: Output, p: Product, name: str) -> str:
    """Write a term, an example with a star."""
    term = p.terms.get(name)
    value = None if term is None else term.value if term.value is not None else term.example
    if term is None or value is None:
        return ""
    said = yuan(value) if TERMS[name].how == "money" and isinstance(value, int) else shown_value(name, value)
    return f"{output.say(said)}{'*' if term.value is None else ''}"


def product_document(p: Product) -> dict[str, Any]:
    """Return a product as a document: every term with its value or example, its clause, and its assumption."""
    return {
        "id": p.id,
        **in_both("name", p.name),
        "kind": None if p.kind is None else p.kind.value,
        "issuer": p.issuer,
        "document": p.document,
        "source": citation(p),
        "dated": p.dated,
        "level": p.jurisdiction.level.value,
        "province": p.jurisdiction.province,
        "city": p.jurisdiction.city,
        "facts": list(p.facts),
        "verified": p.verified,
        "confidence": p.confidence,
        **in_both("summary", p.summary),
        "asks": sorted({written(c.fact) for c in leaves(p.conditions)}),
        "conditions": [in_both("text", asked.text) for asked in p.conditions],
        "terms": {
            name: {
                "value": _written(name, term.value),
                "example": _written(name, term.example),
                "clause": term.clause,
                **in_both("assumption", term.assumption or (p.assumption if term.example is not None else None)),
            }
            for name, term in p.terms.items()
        },
        "clauses": {clause.key: clause_document(clause) for clause in p.clauses},
        **in_both("notes", p.notes),
        **in_both("not_offered", p.not_offered),
    }


def _written(name: str, value: TermValue | None) -> Any:
    """Return a term as files write it: yuan as decimals, shares as fractions."""
    how = TERMS[name].how
    if isinstance(value, int) and how == "money":
        return cny(value)
    if isinstance(value, int) and how in ("share", "multiple"):
        return value / MICRO
    return list(value) if isinstance(value, tuple) else value
