"""The safety gate: every trajectory is checked, repaired or refused before it leaves."""

from nextscale_core.safety.feasibility import Feasibility
from nextscale_core.safety.gate import SafetyGate
from nextscale_core.safety.report import Finding, GateResult, SafetyReport

__all__ = ["Feasibility", "Finding", "GateResult", "SafetyGate", "SafetyReport"]
