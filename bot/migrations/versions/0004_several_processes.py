"""several processes on one database: who is at work on what, and until when."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0004'
down_revision = "0003"
branch_labels = None
depends_on = None

WAITING = "state IN ('ready', 'retry', 'sending')"
TEXT, TIME = sqlmodel.sql.sqltypes.AutoString(), sqlmodel.sql.sqltypes.UTCDateTime()
INDEXES = {
    'ix_outbox_waiting': ('outbox', ['lane', 'seq'], WAITING),
    'ix_outbox_waiting_chat': ('outbox', ['platform', 'chat', 'seq'], WAITING),
    'ix_outbox_not_before': ('outbox', ['not_before'], "state IN ('ready', 'retry')"),
    'ix_inbox_undone': ('inbox', ['platform', 'person', 'seq'], 'done_at IS NULL'),
}


def upgrade() -> None:
    with op.batch_alter_table('learner') as batch_op:
        batch_op.add_column(sa.Column('turn', sa.Integer(), nullable=False, server_default='0'))
    with op.batch_alter_table('inbox') as batch_op:
        batch_op.add_column(sa.Column('person', TEXT, nullable=False, server_default=''))
        batch_op.add_column(sa.Column('worker', TEXT, nullable=False, server_default=''))
        batch_op.add_column(sa.Column('lease_until', TIME, nullable=True))
    with op.batch_alter_table('outbox') as batch_op:
        batch_op.drop_index('ix_outbox_state_not_before')
        batch_op.drop_index('ix_outbox_chat')
        batch_op.add_column(sa.Column('worker', TEXT, nullable=False, server_default=''))
    # What an earlier version was handling has no person; each update is then one of its own.
    op.execute("UPDATE inbox SET person = 'update ' || key")
    # What an earlier version was sending may have arrived, or not.
    op.execute("UPDATE outbox SET state = 'retry', unsure = true, lease_until = NULL WHERE state = 'sending'")
    for name, (table, columns, where) in INDEXES.items():
        op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    sending = sa.text("state = 'sending'")
    op.create_index('ix_outbox_sending', 'outbox', ['platform', 'chat'], unique=True, sqlite_where=sending, postgresql_where=sending)
    op.create_table('worker',
    sa.Column('id', TEXT, nullable=False),
    sa.Column('platform', TEXT, nullable=False),
    sa.Column('seen_at', TIME, nullable=False),
    sa.PrimaryKeyConstraint('id', 'platform')
    )


def downgrade() -> None:
    op.drop_table('worker')
    op.drop_index('ix_outbox_sending', 'outbox')
    for name, (table, _, _) in INDEXES.items():
        op.drop_index(name, table)
    with op.batch_alter_table('outbox') as batch_op:
        batch_op.drop_column('worker')
        batch_op.create_index('ix_outbox_chat', ['platform', 'chat', 'state', 'seq'], unique=False)
        batch_op.create_index('ix_outbox_state_not_before', ['state', 'not_before'], unique=False)
    with op.batch_alter_table('inbox') as batch_op:
        batch_op.drop_column('person')
        batch_op.drop_column('worker')
        batch_op.drop_column('lease_until')
    with op.batch_alter_table('learner') as batch_op:
        batch_op.drop_column('turn')
