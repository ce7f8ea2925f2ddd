"""Conditions, special rates, caps and budgets as the verifier reads them."""

from datetime import date
from pathlib import Path
from typing import Any

import handmade_round as handmade
import pytest

from dujiang.verify.book import read_book
from dujiang.verify.cells import MICRO, UNLIMITED, Broken
from dujiang.verify.programme import Condition, Group, Programme, answer, outcome, read_programme
from dujiang.verify.support import Programmes


@pytest.mark.parametrize(
    "op, value, fact, expected",
    [
        ("is", "深圳", "深圳", True),
        ("is", "深圳", " 深圳 ", True),
        ("is", "深圳", "广州", False),
        ("is", "深圳", None, None),
        ("is", "深圳", "", None),
        ("is", "深圳", True, None),
        ("is", True, "true", True),
        ("is", True, False, False),
        ("is", True, "maybe", None),
        ("is", 5, "5.0", True),
        ("is", 5, True, None),
        ("is_not", "university", "enterprise", True),
        ("is_not", "university", None, None),
        ("in", ["a", "b"], "b", True),
        ("in", ["a", "b"], "c", False),
        ("in", ["a", "b"], None, None),
        ("at_least", 5, "5", True),
        ("at_least", 5, 4, False),
        ("at_most", 0.3, "0.3", True),
        ("more_than", 5, 5, False),
        ("less_than", 5, "4.999999", True),
        ("less_than", 5, "few", None),
        ("before", "2025-11-03", "2025-11-02", True),
        ("before", "2025-11-03", date(2025, 11, 3), False),
        ("after", "2025-11-03", date(2025, 11, 4), True),
        ("after", "2025-11-03", "soon", None),
        ("not_in", ["a", "b"], "c", True),
        ("not_in", ["a", "b"], "b", False),
        ("not_in", ["a", "b"], None, None),
        ("exists", True, "anything", True),
        ("exists", True, " ", False),
        ("exists", False, None, True),
        ("exists", False, 0, False),
    ],
)
def test_condition(op: str, value: Any, fact: object, expected: bool | None) -> None:
    assert outcome(Condition("x", op, value), fact) is expected


MET, NOT, UNKNOWN = (Condition("x", "exists", True), Condition("x", "exists", False), Condition("y", "is", "z"))


@pytest.mark.parametrize(
    "how, members, expected",
    [
        ("all", [MET, MET], True),
        ("all", [MET, UNKNOWN], None),
        ("all", [NOT, UNKNOWN], False),
        ("any", [NOT, MET], True),
        ("any", [MET, UNKNOWN], True),
        ("any", [NOT, UNKNOWN], None),
        ("any", [NOT], False),
        ("none", [NOT], True),
        ("none", [NOT, UNKNOWN], None),
        ("none", [MET, UNKNOWN], False),
        ("none", [Group("all", (MET, NOT))], True),
    ],
)
def test_group(how: str, members: list[Condition | Group], expected: bool | None) -> None:
    assert answer(Group(how, tuple(members)), {"x": 1}) is expected


FILE = """\
id: k
good: compute
base: contract
valid: {from: null, until: null}
conditions: []
rate: {share: 0.3}
special_rates:
- {share: 0.5, when: [{fact: startup, op: is, value: true}]}
- {share: 0.6, when: [{fact: seller_province, op: is, value: 贵州}]}
"""


def programme(folder: Path, more: str = "") -> Programme:
    path = folder / "k.yaml"
    path.write_text(FILE + more, encoding="utf-8")
    return read_programme(path)


def test_highest_special_rate_replaces_the_rate(tmp_path: Path) -> None:
    k = programme(tmp_path)
    assert k.offer({"good": "compute"}) == (300_000, None)
    assert k.offer({"good": "compute", "startup": "true"}) == (500_000, None)
    assert k.offer({"good": "compute", "startup": True, "seller_province": "贵州"}) == (600_000, None)
    assert k.offer({}) == (0, None)


