"""What people call the ids of a round, and the documents that its rules rest on."""

from collections.abc import Mapping

from dujiang.catalog.tables import accelerators, clusters, hubs
from dujiang.core.text import Text
from dujiang.policy.programme import Programme
from dujiang.registry.book import Book
from dujiang.reports.data import Source


def names_of(book: Book, programmes: Mapping[str, Programme]) -> dict[str, Text]:
    """Return what people call the ids of a round: programmes, hubs, clusters, accelerators, centres."""
    names: dict[str, Text] = {}
    for key, hub in hubs().items():
        names[key] = Text(hub.name_en, hub.name_zh)
    for key, cluster in clusters().items():
        names[key] = Text(cluster.name_en, cluster.name_zh)
    for key, card in accelerators().items():
        names[key] = Text(card.model, card.model)
    for key, programme in programmes.items():
        names[key] = programme.name
    for region, province in book.centres.select("region", "province").drop_nulls().unique().sort("region").rows():
        # A province-level region of its own, written in letters: people know it by the province's name.
        names.setdefault(region, Text(region.title(), province))
    for centre, name in book.centres.select("centre_id", "name").iter_rows():
        if name:
            names[centre] = Text(name, name)
    return names


def sources_of(programmes: Mapping[str, Programme]) -> tuple[Source, ...]:
    """Return the documents that the round's rules rest on."""
    return tuple(
        Source(
            programme.name,
            "，".join(part for part in (programme.issuer, programme.document, programme.document_no) if part),
        )
        for programme in programmes.values()
    )
