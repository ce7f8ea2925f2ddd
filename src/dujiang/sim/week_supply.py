"""Supply of the demonstration week: invented centres in the ten real clusters.

Figures are the catalogue's where it has verified ones, and stated assumptions where it has not.
"""

import csv
import math
from dataclasses import dataclass
from importlib.resources import files

import polars as pl

from dujiang.catalog.tables import (
    Accelerator,
    accelerators,
    clusters,
    grid_factor,
    hubs,
    link_between,
    network,
    rental_prices,
)

GPUS_PER_NODE = 8
REFERENCE = "a800-80-sxm"
"""Accelerator to which hours refer: speed 1.0."""
ASK_POSITION = {"east": 0.6, "west": 0.2}
"""Where an ask lies in the range of rental prices, from its low end, by side."""
LINK_CNY_PER_GB = 0.05
GRID_YEAR = 2022
EARTH_KM = 6371.0


@dataclass(frozen=True, slots=True)
class Supply:
    """Tables of the supply side, with the columns of the files, and what had to be assumed in them."""

    centres: pl.DataFrame
    pools: pl.DataFrame
    links: pl.DataFrame
    assumed_pue: tuple[str, ...]
    """Centres whose PUE is a cluster's limit that nobody was found to have published."""
    assumed_speed: dict[str, float]
    """Accelerators without verified peaks, and the speed invented for them."""
    without_watts: tuple[str, ...]
    """Accelerators without a verified power."""
    ask_ranges: dict[str, dict[str, object]]
    """Range of rental prices of each accelerator, and whether it was published."""


@dataclass(frozen=True, slots=True)
class _Site:
    """One row of the centres' table with the catalogue's figures filled in."""

    centre_id: str
    cluster: str | None
    region: str
    province: str
    grid_province: str
    latitude: float
    longitude: float
    side: str
    name: str
    pue: float | None
    pue_verified: bool


