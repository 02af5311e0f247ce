"""What was played, kept in a database so that it survives the process.

The only package that knows SQLAlchemy and Alembic. See README.md beside this file.
"""

from agentkit.store.adapters import NEXT_STATES
from agentkit.store.exchanges import Traffic
from agentkit.store.expenses import ExpenseRow
from agentkit.store.forget import Forgotten
from agentkit.store.grades import DetourRow, GradeRow, StepRow, grade_row
from agentkit.store.heads import Head
from agentkit.store.observed import SeenExchange, SeenLabel
from agentkit.store.routes import Outrun, stamp
from agentkit.store.store import DEFAULT_URL, Store

__all__ = [
    "DEFAULT_URL",
    "NEXT_STATES",
    "DetourRow",
    "ExpenseRow",
    "Forgotten",
    "GradeRow",
    "Head",
    "Outrun",
    "SeenExchange",
    "SeenLabel",
    "StepRow",
    "Store",
    "Traffic",
    "grade_row",
    "stamp",
]
