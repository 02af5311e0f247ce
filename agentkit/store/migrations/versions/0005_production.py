"""Production: what passed through the router, feedback, the route table, keys, and the loop's decisions."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "exchanges",
        sa.Column("exchange", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("conversation", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("target_kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("replica", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("response", sa.Text),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("finish_reason", sa.Text),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("latency", sa.Float, nullable=False),
        sa.Column("first_token", sa.Float),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("user", sa.Text),
        sa.Column("trace_id", sa.Text),
        sa.Column("span_id", sa.Text),
        sa.UniqueConstraint("id", name="uq_exchanges_id"),
    )
    op.create_table(
        "feedback",
        sa.Column("feedback", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("conversation", sa.Text, nullable=False),
        sa.Column("response", sa.Text),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("answer", sa.Text),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("details", sa.Text),
        sa.UniqueConstraint("id", name="uq_feedback_id"),
    )
    op.create_table(
        "forgotten",
        sa.Column("user", sa.Text, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
    )
    op.create_table(
        "revisions",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("routes", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("parent", sa.Integer),
        sa.Column("evidence", sa.Text),
    )
    op.create_table(
        "pins",
        sa.Column("conversation", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("seen_at", sa.Text, nullable=False),
        sa.Column("repinned_from", sa.Integer),
    )
    op.create_table(
        "keys",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("admin", sa.Boolean, nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("revoked_at", sa.Text),
        sa.UniqueConstraint("hash", name="uq_keys_hash"),
    )
    op.create_table(
        "decisions",
        sa.Column("decision", sa.Integer, primary_key=True),
        sa.Column("turn", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
    )
    op.create_index("ix_exchanges_conversation", "exchanges", ["conversation"])
    op.create_index("ix_exchanges_at", "exchanges", ["at"])
    op.create_index("ix_exchanges_user", "exchanges", ["user"])
    op.create_index("ix_exchanges_revision_agent_step", "exchanges", ["revision", "agent", "step"])
    op.create_index("ix_feedback_conversation", "feedback", ["conversation"])
    op.create_index("ix_feedback_response", "feedback", ["response"])
    op.create_index("ix_pins_revision_seen_at", "pins", ["revision", "seen_at"])
    op.create_index("ix_decisions_turn", "decisions", ["turn"])
