"""what waits is found by its platform: thousands of messages to one cost another nothing."""

import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = "0011"
branch_labels = None
depends_on = None

WAITING, READY = sa.text("state IN ('ready', 'retry', 'sending')"), sa.text("state IN ('ready', 'retry')")


def upgrade() -> None:
    op.drop_index('ix_outbox_waiting', 'outbox')
    op.drop_index('ix_outbox_not_before', 'outbox')
    op.create_index('ix_outbox_waiting', 'outbox', ['platform', 'lane', 'seq'], sqlite_where=WAITING, postgresql_where=WAITING)
    op.create_index('ix_outbox_not_before', 'outbox', ['platform', 'not_before'], sqlite_where=READY, postgresql_where=READY)


def downgrade() -> None:
    op.drop_index('ix_outbox_waiting', 'outbox')
    op.drop_index('ix_outbox_not_before', 'outbox')
    op.create_index('ix_outbox_waiting', 'outbox', ['lane', 'seq'], sqlite_where=WAITING, postgresql_where=WAITING)
    op.create_index('ix_outbox_not_before', 'outbox', ['not_before'], sqlite_where=READY, postgresql_where=READY)
