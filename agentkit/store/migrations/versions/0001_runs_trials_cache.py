"""Runs, trials with their messages and steps, and the cache of judges."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("run", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("agent_hash", sa.Text, nullable=False),
        sa.Column("deterministic", sa.Boolean, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("planned", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("scenarios", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("spent", sa.Text, nullable=False),
        sa.UniqueConstraint("id", name="uq_runs_id"),
    )
    op.create_table(
        "trials",
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.run", name="fk_trials_runs"), nullable=False),
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("scenario", sa.Text, nullable=False),
        sa.Column("variant", sa.Text, nullable=False),
        sa.Column("instance", sa.BigInteger, nullable=False),
        sa.Column("repeat", sa.Integer, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("stop", sa.Text, nullable=False),
        sa.Column("fault", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("variables", sa.Text, nullable=False),
        sa.Column("final_state", sa.Text),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("model_calls", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.Float),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("duration", sa.Float),
        sa.Column("trace_id", sa.Text),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run", "trial", name="pk_trials"),
        sa.UniqueConstraint("id", name="uq_trials_id"),
        sa.UniqueConstraint("run", "scenario", "variant", "instance", "repeat", name="uq_trials_key"),
    )
    op.create_index("ix_trials_scenario_variant", "trials", ["scenario", "variant"])
    op.create_table(
        "messages",
        *_of_trial("messages"),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("tool_calls", sa.Text),
        sa.Column("tool_call_id", sa.Text),
        sa.Column("name", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("reasoning", sa.Text),
        sa.Column("span_id", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("cached_tokens", sa.BigInteger),
        sa.Column("cost", sa.Float),
        sa.Column("latency", sa.Float),
        sa.Column("attempts", sa.Integer),
        sa.Column("finish_reason", sa.Text),
        sa.Column("response_id", sa.Text),
    )
    op.create_table(
        "steps",
        *_of_trial("steps"),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("check_name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("turn", sa.Integer),
        sa.Column("skill", sa.Text),
        sa.Column("expected", sa.Text),
        sa.Column("found", sa.Text),
        sa.Column("fault", sa.Text),
        sa.Column("span_id", sa.Text),
    )
    op.create_table(
        "cache",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _of_trial(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("run", "trial", "position", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["run", "trial"], ["trials.run", "trials.trial"], name=f"fk_{table}_trials"),
    ]
