"""the streak's ledger: rest days, pauses, zones and excused days beside practice."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0005'
down_revision = "0004"
branch_labels = None
depends_on = None

TEXT, TIME = sqlmodel.sql.sqltypes.AutoString(), sqlmodel.sql.sqltypes.UTCDateTime()


def upgrade() -> None:
    op.create_table('mark',
    sa.Column('learner', TEXT, nullable=False),
    sa.Column('at', TIME, nullable=False),
    sa.Column('kind', TEXT, nullable=False),
    sa.Column('about', TEXT, nullable=False),
    sa.Column('zone', TEXT, nullable=False),
    sa.ForeignKeyConstraint(['learner'], ['learner.id'], ),
    sa.PrimaryKeyConstraint('learner', 'at', 'kind', 'about')
    )
    with op.batch_alter_table('practised') as batch_op:
        batch_op.add_column(sa.Column('followup', sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table('learner') as batch_op:
        batch_op.add_column(sa.Column('rest', TEXT, nullable=False, server_default=''))


def downgrade() -> None:
    with op.batch_alter_table('learner') as batch_op:
        batch_op.drop_column('rest')
    with op.batch_alter_table('practised') as batch_op:
        batch_op.drop_column('followup')
    op.drop_table('mark')
