"""Every name that goes over the wire, in one place.

The GenAI conventions of OpenTelemetry are still in development and live in a repository of their own; the
constants that OpenTelemetry's Python package has for them are marked deprecated. So the names are spelt out
here, and a renaming there is one line here.
"""

from __future__ import annotations

from typing import Final

# Operations (`gen_ai.operation.name`), each also the first word of a span's name
INVOKE_WORKFLOW: Final = "invoke_workflow"
INVOKE_AGENT: Final = "invoke_agent"
CHAT: Final = "chat"
EXECUTE_TOOL: Final = "execute_tool"

# Parts of a training job, each the first word of a span's name
JOB: Final = "job"
STAGE: Final = "stage"
PHASE: Final = "phase"
UPDATE: Final = "update"
EVALUATION: Final = "evaluation"

# On every span
OPERATION_NAME: Final = "gen_ai.operation.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
SESSION_ID: Final = "session.id"
SPAN_KIND: Final = "openinference.span.kind"
ERROR_TYPE: Final = "error.type"
OTHER_ERROR: Final = "_OTHER"
"""Value of `error.type` where nothing better is known."""
ABANDONED: Final = "agentkit.abandoned"
"""Value of `error.type` on the root of a trial that a hard limit ended: it is played again when its run is taken up."""

# Workflow and agent
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
AGENT_NAME: Final = "gen_ai.agent.name"

# Request and response of a model
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_SEED: Final = "gen_ai.request.seed"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHED_TOKENS_OLD: Final = "gen_ai.usage.cache_read_input_tokens"
"""What viewers read before the name above was settled."""
TOKEN_TYPE: Final = "gen_ai.token.type"

# Content
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
INPUT_VALUE: Final = "input.value"
"""OpenInference; like the next, what Phoenix shows in its lists and previews."""
OUTPUT_VALUE: Final = "output.value"
OUTPUT_MIME_TYPE: Final = "output.mime_type"

# Tools
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
MCP_METHOD: Final = "mcp.method.name"
"""Like the next two, on calls of tools that an MCP server holds."""
MCP_PROTOCOL: Final = "mcp.protocol.version"
NETWORK_TRANSPORT: Final = "network.transport"

# Grades
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE: Final = "gen_ai.evaluation.score.value"
EVALUATION_LABEL: Final = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"

# Events and metrics
EVALUATION_RESULT: Final = "gen_ai.evaluation.result"
OPERATION_DETAILS: Final = "gen_ai.client.inference.operation.details"
OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
TOKEN_USAGE: Final = "gen_ai.client.token.usage"
TOOL_DURATION: Final = "gen_ai.execute_tool.duration"

# Our own
RUN_ID: Final = "agentkit.run.id"
RUN_SEED: Final = "agentkit.run.seed"
DETERMINISTIC: Final = "agentkit.agent.deterministic"
SCENARIO_ID: Final = "agentkit.scenario.id"
SCENARIO_HASH: Final = "agentkit.scenario.hash"
VARIANT: Final = "agentkit.variant"
TRIAL_INDEX: Final = "agentkit.trial.index"
INSTANCE: Final = "agentkit.trial.instance"
REPEAT: Final = "agentkit.trial.repeat"
TURN_INDEX: Final = "agentkit.turn.index"
PARTY: Final = "agentkit.party"
"""`user` on the model calls of a simulated user; the agent's have none."""
USER_NAME: Final = "agentkit.user.name"
STEP_NAME: Final = "agentkit.step.name"
VERDICT: Final = "agentkit.verdict"
REASON: Final = "agentkit.reason"
DISTURBED: Final = "agentkit.disturbed"
"""On a turn: which of its messages a detour of the catalogue had to do with, by their place, as JSON."""
DISTURBANCES: Final = "agentkit.disturbances"
"""On the root: what became of each detour of the catalogue, as JSON."""
GRADES: Final = "agentkit.grades"
"""How many grades a trial has in all: whoever reads a trace knows whether it has them."""
OUTCOME: Final = "agentkit.outcome"
"""True on the grade of an outcome check; a step has none."""
CHECK: Final = "agentkit.check"
SKILL: Final = "agentkit.skill"
FAULT: Final = "agentkit.fault"

# Of a request that is served
HTTP_STATUS: Final = "http.response.status_code"
REVISION: Final = "agentkit.route.revision"
ARM: Final = "agentkit.route.arm"
TARGET: Final = "agentkit.route.target"
REPLICA: Final = "agentkit.replica"
ATTEMPTS: Final = "agentkit.attempts"

# Training
JOB_ID: Final = "agentkit.job.id"
TARGET_STEP: Final = "agentkit.job.step"
METHOD: Final = "agentkit.train.method"
UPDATE_NUMBER: Final = "agentkit.train.update"
"""On an update and an evaluation: how many updates were done by then, from 1; 0 before the first."""
EVALUATION_PASSED: Final = "agentkit.train.evaluation.passed"
"""Validation prompts that are answered right."""
EVALUATION_GRADED: Final = "agentkit.train.evaluation.graded"
EVALUATION_GUARDED: Final = "agentkit.train.evaluation.guarded"
"""Guards that the base model gets right."""
EVALUATION_LOST: Final = "agentkit.train.evaluation.lost"
"""Of these, those that are wrong now."""
MEAN_TOKENS: Final = "agentkit.train.evaluation.tokens"
"""Of an answer."""
BEST: Final = "agentkit.train.best"
"""Updates after which the best adapter was kept."""
STOPPED: Final = "agentkit.train.stopped"
"""Whether training ended before its time."""
ADAPTER: Final = "agentkit.adapter"
TRAIN: Final = "agentkit.train."
"""Before what the trainer says of an update (`loss`, `reward`, `kl`, `rewards/right_tool/mean`), and before seconds by
part of the work."""
