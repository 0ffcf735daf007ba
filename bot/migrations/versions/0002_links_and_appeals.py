"""links between addresses, appeals and flags."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    text, instant = sqlmodel.sql.sqltypes.AutoString, sqlmodel.sql.sqltypes.UTCDateTime
    op.create_table('link_code',
    sa.Column('fingerprint', text(), nullable=False),
    sa.Column('learner', text(), nullable=False),
    sa.Column('platform', text(), nullable=False),
    sa.Column('user', text(), nullable=False),
    sa.Column('chat', text(), nullable=False),
    sa.Column('expires_at', instant(), nullable=False),
    sa.ForeignKeyConstraint(['learner'], ['learner.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('fingerprint'),
    sa.UniqueConstraint('learner')
    )
    op.create_table('link_try',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('learner', text(), nullable=False),
    sa.Column('platform', text(), nullable=False),
    sa.Column('user', text(), nullable=False),
    sa.Column('at', instant(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('link_try', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_link_try_at'), ['at'], unique=False)

    op.create_table('flag',
    sa.Column('id', text(), nullable=False),
    sa.Column('learner', text(), nullable=False),
    sa.Column('question', text(), nullable=False),
    sa.Column('followup', text(), nullable=False),
    sa.Column('attempt', text(), nullable=False),
    sa.Column('attempt_before', text(), nullable=False),
    sa.Column('reason', text(), nullable=False),
    sa.Column('at', instant(), nullable=False),
    sa.ForeignKeyConstraint(['learner'], ['learner.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('flag', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_flag_learner'), ['learner'], unique=False)

    op.create_table('appeal',
    sa.Column('attempt', text(), nullable=False),
    sa.Column('point', text(), nullable=False),
    sa.Column('span', text(), nullable=False),
    sa.Column('start', sa.Integer(), nullable=False),
    sa.Column('end', sa.Integer(), nullable=False),
    sa.Column('before', text(), nullable=False),
    sa.Column('after', text(), nullable=False),
    sa.Column('at', instant(), nullable=False),
    sa.Column('outcome', text(), nullable=False),
    sa.Column('grade', text(), nullable=False),
    sa.Column('copied', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['attempt'], ['attempt.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('attempt', 'point')
    )


def downgrade() -> None:
    op.drop_table('appeal')
    with op.batch_alter_table('flag', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_flag_learner'))

    op.drop_table('flag')
    with op.batch_alter_table('link_try', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_link_try_at'))

    op.drop_table('link_try')
    op.drop_table('link_code')
