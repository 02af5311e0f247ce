"""Whose turn a decision of the loop is; those from before are nobody's."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("decisions", sa.Column("agent", sa.Text, nullable=False, server_default=""))
