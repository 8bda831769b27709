"""``nbctl market clear`` and ``nbctl market flow``: order books and single cycles read from JSON files.

The formats are in docs/spec/matching.md. A file that breaks them ends with exit code 2 and the place of the fault
as a JSON pointer (RFC 6901) on stderr; nothing is printed on stdout then.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from nanobarter.cli.json_places import Fault, Node, parse
from nanobarter.matching.bids import Bid, Name, Pattern
from nanobarter.matching.clearing import Agreement, Clearing
from nanobarter.matching.openbarter import openbarter_flow
from nanobarter.matching.quantities import Leg, product
from nanobarter.matching.rules import OPENBARTER, OWN, Rules

RulesName = Literal["own", "openbarter"]

FLOW_BIDS_MIN: Final = 2
FLOW_BIDS_MAX: Final = 64  # openBarter's own bound on a cycle
_BID_KEYS: Final = ("id", "type", "owner", "requ", "qtt_requ", "prov", "qtt_prov")
_BID_OPTIONS: Final = ("floor", "refuse", "discount")
_NODE_KEYS: Final = ("type", "owner", "qtt_requ", "qtt_prov", "qtt")


def clear(path: Path, rules: RulesName, as_json: bool) -> int:  # noqa: FBT001 - the command line's own flag
    """Match every book of a file, bid by bid, and print the agreements; return the exit code."""
    return _answered(path, lambda root: _clear(root, rules), _show_books, as_json=as_json)


def flow(path: Path, as_json: bool) -> int:  # noqa: FBT001 - the command line's own flag
    """Compute the quantities of every single cycle of a file and print them; return the exit code."""
    return _answered(path, _flows, _show_flows, as_json=as_json)


def _answered(
    path: Path,
    answer: Callable[[Node], dict[str, Any]],
    show: Callable[[dict[str, Any]], Iterator[str]],
    *,
    as_json: bool,
) -> int:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return _refuse(f"cannot read {path}: {error}")
    try:
        result = answer(parse(text))
    except json.JSONDecodeError as error:
        return _refuse(f"{path}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}")
    except RecursionError:
        return _refuse(f"{path}: /: nested too deeply")
    except Fault as fault:
        return _refuse(f"{path}: {fault}")
    if as_json:
        print(json.dumps(result, separators=(", ", ": ")))
    else:
        for line in show(result):
            print("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))  # names may hold anything
    return 0


def _refuse(message: str) -> int:
    print(f"nbctl: {message}", file=sys.stderr)
    return 2


def _clear(root: Node, rules: RulesName) -> dict[str, Any]:
    if isinstance(root.value, list):
        books = [(None, _bids(root), _rules(rules, {}))]
    else:
        cases = root.fields("a list of bids, or an object with the key cases").get("cases")
        if cases is None:
            raise Fault(root.pointer, 'an object lacks the key "cases"')
        books = [_case(case, rules) for case in cases.items("a list of cases")]
    return {"type": "agreements", "cases": [_cleared(*book) for book in books]}


def _case(case: Node, rules: RulesName) -> tuple[Name | None, list[Bid], Rules]:
    fields = case.fields("a case")
    if "bids" not in fields:
        raise Fault(case.pointer, 'a case lacks the key "bids"')
    identity = fields["id"].name() if "id" in fields and fields["id"].value is not None else None
    return identity, _bids(fields["bids"]), _rules(rules, fields)


def _rules(name: RulesName, fields: dict[str, Node]) -> Rules:
    """Return the rules of a case. Under our own rules a case may only ask for fewer partners than are allowed."""
    rules = OPENBARTER if name == "openbarter" else OWN
    if "max_cycle" in fields:
        asked = fields["max_cycle"].integer(2, FLOW_BIDS_MAX)
        rules = replace(rules, partners_max=asked if name == "openbarter" else min(asked, rules.partners_max))
    if "max_movements" in fields and name == "openbarter":
        rules = replace(rules, movements_max=fields["max_movements"].integer(0))
    return rules


def _bids(node: Node) -> list[Bid]:
    bids = [_bid(each, age) for age, each in enumerate(node.items("a list of bids"))]
    seen = set[Name]()
    for age, bid in enumerate(bids):
        if bid.id in seen:
            raise Fault(f"{node.pointer}/{age}/id", f"the id {json.dumps(bid.id)} is used twice")
        if type(bid.id) is not type(bids[0].id):
            raise Fault(f"{node.pointer}/{age}/id", "ids of one book must be all numbers or all texts")
        seen.add(bid.id)
    return bids


def _bid(node: Node, age: int) -> Bid:
    fields = node.exactly("a bid", _BID_KEYS, _BID_OPTIONS)
    gives = fields["prov"].text()
    if gives.startswith("*"):
        raise fields["prov"].fault("one quality, not a pattern")
    requ = fields["requ"].text()
    refused = fields["refuse"].items("a list of issuers") if "refuse" in fields else []
    discounts = fields["discount"].fields("an object of ratios") if "discount" in fields else {}
    return Bid(
        id=fields["id"].name(),
        owner=str(fields["owner"].name()),
        limit=fields["type"].limit(),
        gives=gives,
        wants=Pattern(
            text=requ.removeprefix("*"),
            any_issuer=requ.startswith("*"),
            refused=frozenset(each.text() for each in refused),
            discounts=tuple(sorted((issuer, each.ratio()) for issuer, each in discounts.items())),
        ),
        provided=fields["qtt_prov"].integer(),
        required=fields["qtt_requ"].integer(),
        quantity=fields["qtt_prov"].integer(),
        age=age,
        floor=fields["floor"].ratio() if "floor" in fields else None,
    )


def _cleared(identity: object, bids: list[Bid], rules: Rules) -> dict[str, Any]:
    market = Clearing(rules)
    agreements = [_agreement(bid.id, agreed) for bid in bids for agreed in market.submit(bid)]
    left = [(bid.id, market.book.get(bid.id)) for bid in bids]
    case: dict[str, Any] = {
        "id": identity,
        "agreements": agreements,
        "remaining": [[name, 0 if bid is None else bid.quantity] for name, bid in left],
    }
    if market.cut:
        case["cut"] = True  # a bound kept a search from seeing every cycle
    return case


def _agreement(trigger: Name, agreed: Agreement) -> dict[str, Any]:
    bids, given = agreed.cycle.bids, agreed.given
    ring = [(bids[i - 1], bids[i], given[i - 1]) for i in range(len(bids))]  # the first giver is the new bid
    return {
        "trigger": trigger,
        "transfers": [
            {
                "bid": giver.id,
                "to_bid": taker.id,
                "from": giver.owner,
                "to": taker.owner,
                "quality": giver.gives,
                "quantity": quantity,
            }
            for giver, taker, quantity in ring
        ],
    }


def _flows(root: Node) -> dict[str, Any]:
    flows = root
    if not isinstance(root.value, list):
        fields = root.fields("a list of flows, or an object with the key flows")
        if "flows" not in fields:
            raise Fault(root.pointer, 'an object lacks the key "flows"')
        flows = fields["flows"]
    return {"type": "flows", "flows": [_flow(each) for each in flows.items("a list of flows")]}


def _flow(node: Node) -> list[int] | None:
    fields = node.fields("a flow")
    if "nodes" not in fields:
        raise Fault(node.pointer, 'a flow lacks the key "nodes"')
    nodes = fields["nodes"].items("a list of nodes")
    if not FLOW_BIDS_MIN <= len(nodes) <= FLOW_BIDS_MAX:
        raise Fault(fields["nodes"].pointer, f"a cycle has 2 to {FLOW_BIDS_MAX} bids, not {len(nodes)}")
    legs = [_leg(each) for each in nodes]
    if product(legs) < 1 and any(leg.cap is not None for leg in legs):
        return None
    given = openbarter_flow(legs)
    return None if given is None else list(given)


def _leg(node: Node) -> Leg:
    fields = node.exactly("a node", _NODE_KEYS)
    omega = (fields["qtt_prov"].integer(), fields["qtt_requ"].integer())
    return Leg(
        owner=str(fields["owner"].name()),
        omega=omega,
        cap=omega if fields["type"].limit() else None,
        stock=fields["qtt"].integer(0),
    )


def _show_books(result: dict[str, Any]) -> Iterator[str]:
    for case in result["cases"]:
        yield f"book {case['id'] or '-'}: {len(case['agreements'])} agreements"
        for agreed in case["agreements"]:
            yield f"  bid {agreed['trigger']}"
            for arc in agreed["transfers"]:
                yield f"    {arc['from']} gives {arc['quantity']} {arc['quality']} to {arc['to']}"
        if "cut" in case:
            yield "  a bound cut a search short; a better cycle may exist"


def _show_flows(result: dict[str, Any]) -> Iterator[str]:
    for quantities in result["flows"]:
        yield "no whole quantities" if quantities is None else " ".join(map(str, quantities))
