"""What a browser makes of a page, for tests: its tags, its words in both languages, its figures."""

import re
from html.parser import HTMLParser
from typing import Any

from plotly.offline import get_plotlyjs

EVIL = "</script><img src=x onerror=alert(1)>"


class Reader(HTMLParser):
    """Collects tags, attributes and the text of every element that carries a language."""

    VOID = frozenset({"meta", "br", "img", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[tuple[str, str | None]] = []
        self.said: list[tuple[str, str]] = []
        self.islands: dict[str, str] = {}
        self.island: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "span" and "lang" in found:
            self.said.append((str(found["lang"]), ""))
        self.island = found.get("id") if tag == "script" else None
        if tag not in self.VOID:
            self.stack.append((tag, found.get("lang") if tag == "span" else None))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, tag
        opened, _ = self.stack.pop()
        assert opened == tag

    def handle_data(self, data: str) -> None:
        if self.island is not None:
            self.islands[self.island] = self.islands.get(self.island, "") + data
        elif any(lang for _, lang in self.stack):
            lang, text = self.said[-1]
            self.said[-1] = (lang, text + data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.stack == []
    return reader


def own_part(html: str) -> str:
    """The page without the chart library."""
    bundle = get_plotlyjs()
    assert html.count(bundle) == 1
    return html.replace(bundle, "")


def words_only(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html)


def walk(node: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return [(path, node), *(found for key, item in node.items() for found in walk(item, f"{path}.{key}"))]
    if isinstance(node, list):
        return [(path, node), *(found for item in node for found in walk(item, path))]
    return [(path, node)]


def resolved(node: Any, lang: str) -> Any:
    """What report.js makes of a figure."""
    if isinstance(node, dict):
        if "tone" in node:
            return [[0, "#fff"], [1, "#000"]] if node["tone"] == "heat" else "#123456"
        if "en" in node:
            return node[lang]
        return {key: resolved(item, lang) for key, item in node.items()}
    return [resolved(item, lang) for item in node] if isinstance(node, list) else node