def test_a_special_rate_may_bring_a_cap_of_its_own(tmp_path: Path) -> None:
    """Of equal shares the higher cap counts."""
    more = "- {share: 0.6, cap_cny: 9, when: [{fact: startup, op: is, value: true}]}\n"
    k = programme(tmp_path, more + "- {share: 0.6, cap_cny: 7, when: [{fact: startup, op: is, value: true}]}\n")
    assert k.offer({"good": "compute", "startup": True}) == (600_000, 9 * MICRO)


def test_a_combined_ceiling_holds_for_the_programme_alone(tmp_path: Path) -> None:
    k = programme(tmp_path, "combined_ceiling: {share: 0.4, with: group}\nstacking: {group: g}\n")
    assert k.offer({"good": "compute", "startup": True}) == (400_000, None)
    assert (k.ceiling_ppm, k.own_ceiling_ppm, k.group) == (MICRO, 400_000, "g")


@pytest.mark.parametrize(
    "more, budget, cap, room",
    [
        ("", None, None, UNLIMITED),
        ("cap: {amount_cny: 30, per: enterprise, period: year}\n", None, 10, 10),
        ("cap: {amount_cny: 90, per: enterprise, period: validity}\n", None, 35, 35),
        ("cap: {amount_cny: 30, per: enterprise, period: validity}\n", None, 0, 0),
        ("cap: {amount_cny: 30, per: contract, period: year}\n", None, None, 30),
        ("budget: {amount_cny: 50, period: year}\n", 30, None, 30),
        ("budget: {amount_cny: 90, period: validity}\n", 35, None, 35),
        ("budget: {amount_cny: 50, period: year}\ncap: {amount_cny: 70, per: contract, period: year}\n", 30, None, 30),
        ("cap: [{amount_cny: 9, per: contract}, {amount_cny: 30, per: enterprise, period: year}]\n", None, 10, 9),
        ("budget: {amount_cny: 90, period: year, shared_with: [x]}\n", 65, None, 65),
    ],
)
def test_what_is_left(tmp_path: Path, more: str, budget: int | None, cap: int | None, room: int) -> None:
    """b has claimed 20 in 2025 and 35 the year before."""
    folder = handmade.write_book(tmp_path / "book")
    claims = handmade.BOOK["claims.csv"].replace("sz", "k") + "c,x,2025,5\n"
    (folder / "claims.csv").write_text(claims, encoding="utf-8")
    book = read_book(folder)
    programmes = Programmes(book, [programme(tmp_path, more)], {})

    def yuan(amount: int | None) -> int | None:
        return None if amount is None else amount * handmade.YUAN

    assert programmes.budget_left("k") == yuan(budget)
    assert programmes.cap_left("k", "b") == yuan(cap)
    mine = book.orders.ids.to_list().index("o2")
    assert programmes.terms.room_ucny[mine, 0] == (UNLIMITED if room == UNLIMITED else yuan(room))


def test_the_round_sets_what_it_may_spend_whatever_was_claimed(tmp_path: Path) -> None:
    folder = handmade.write_book(tmp_path / "book")
    (folder / "claims.csv").write_text(handmade.BOOK["claims.csv"].replace("sz", "k"), encoding="utf-8")
    text = handmade.BOOK["book.yaml"] + "use:\n- {id: k, budget_cny: 100}\n"
    (folder / "book.yaml").write_text(text, encoding="utf-8")
    assert Programmes(read_book(folder), [programme(tmp_path)], {}).budget_left("k") == 100 * handmade.YUAN


