"""The products there are: those that come with dujiang, and a user's own folder laid over them.

A file of a user replaces ours of the same id as a whole, so that no term loses its source.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from dujiang.core.marked import read_yaml
from dujiang.core.problem import Problem, shown, sorted_problems
from dujiang.core.text import Text
from dujiang.finance.parse_product import parse_product
from dujiang.finance.product import Product
from dujiang.policy.shape import MAX_BYTES


def read_product(file: str, content: bytes) -> tuple[Product | None, list[Problem]]:
    """Read one product file.

    Parameters
    ----------
    file : name that problems carry
    content : UTF-8, with or without a byte order mark

    Returns
    -------
    the product, or None and every problem
    """
    if len(content) > MAX_BYTES:
        expected = Text(f"at most {MAX_BYTES} bytes", f"不超过 {MAX_BYTES} 字节")
        return None, [Problem("too-large", file, None, None, f"{len(content)} bytes", expected)]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return None, [Problem("not-utf-8", file, line, None, "other bytes", Text("UTF-8", "UTF-8"))]
    marked, problems = read_yaml(file, text)
    return parse_product(marked) if marked is not None else (None, problems)


def read_folder(folder: Mapping[str, bytes]) -> tuple[dict[str, Product], list[Problem]]:
    """Read the product files of one folder.

    Parameters
    ----------
    folder : bytes by the name that problems carry

    Returns
    -------
    products by id, in the order of ids, and every problem, of two files of one id as well
    """
    found: dict[str, Product] = {}
    origin: dict[str, str] = {}
    problems: list[Problem] = []
    for name, content in sorted(folder.items()):
        product, wrong = read_product(name, content)
        problems.extend(wrong)
        if product is None:
            continue
        if product.id in found:
            expected = Text(f"another id: {origin[product.id]} has it", f"不同的编号：{origin[product.id]} 已使用")
            problems.append(Problem("duplicate-id", name, None, "id", shown(product.id), expected))
            continue
        found[product.id], origin[product.id] = product, name
    return dict(sorted(found.items())), sorted_problems(problems)


@cache
def shipped_products() -> Mapping[str, Product]:
    """Return the products that come with dujiang by id; a bad file is our own mistake, which a test finds."""
    folder = files("dujiang.catalog").joinpath("finance")
    found, problems = read_folder({f.name: f.read_bytes() for f in folder.iterdir() if f.name.endswith(".yaml")})
    problems += check_together(found)
    assert not problems, problems
    return MappingProxyType(found)


def products_with(own: Mapping[str, bytes]) -> tuple[dict[str, Product], list[Problem]]:
    """Return the products with a folder's own files laid over ours.

    Parameters
    ----------
    own : bytes by file name; may be empty

    Returns
    -------
    by id, in the order of ids, and every problem of the folder's files and of what products name each other
    """
    mine, problems = read_folder(own)
    merged = dict(sorted({**shipped_products(), **mine}.items()))
    return merged, [*problems, *(check_together(merged) if own else ())]


def check_together(products: Mapping[str, Product]) -> list[Problem]:
    """Check that the products that others name exist and can be drawn on."""
    problems = []
    for product in products.values():
        for name in ("needs", "excludes"):
            term = product.terms.get(name)
            value = None if term is None else term.value if term.value is not None else term.example
            for key in value if isinstance(value, tuple) else ():
                other = products.get(key)
                if other is None or other.kind is None:
                    expected = Text("ids of products that can be drawn on", "可用产品的编号")
                    path = f"terms.{name}"
                    problems.append(Problem("no-such-product", f"{product.id}.yaml", None, path, shown(key), expected))
    return problems
