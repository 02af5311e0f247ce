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