def test_facts_come_from_the_nearest_place_that_knows_them(tmp_path: Path) -> None:
    """An order's own fact wins over its enterprise's, that over what the book declares; a pool says who sells."""
    folder = handmade.write_book(tmp_path / "book")
    head, *rows = handmade.BOOK["enterprises.csv"].splitlines()
    (folder / "enterprises.csv").write_text(
        "\n".join([head + ",startup", rows[0] + ",false", rows[1] + ",", rows[2] + ","]), encoding="utf-8"
    )
    (folder / "book.yaml").write_text(handmade.BOOK["book.yaml"] + "facts: {startup: true}\n", encoding="utf-8")
    head, *rows = handmade.BOOK["orders.csv"].splitlines()
    text = "\n".join([head + ",startup", rows[0] + ",", rows[1] + ",no", *(row + "," for row in rows[2:])])
    (folder / "orders.csv").write_text(text, encoding="utf-8")
    book = read_book(folder)
    terms = Programmes(book, [programme(tmp_path)], {}).terms

    def shares(order_id: str) -> dict[str, int]:
        mine = terms.share_ppm[terms.order_class[book.orders.ids.to_list().index(order_id)], 0]
        return dict(zip(book.pools, mine.tolist(), strict=True))

    assert shares("o1") == {"pe": 300_000, "pn": 600_000, "pw": 600_000}  # a says no
    assert shares("o2") == {"pe": 300_000, "pn": 600_000, "pw": 600_000}  # the order says no
    assert shares("o8") == {"pe": 500_000, "pn": 600_000, "pw": 600_000}  # only the book speaks


def test_domestic_compute_is_unknown_unless_the_result_says_so(tmp_path: Path) -> None:
    book = read_book(handmade.write_book(tmp_path / "book"))
    text = FILE.replace("conditions: []", "conditions: [{fact: domestic_compute, op: is, value: true}]")
    (tmp_path / "k.yaml").write_text(text, encoding="utf-8")
    k = read_programme(tmp_path / "k.yaml")
    assert not Programmes(book, [k], {}).terms.share_ppm.any()
    known = Programmes(book, [k], {"910B": True, "H800": False}).terms
    pools = {pool for pool, share in zip(book.pools, known.share_ppm[known.order_class[1], 0], strict=True) if share}
    assert pools == {"pn"}


def several(folder: Path, rules: dict[str, str], book: str = handmade.BOOK["book.yaml"]) -> Programmes:
    """Read programmes that differ in some rules against the hand-made book, whose orders may use three vouchers."""
    handmade.write_book(folder / "book")
    head, *rows = handmade.BOOK["orders.csv"].splitlines()
    text = "\n".join([head + ",max_vouchers", *(row + ",3" for row in rows)])
    (folder / "book" / "orders.csv").write_text(text, encoding="utf-8")
    (folder / "book" / "book.yaml").write_text(book, encoding="utf-8")
    programmes = []
    for name, more in rules.items():
        path = folder / f"{name}.yaml"
        path.write_text(f"id: {name}\ngood: compute\nbase: actual\nrate: {{share: 0.3}}\n{more}", encoding="utf-8")
        programmes.append(read_programme(path))
    return Programmes(read_book(folder / "book"), programmes, {})


@pytest.mark.parametrize(
    "rule",
    [
        "rate: {tiers: {method: step, bands: []}}",
        "base: investment",
        "amount_cny: {amount_cny: 5, rule: of}",
        "cap: {amount_cny: 5, per: project}",
        "pro_rata: {method: days}",
        "budget: {amount_cny: 5, rule: pro_rata}",
        "budget: {amount_cny: 5, shared_with: [other]}",
        "source_status: plan",
        "not_computable: {en: x, zh: 某}",
        "good: [corpus, model]",
        "valid: {until: 2025-11-02}",
    ],
)
def test_what_a_round_cannot_work_out_pays_nobody(tmp_path: Path, rule: str) -> None:
    name = rule.partition(":")[0]
    text = "".join(line for line in ("base: actual\n", "rate: {share: 0.3}\n") if not line.startswith(name))
    good = "" if name == "good" else "good: compute\n"
    (tmp_path / "one.yaml").write_text(f"id: one\n{good}{text}{rule}\n", encoding="utf-8")
    one, other = read_programme(tmp_path / "one.yaml"), read_programme(_renamed(tmp_path, "other"))
    book = read_book(handmade.write_book(tmp_path / "book"))
    shares = Programmes(book, [one, other], {}).terms.share_ppm
    assert not shares[:, 0].any()
    assert shares[:, 1].all()


