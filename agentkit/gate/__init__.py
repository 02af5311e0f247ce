"""Ship or not: two versions compared, with a verdict that holds its error rates. See README.md beside this file.

Pure functions over plain, frozen records; but for the baseline file, only `project` reads or writes anything.
"""

from __future__ import annotations

from agentkit.gate.adaptive import next_cells, next_trials
from agentkit.gate.baseline import read_baseline, write_baseline
from agentkit.gate.difference import Difference, difference
from agentkit.gate.judge_calibration import Calibration, Corrected, calibrate, corrected_rate
from agentkit.gate.judged import Judged, Outcome
from agentkit.gate.multiple import benjamini_hochberg, holm
from agentkit.gate.pairs import Matched, match
from agentkit.gate.plan import Plan, non_inferiority_power, plan_drop, plan_trials
from agentkit.gate.quarantine import Quarantine, in_force, read_quarantines
from agentkit.gate.recorded import Played, Recorded
from agentkit.gate.sequential import Next, Round, Rule, judge_round
from agentkit.gate.settings import GateSettings
from agentkit.gate.sprt import Sprt
from agentkit.gate.verdict import GateVerdict, judge

__all__ = [
    "Calibration",
    "Corrected",
    "Difference",
    "GateSettings",
    "GateVerdict",
    "Judged",
    "Matched",
    "Next",
    "Outcome",
    "Plan",
    "Played",
    "Quarantine",
    "Recorded",
    "Round",
    "Rule",
    "Sprt",
    "benjamini_hochberg",
    "calibrate",
    "corrected_rate",
    "difference",
    "holm",
    "in_force",
    "judge",
    "judge_round",
    "match",
    "next_cells",
    "next_trials",
    "non_inferiority_power",
    "plan_drop",
    "plan_trials",
    "read_baseline",
    "read_quarantines",
    "write_baseline",
]
