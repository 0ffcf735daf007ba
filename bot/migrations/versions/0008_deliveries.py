"""why a message was given up, and how far each private chat was read."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0008'
down_revision = "0007"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString()


def upgrade() -> None:
    with op.batch_alter_table('outbox') as batch_op:
        batch_op.add_column(sa.Column('reason', TEXT, nullable=False, server_default=''))
    op.create_table('chat',
    sa.Column('platform', TEXT, nullable=False),
    sa.Column('user', TEXT, nullable=False),
    sa.Column('chat', TEXT, nullable=False),
    sa.Column('last', TEXT, nullable=False),
    sa.Column('used_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('platform', 'user')
    )


def downgrade() -> None:
    op.drop_table('chat')
    with op.batch_alter_table('outbox') as batch_op:
        batch_op.drop_column('reason')