def _renamed(folder: Path, name: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(FILE.replace("id: k", f"id: {name}"), encoding="utf-8")
    return path


def test_programmes_that_share_a_purse_take_part_with_budgets_of_their_own(tmp_path: Path) -> None:
    rules = {"a": "budget: {amount_cny: 5, shared_with: [b]}\n", "b": "budget: {amount_cny: 5, shared_with: [a]}\n"}
    assert not several(tmp_path / "1", rules).terms.share_ppm.any()
    own = handmade.BOOK["book.yaml"] + "use: [{id: a, budget_cny: 3}, {id: b, budget_cny: 2}]\n"
    assert several(tmp_path / "2", rules, own).terms.share_ppm.all()


def test_which_programmes_go_together(tmp_path: Path) -> None:
    programmes = several(
        tmp_path,
        {
            "a": "stacking: {group: g, rule: higher_counts}\n",
            "b": "stacking: {group: g, rule: higher_counts}\ncombined_ceiling: {share: 0.4, with: all}\n",
            "c": "excludes: [{programmes: [a], scope: contract}]\ncombined_ceiling: {share: 0.35, with: all}\n",
            "d": "",
        },
    )
    found = {
        "".join(programmes.ids[k] for k in option.programmes): option.ceiling_ppm for option in programmes.terms.options
    }
    alone = {"": MICRO, "a": MICRO, "b": 400_000, "c": 350_000, "d": MICRO}
    assert found == alone | {"ad": MICRO, "bc": 350_000, "bd": 400_000, "cd": 350_000, "bcd": 350_000}


@pytest.mark.parametrize(
    "exclude, apart",
    [
        ("{programmes: [b], scope: contract}", True),
        ("{group: g, scope: contract}", True),
        ("{group: h, scope: contract}", False),
        ("{level: city, same_place: true, scope: contract}", True),
        ("{level: city, scope: contract}", True),
        ("{level: province, scope: contract}", False),
    ],
)
def test_excludes_by_id_group_level_and_place(tmp_path: Path, exclude: str, apart: bool) -> None:
    where = "jurisdiction: {level: city, province: 广东, city: %s}\n"
    rules = {
        "a": f"excludes: [{exclude}]\n" + where % "深圳",
        "b": "stacking: {group: g, rule: higher_counts}\n" + where % "深圳",
        "z": where % "广州",
    }
    programmes = several(tmp_path, rules)
    sets = {option.programmes for option in programmes.terms.options}
    assert ((0, 1) not in sets) is apart
    assert ((0, 2) not in sets) is (exclude == "{level: city, scope: contract}")


def test_what_an_enterprise_holds_closes_what_it_rules_out(tmp_path: Path) -> None:
    """b claimed sz, so what excludes sz for the whole enterprise is closed to it. The others choose the best."""
    whole = "excludes: [{programmes: [%s], scope: enterprise}]\n"
    rules = {"k": whole % "sz", "l": whole % "m", "m": "special_rates: [{share: 0.4, when: []}]\n"}
    programmes = several(tmp_path, rules)
    terms, orders = programmes.terms, read_book(tmp_path / "book").orders
    open_ = {
        order: "".join(programmes.ids[k] for k in range(3) if terms.share_ppm[terms.order_class[j], k].any())
        for j, order in enumerate(orders.ids)
    }
    assert open_["o1"] == "km"
    assert open_["o2"] == open_["o8"] == "m"


@pytest.mark.parametrize(
    "old, new",
    [
        ("id: k", "id:"),
        ("share: 0.3", "share: 1.5"),
        ("share: 0.3", "share: many"),
        ("op: is, value: true", "op: like, value: true"),
        ("op: is, value: true", "op: in, value: true"),
        ("op: is, value: true", "op: before, value: soon"),
        ("op: is, value: true", "op: at_least, value: soon"),
        ("conditions: []", "conditions: {}"),
        ("valid: {from: null", "valid: {from: soon"),
        ("good: compute", "cap: {amount_cny: 5, per: day}"),
        ("good: compute", "budget: {amount_cny: -5}"),
        ("good: compute", "minimum_cny: 5"),
    ],
)
def test_broken_programme(tmp_path: Path, old: str, new: str) -> None:
    assert old in FILE
    (tmp_path / "k.yaml").write_text(FILE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(Broken) as caught:
        read_programme(tmp_path / "k.yaml")
    assert caught.value.where.startswith("k.yaml")
