"""Exported models as scorers: what another tool has trained, judged by Driftline's thresholds, gate and ledger."""
