"""What a project may be funded by: its own instruments, products of the catalogue, and support for its spending."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from dujiang.core.text import Text
from dujiang.finance.instrument import Instrument
from dujiang.finance.product import NO_OWN_TERMS, LeftOut, OwnTerms, Product, offered, readings_of
from dujiang.finance.project import Project
from dujiang.finance.support import subsidies_for
from dujiang.policy.programme import Programme
from dujiang.registry.book import Fact

PRODUCTS: Final = "products"
"""Stands for all products that the firm may use."""
SUPPORT: Final = "support"
"""Stands for all programmes that pay for the project's spending."""


class Candidates(NamedTuple):
    """A project with all that it may be funded by."""

    project: Project
    left_out: tuple[LeftOut, ...]
    """What was asked for and cannot be had, and why."""
    readings: Mapping[str, tuple[Text, ...]]
    """Programme or product -> how its rules were read, and why its examples are what they are."""


class Offers(NamedTuple):
    """What there is in the world besides the project's own instruments."""

    products: Mapping[str, Product]
    programmes: Mapping[str, Programme]
    own_terms: OwnTerms = NO_OWN_TERMS


def unknown_ids(wanted: Collection[str], offers: Offers) -> tuple[str, ...]:
    """Return the ids that are no product, no programme, and no word for all of them."""
    known = {PRODUCTS, SUPPORT, *offers.products, *offers.programmes}
    return tuple(key for key in wanted if key not in known)


def candidates(
    project: Project,
    wanted: Collection[str],
    facts: Mapping[str, Fact],
    offers: Offers,
    spending: Mapping[str, Mapping[str, Fact]],
) -> Candidates:
    """Add products and support to a project's own instruments.

    Parameters
    ----------
    project : with its own instruments
    wanted : ids of products and programmes, `PRODUCTS`, `SUPPORT`; those that nobody knows are passed over
    facts : of the firm
    offers : what there is
    spending : kind of cost -> what is known of its purchases

    Returns
    -------
    the project with everything that it may use, each id once, its own definitions first
    """
    own = {item.id for item in project.instruments}
    all_products = {k for k, p in offers.products.items() if p.not_offered is None} if PRODUCTS in wanted else set()
    products = [p for key, p in offers.products.items() if key not in own and key in {*all_products, *wanted}]
    programmes = [p for key, p in offers.programmes.items() if key not in own and (SUPPORT in wanted or key in wanted)]
    support = subsidies_for(
        programmes, facts, project.costs, project.start, spending=spending, own=offers.own_terms, named=wanted
    )
    others: tuple[Instrument, ...] = (*project.instruments, *support.instruments)
    drawn, left = offered(
        products, facts, project.costs, own=offers.own_terms, others=others, assets=project.assets or {}
    )
    # Two catalogues may use one id; the planner may not.
    taken = {item.id for item in others}
    drawn = tuple(item for item in drawn if item.id not in taken)
    return Candidates(
        project.with_instruments((*project.instruments, *drawn, *support.instruments)),
        (*left, *support.left_out),
        {**support.readings, **{p.id: readings_of(p, offers.own_terms) for p in products}},
    )
