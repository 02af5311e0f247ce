"""The tables of the store, as portable SQLAlchemy Core.

A change here needs a new numbered file in `migrations/versions` and a new `HEAD` in `migrate.py`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# JSON is kept as text: the databases then agree on NUL escapes and big numbers.
Json = Text

runs = Table(
    "runs",
    metadata,
    Column("run", Integer, primary_key=True),  # order of creation: `last` is the greatest
    Column("id", Text, nullable=False, unique=True),
    Column("agent", Text, nullable=False),
    Column("agent_hash", Text, nullable=False),
    Column("deterministic", Boolean, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("planned", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("settings", Json, nullable=False),
    Column("versions", Json, nullable=False),
    Column("scenarios", Json, nullable=False),
    Column("status", Text, nullable=False),
    Column("spent", Json, nullable=False),
)

# Trials, messages and steps are keyed by small numbers (the run's, the trial's place in it, the place in the
# trial), so that a run reads in its order straight from the primary keys.
trials = Table(
    "trials",
    metadata,
    Column("run", Integer, ForeignKey("runs.run"), primary_key=True, autoincrement=False),
    Column("trial", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("scenario", Text, nullable=False),
    Column("variant", Text, nullable=False),
    Column("instance", BigInteger, nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("stop", Text, nullable=False),
    Column("fault", Text),
    Column("reason", Text, nullable=False),
    Column("variables", Json, nullable=False),
    Column("final_state", Json),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("model_calls", BigInteger, nullable=False),
    Column("cost", Float),
    Column("started_at", Text, nullable=False),
    Column("duration", Float),
    Column("trace_id", Text),
    Column("conversation_id", Text, nullable=False),
    Column("disturbances", Json),
    Column("fork", Json),
    # What makes a trial itself, and by its prefix the index for (run, scenario, variant).
    UniqueConstraint("run", "scenario", "variant", "instance", "repeat", name="uq_trials_key"),
    # The history of a step across runs: its trials here, their steps by primary key.
    Index(None, "scenario", "variant"),
)


def _of_trial() -> tuple[Column[int], Column[int], Column[int], ForeignKeyConstraint]:
    return (
        Column("run", Integer, primary_key=True, autoincrement=False),
        Column("trial", Integer, primary_key=True, autoincrement=False),
        Column("position", Integer, primary_key=True, autoincrement=False),
        ForeignKeyConstraint(["run", "trial"], ["trials.run", "trials.trial"]),
    )


messages = Table(
    "messages",
    metadata,
    *_of_trial(),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("tool_calls", Json),
    Column("tool_call_id", Text),
    Column("name", Text),
    Column("error", Text),
    Column("reasoning", Text),
    Column("span_id", Text),
    # Of the request that produced it; NULL in `model` where none did.
    Column("model", Text),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("cost", Float),
    Column("latency", Float),
    Column("attempts", Integer),
    Column("finish_reason", Text),
    Column("response_id", Text),
    Column("failures", Json),
    Column("duration", Float),
    Column("planted", Text),
    Column("original", Text),
)

steps = Table(
    "steps",
    metadata,
    *_of_trial(),
    Column("kind", Text, nullable=False),  # 'step', or 'outcome' for an outcome check
    Column("step", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("check_name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("score", Float),
    Column("turn", Integer),
    Column("skill", Text),
    Column("expected", Json),
    Column("found", Json),
    Column("fault", Text),
    Column("span_id", Text),
)

cache = Table(
    "cache",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

adapters = Table(
    "adapters",
    metadata,
    Column("adapter", Integer, primary_key=True),  # order of registration
    Column("name", Text, nullable=False, unique=True),
    Column("step", Text, nullable=False),
    Column("scenarios", Json, nullable=False),
    Column("base", Text, nullable=False),
    Column("base_hash", Text, nullable=False),
    Column("parents", Json, nullable=False),
    Column("job", Text),
    Column("path", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("manifest_hash", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("card", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("certificate", Json),
)

jobs = Table(
    "jobs",
    metadata,
    Column("job", Integer, primary_key=True),  # order of creation: `last` is the greatest
    Column("id", Text, nullable=False, unique=True),
    Column("step", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Column("settings", Json, nullable=False),
    Column("status", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("pid", BigInteger),
    Column("result", Json),
)

exchanges = Table(
    "exchanges",
    metadata,
    Column("exchange", Integer, primary_key=True),  # order of recording
    Column("id", Text, nullable=False, unique=True),
    Column("conversation", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("arm", Text, nullable=False),
    Column("target_kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("replica", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("request", Json, nullable=False),
    Column("response", Json),
    Column("status", Integer, nullable=False),
    Column("error", Text),
    Column("finish_reason", Text),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("latency", Float, nullable=False),
    Column("first_token", Float),
    Column("attempts", Integer, nullable=False),
    Column("user", Text),
    Column("trace_id", Text),
    Column("span_id", Text),
    Index(None, "conversation"),
    Index(None, "at"),
    Index(None, "user"),
    # What the canary reads: one step's exchanges since a revision.
    Index(None, "revision", "agent", "step"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("feedback", Integer, primary_key=True),  # order of recording
    Column("id", Text, nullable=False, unique=True),
    Column("at", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("conversation", Text, nullable=False),
    Column("response", Text),
    Column("step", Text, nullable=False),
    Column("value", Float),
    Column("answer", Json),
    Column("text", Text, nullable=False),
    Column("details", Json),
    Index(None, "conversation"),
    Index(None, "response"),
)

# A user who asked to be forgotten, by pseudonym: what arrives of them later is not kept either.
forgotten = Table(
    "forgotten",
    metadata,
    Column("user", Text, primary_key=True),
    Column("at", Text, nullable=False),
)

# A conversation that was forgotten with a user: later requests repeat what was said in it, whomever they name.
forgotten_conversations = Table(
    "forgotten_conversations",
    metadata,
    Column("hash", Text, primary_key=True),  # SHA-256 of its id
    Column("at", Text, nullable=False),
)

revisions = Table(
    "revisions",
    metadata,
    # Given by whoever writes, one more than the greatest: of two at once, one finds it taken.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("routes", Json, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("parent", Integer),
    Column("evidence", Json),
)

pins = Table(
    "pins",
    metadata,
    Column("conversation", Text, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("arm", Text, nullable=False),
    Column("seen_at", Text, nullable=False),
    Column("repinned_from", Integer),
    Index(None, "revision", "seen_at"),
)

keys = Table(
    "keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),  # SHA-256 of the key: it is random and long
    Column("admin", Boolean, nullable=False),
    Column("limits", Json, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("revoked_at", Text),
)

# What a turn of the loop decided, and on what evidence.
decisions = Table(
    "decisions",
    metadata,
    Column("decision", Integer, primary_key=True),  # order of recording
    Column("turn", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Index(None, "turn"),
)
