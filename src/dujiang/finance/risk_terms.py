"""What `risk.yaml` says: parties, loans, agreements and how much is to be simulated."""

from dataclasses import dataclass

from dujiang.core.text import Text
from dujiang.finance.portfolio import Loans
from dujiang.finance.waterfall import Cession


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who bears losses."""

    id: str
    name: Text


@dataclass(frozen=True, slots=True)
class LoanClass:
    """Loans with the same terms, as the file lists them."""

    id: str
    name: Text
    loans: int
    owed_ucny: int
    """Of each."""


@dataclass(frozen=True, slots=True)
class RiskTerms:
    """A checked file."""

    title: Text
    parties: tuple[Party, ...]
    bearer: int
    """Position of the party with which a loss begins."""
    classes: tuple[LoanClass, ...]
    loans: Loans
    cessions: tuple[Cession, ...]
    """In the order in which they apply; those of single loans come first."""
    years: int
    scenarios: int
    random_seed: int
    tail_ppm: int
    """Probability of the quantile, such as 990_000."""
    discount_ppm: int
    """Yearly, for the worth of premiums and losses."""
    sources: tuple[str, ...]
    assumptions: tuple[Text, ...]
    """What nobody has stated: said with every result."""
