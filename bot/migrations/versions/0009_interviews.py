"""mock interviews, investigations, and how sure a learner was."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0009'
down_revision = "0008"
branch_labels = None
depends_on = None

TEXT, TIME = sqlmodel.sql.sqltypes.AutoString(), sqlmodel.sql.sqltypes.UTCDateTime()
WAITS = sa.text('nudge_at IS NOT NULL')


def upgrade() -> None:
    with op.batch_alter_table('asked') as batch_op:
        batch_op.add_column(sa.Column('interview', TEXT, nullable=False, server_default=''))
        batch_op.add_column(sa.Column('sure', sa.Integer(), nullable=False, server_default='0'))
        batch_op.create_index('ix_asked_interview', ['interview'], sqlite_where=sa.text("interview <> ''"), postgresql_where=sa.text("interview <> ''"))
    op.create_table('interview',
    sa.Column('id', TEXT, nullable=False),
    sa.Column('learner', TEXT, nullable=False),
    sa.Column('platform', TEXT, nullable=False),
    sa.Column('user', TEXT, nullable=False),
    sa.Column('chat', TEXT, nullable=False),
    sa.Column('started_at', TIME, nullable=False),
    sa.Column('track', TEXT, nullable=False),
    sa.Column('minutes', sa.Integer(), nullable=False),
    sa.Column('level', sa.Integer(), nullable=False),
    sa.Column('format', TEXT, nullable=False),
    sa.Column('real', sa.Boolean(), nullable=False),
    sa.Column('state', TEXT, nullable=False),
    sa.Column('ended_at', TIME, nullable=True),
    sa.Column('nudge_at', TIME, nullable=True),
    sa.ForeignKeyConstraint(['learner'], ['learner.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('ix_interview_learner', 'interview', ['learner'])
    op.create_index('ix_interview_nudge_at', 'interview', ['nudge_at'], sqlite_where=WAITS, postgresql_where=WAITS)
    op.create_table('investigation',
    sa.Column('id', TEXT, nullable=False),
    sa.Column('learner', TEXT, nullable=False),
    sa.Column('asked', TEXT, nullable=False),
    sa.Column('incident', TEXT, nullable=False),
    sa.Column('at', TIME, nullable=False),
    sa.Column('course', TEXT, nullable=False),
    sa.ForeignKeyConstraint(['learner'], ['learner.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('ix_investigation_learner', 'investigation', ['learner'])
    op.create_index('ix_investigation_asked', 'investigation', ['asked'])


def downgrade() -> None:
    op.drop_table('investigation')
    op.drop_table('interview')
    with op.batch_alter_table('asked') as batch_op:
        batch_op.drop_index('ix_asked_interview')
        batch_op.drop_column('sure')
        batch_op.drop_column('interview')
