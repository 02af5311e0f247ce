"""Conversations that were forgotten with a user, by hash."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "forgotten_conversations",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
    )
