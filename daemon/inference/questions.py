"""Whether people are asked about a frame, by what the label budget has left."""

from __future__ import annotations

from daemon.ledger.ledger import Ledger
from daemon.settings.models import PolicySettings
from policies.ask import asked
from policies.verdict import Decision, Verdict

HOUR_MS = 3_600_000


def is_asked(ledger: Ledger, policy: PolicySettings, decision: Decision, disputed: bool, now_ms: int) -> bool:
    """Whether to ask about a scored frame that is not audited, judged at `now_ms` (Unix, ms)."""
    lately = ledger.asked_between(now_ms - HOUR_MS, now_ms)
    used = lately / policy.asks_per_hour if policy.asks_per_hour else 1.0
    p_value = decision.p_value or 1.0
    odd = decision.verdict is Verdict.OK and p_value <= policy.review_rate
    reviewed = ledger.reviewed_share() if odd else 0.0  # of others it decides nothing
    return asked(decision.verdict, p_value, used, reviewed, policy.review_rate, disputed)
