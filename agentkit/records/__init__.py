"""The plain, frozen records that stages hand to each other. Nothing here does any work.

A *run* plays one agent. A *trial* is one play of one *instance* (a scenario's variant with its variables drawn from a
seed). A *step* is one thing the agent must get right, graded once per trial. The terms are explained in
`agentkit/measure/README.md`.
"""

from agentkit.records.adapters import (
    Adapter,
    AdapterName,
    AdapterState,
    Job,
    JobId,
    JobStatus,
    step_name,
)
from agentkit.records.conversation import (
    Message,
    ModelCall,
    ToolCall,
    ToolSpec,
    Usage,
)
from agentkit.records.keys import ApiKey, KeyLimits
from agentkit.records.loop import Decision, TurnId
from agentkit.records.played import (
    CATALOGUE_WORDS,
    GOLDEN,
    OWN_WORDS,
    Disturbance,
    Effect,
    Fork,
    ForkKind,
    Party,
    Run,
    RunId,
    Status,
    StepGrade,
    Stop,
    Trial,
    TrialId,
    TrialKey,
    Verdict,
)
from agentkit.records.routing import (
    ANY,
    Arm,
    ConversationId,
    Pin,
    Revision,
    Route,
    Target,
    TargetKind,
)
from agentkit.records.traffic import (
    Exchange,
    Feedback,
    FeedbackKind,
    ResponseId,
    Source,
)

__all__ = [
    "ANY",
    "CATALOGUE_WORDS",
    "GOLDEN",
    "OWN_WORDS",
    "Adapter",
    "AdapterName",
    "AdapterState",
    "ApiKey",
    "Arm",
    "ConversationId",
    "Decision",
    "Disturbance",
    "Effect",
    "Exchange",
    "Feedback",
    "FeedbackKind",
    "Fork",
    "ForkKind",
    "Job",
    "JobId",
    "JobStatus",
    "KeyLimits",
    "Message",
    "ModelCall",
    "Party",
    "Pin",
    "ResponseId",
    "Revision",
    "Route",
    "Run",
    "RunId",
    "Source",
    "Status",
    "StepGrade",
    "Stop",
    "Target",
    "TargetKind",
    "ToolCall",
    "ToolSpec",
    "Trial",
    "TrialId",
    "TrialKey",
    "TurnId",
    "Usage",
    "Verdict",
    "step_name",
]
