"""spoken replies, what was heard of voice notes, and who wants to hear questions."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0011'
down_revision = "0010"
branch_labels = None
depends_on = None

TEXT, TIME = sqlmodel.sql.sqltypes.AutoString(), sqlmodel.sql.sqltypes.UTCDateTime()


def upgrade() -> None:
    with op.batch_alter_table('learner') as batch_op:
        batch_op.add_column(sa.Column('aloud', sa.Boolean(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('at_once', sa.Boolean(), nullable=False, server_default='0'))
    with op.batch_alter_table('attempt') as batch_op:
        batch_op.add_column(sa.Column('spoken', sa.Boolean(), nullable=False, server_default='0'))
    op.create_table('dictation',
    sa.Column('learner', TEXT, nullable=False),
    sa.Column('id', TEXT, nullable=False),
    sa.Column('asked', TEXT, nullable=False),
    sa.Column('text', TEXT, nullable=False),
    sa.Column('at', TIME, nullable=False),
    sa.Column('pace', TEXT, nullable=False),
    sa.ForeignKeyConstraint(['learner'], ['learner.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('learner')
    )


def downgrade() -> None:
    op.drop_table('dictation')
    with op.batch_alter_table('attempt') as batch_op:
        batch_op.drop_column('spoken')
    with op.batch_alter_table('learner') as batch_op:
        batch_op.drop_column('at_once')
        batch_op.drop_column('aloud')
