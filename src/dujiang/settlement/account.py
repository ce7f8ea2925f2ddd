"""Names of accounts, valid in beancount too, and the way from any id to a name and back.

    Assets:Enterprise:<id>                    what an enterprise has committed or owes
    Assets:Programme:<id>                     money that a programme has put at the exchange's disposal
    Liabilities:Programme:<id>:Available      of it, not yet promised to anybody
    Liabilities:Programme:<id>:Reserved       of it, promised to awards that are not yet metered
    Liabilities:Enterprise:<id>:Reserved      committed by the enterprise for awards that are not yet metered
    Liabilities:Centre:<id>:Payable           due to a centre
    Liabilities:Carrier:Payable               due to the carriers (a book does not name them)
    Equity:Cap:<programme>:<enterprise>:Left  memorandum: what an enterprise may still use of a programme's cap
    Equity:Cap:<programme>:<enterprise>:Used  memorandum: the other side
    Expenses:Rounding                         fen that the operator bears, so that no enterprise passes its limit

Signs are beancount's: assets and expenses grow upwards from zero, liabilities and equity downwards. A liability or
equity account that ends in `Available`, `Reserved` or `Left` holds something that must never be spent twice: its
balance may not rise above zero (design 6.3). The store enforces exactly this, for whoever writes.

References
----------
Beancount language syntax, "Accounts": a component begins with a capital letter or a digit and goes on with letters,
digits and dashes.
"""

import re

ROUNDING = "Expenses:Rounding"
CARRIER = "Liabilities:Carrier:Payable"
GUARDED = ("Available", "Reserved", "Left")
"""Last components of the liabilities and equity whose balance may not rise above zero."""

_PLAIN = re.compile(r"[A-Za-z0-9\u4e00-\u9fff]")
_ESCAPED = re.compile(r"-([0-9a-f]*)-")


def component(name: str) -> str:
    """Turn any id into one component of an account name; `component_id` is the way back.

    ASCII letters, digits and Chinese characters stay. A dash becomes two, any other character its code point in
    hexadecimal between two dashes. What then does not begin with a capital letter or a digit, or begins with X, gets an
    X in front. Both steps can be undone, so two ids never share a name.
    """
    text = "".join(c if _PLAIN.fullmatch(c) else "--" if c == "-" else f"-{ord(c):x}-" for c in name)
    return text if re.match(r"[A-WYZ0-9]", text) else f"X{text}"


def component_id(text: str) -> str:
    """Turn a component made by `component` back into the id."""
    body = text.removeprefix("X")
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "-", body)


def enterprise(enterprise_id: str) -> str:
    """Return the account of what an enterprise has committed or owes."""
    return f"Assets:Enterprise:{component(enterprise_id)}"


def enterprise_reserved(enterprise_id: str) -> str:
    """Return the account of what an enterprise has committed and has not yet been charged."""
    return f"Liabilities:Enterprise:{component(enterprise_id)}:Reserved"


def programme(programme_id: str) -> str:
    """Return the account of the money that a programme has put at the exchange's disposal."""
    return f"Assets:Programme:{component(programme_id)}"


def programme_available(programme_id: str) -> str:
    """Return the account of the part of a budget that is not yet promised."""
    return f"Liabilities:Programme:{component(programme_id)}:Available"


def programme_reserved(programme_id: str) -> str:
    """Return the account of the vouchers that are promised and not yet metered."""
    return f"Liabilities:Programme:{component(programme_id)}:Reserved"


def centre(centre_id: str) -> str:
    """Return the account of what is due to a centre."""
    return f"Liabilities:Centre:{component(centre_id)}:Payable"


def cap_left(programme_id: str, enterprise_id: str) -> str:
    """Return the memorandum account of what an enterprise may still use of a programme's cap."""
    return f"Equity:Cap:{component(programme_id)}:{component(enterprise_id)}:Left"


def cap_used(programme_id: str, enterprise_id: str) -> str:
    """Return the other side of `cap_left`."""
    return f"Equity:Cap:{component(programme_id)}:{component(enterprise_id)}:Used"


def is_guarded(account: str) -> bool:
    """Say whether the balance of an account may not rise above zero."""
    root, _, rest = account.partition(":")
    return root in ("Liabilities", "Equity") and rest.rpartition(":")[2] in GUARDED