def demo_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of one of the demonstration's own tables."""
    text = files("dujiang.sim").joinpath("data", f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def supply(scale: float) -> Supply:
    """Return the supply side.

    Parameters
    ----------
    scale : factor on the size of every pool, which stays a whole number of nodes and at least one
    """
    sites = [_site(row) for row in demo_rows("demo_centres")]
    side = {site.centre_id: site.side for site in sites}
    cards = {row["accelerator"]: row for row in demo_rows("demo_accelerators")}
    speeds = {name: _speed(name, row["speed"]) for name, row in cards.items()}
    pools = [_pool(row, cards[row["accelerator"]], side, speeds, scale) for row in demo_rows("demo_pools")]
    assert len({pool["pool_id"] for pool in pools}) == len(pools)
    return Supply(
        centres=pl.DataFrame([_centre(site) for site in sites], infer_schema_length=None),
        pools=pl.DataFrame(pools, infer_schema_length=None),
        links=pl.DataFrame(_links(sites)),
        assumed_pue=tuple(site.centre_id for site in sites if site.pue is not None and not site.pue_verified),
        assumed_speed={name: speed for name, (speed, known) in speeds.items() if not known},
        without_watts=tuple(name for name in cards if accelerators()[name].verified_value("tdp_w") is None),
        ask_ranges={name: _ask_range(row) for name, row in cards.items()},
    )


def _site(row: dict[str, str]) -> _Site:
    if not row["cluster"]:
        return _Site(
            centre_id=row["centre_id"],
            cluster=None,
            region=row["region"],
            province=row["province"],
            grid_province=row["province"],
            latitude=float(row["latitude"]),
            longitude=float(row["longitude"]),
            side=row["side"],
            name=row["name"],
            pue=None,
            pue_verified=False,
        )
    cluster = clusters()[row["cluster"]]
    assert hubs()[cluster.hub].side == row["side"], row
    return _Site(
        centre_id=row["centre_id"],
        cluster=cluster.id,
        region=cluster.hub,
        province=cluster.province,
        grid_province=cluster.grid_province,
        latitude=cluster.latitude,
        longitude=cluster.longitude,
        side=row["side"],
        name=row["name"],
        pue=cluster.pue_limit,
        pue_verified=cluster.is_verified("pue_limit"),
    )


def _centre(site: _Site) -> dict[str, object]:
    factor = grid_factor(site.grid_province, GRID_YEAR)
    return {
        "centre_id": site.centre_id,
        "region": site.region,
        "name": site.name,
        "province": site.province,
        "cluster": site.cluster,
        "latitude": site.latitude,
        "longitude": site.longitude,
        "pue": site.pue,
        "grid_kgco2_per_kwh": None if factor is None else factor.verified_value("kgco2_per_kwh"),
        "connector": "local",
    }


def _pool(
    row: dict[str, str],
    card: dict[str, str],
    side: dict[str, str],
    speeds: dict[str, tuple[float, bool]],
    scale: float,
) -> dict[str, object]:
    name = row["accelerator"]
    price = rental_prices()[card["rental_price"]]
    ask = price.low + ASK_POSITION[side[row["centre_id"]]] * (price.high - price.low)
    nodes = max(1, round(int(row["gpus"]) * scale / GPUS_PER_NODE))
    return {
        "pool_id": f"{row['centre_id']}-{name}",
        "centre_id": row["centre_id"],
        "accelerator": name,
        "gpus": nodes * GPUS_PER_NODE,
        "ask_cny_per_gpu_hour": round(ask, 2),
        "speed": speeds[name][0],
        "gpus_per_node": GPUS_PER_NODE,
        "stacks": card["stack"],
        "watts_per_gpu": accelerators()[name].verified_value("tdp_w"),
    }


def _speed(name: str, invented: str) -> tuple[float, bool]:
    """Return the speed against the reference, and whether it rests on verified peaks.

    Half of the work is taken to be bound by arithmetic and half by memory, so speed is the geometric mean of the two
    ratios of peaks.
    """
    peaks, reference = _peaks(accelerators()[name]), _peaks(accelerators()[REFERENCE])
    assert reference is not None
    if peaks is None:
        return float(invented), False
    assert not invented, name
    return round(math.sqrt(peaks[0] / reference[0] * peaks[1] / reference[1]), 2), True


def _peaks(card: Accelerator) -> tuple[float, float] | None:
    arithmetic = card.verified_value("fp16_bf16_dense_tflops")
    memory = card.verified_value("memory_bandwidth_gb_per_s")
    return None if arithmetic is None or memory is None else (arithmetic, memory)


def _ask_range(card: dict[str, str]) -> dict[str, object]:
    price = rental_prices()[card["rental_price"]]
    return {"low": price.low, "high": price.high, "published": price.verified, "as_of": price.as_of}


def _links(sites: list[_Site]) -> list[dict[str, object]]:
    """Link every pair of regions; the round-trip time is that of their farthest centres."""
    regions = sorted({site.region for site in sites})
    return [
        {
            "origin_region": a,
            "region": b,
            "cny_per_gb": LINK_CNY_PER_GB,
            "rtt_ms": max(_rtt_ms(s, t) for s in sites if s.region == a for t in sites if t.region == b),
        }
        for a in regions
        for b in regions
        if a != b
    ]


def _rtt_ms(a: _Site, b: _Site) -> float:
    """Return twice the one-way limit of a direct link: 1.5 times what light in fibre needs for the great circle."""
    link = None if a.cluster is None or b.cluster is None else link_between(a.cluster, b.cluster)
    if link is not None:
        return round(link.computed_rtt_limit_ms, 2)
    one_way_ms = _great_circle_km(a, b) / network()["fibre-speed"].value
    return round(2 * network()["direct-1_5x"].value * one_way_ms, 2)


def _great_circle_km(a: _Site, b: _Site) -> float:
    """Haversine distance on a sphere."""
    phi_a, phi_b = math.radians(a.latitude), math.radians(b.latitude)
    half = math.sin((phi_b - phi_a) / 2) ** 2
    half += math.cos(phi_a) * math.cos(phi_b) * math.sin(math.radians(b.longitude - a.longitude) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(half))
