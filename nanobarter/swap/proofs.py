"""The one proof against a proposer: it agreed twice. What issuers prove against themselves is in ``mint.proofs``."""

from nanobarter.core.canonical import Record
from nanobarter.core.errors import Malformed
from nanobarter.core.keys import Signed
from nanobarter.mint.proofs.verdict import Convicted, NotProven, Verdict, need
from nanobarter.swap.terms import agreement_of


class TwoAgreed(Record, frozen=True, tag="agreed"):
    """It signed two AGREED for one draft, so that each party may believe another ring."""

    first: Signed
    second: Signed


def verify_agreed(proof: TwoAgreed) -> Verdict:
    """Return what the proof comes to. A proposer records its AGREED before anybody sees it, so it has but one."""
    try:
        one, two = agreement_of(proof.first), agreement_of(proof.second)
        need(proof.first.key == proof.second.key, "the agreements are of two proposers")
        need(one.draft_id == two.draft_id, "the agreements are for two drafts")
        need(proof.first.body != proof.second.body, "it is one agreement twice")
    except Malformed as error:
        return NotProven(str(error))
    return Convicted(proof.first.signer, f"it agreed twice to draft {one.draft_id.hex()[:16]}")
