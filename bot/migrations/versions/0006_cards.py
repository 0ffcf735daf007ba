"""cards, why a question was chosen, and the day of the interview."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0006'
down_revision = "0005"
branch_labels = None
depends_on = None

TEXT, TIME = sqlmodel.sql.sqltypes.AutoString(), sqlmodel.sql.sqltypes.UTCDateTime()


def upgrade() -> None:
    op.create_table('card',
    sa.Column('learner', TEXT, nullable=False),
    sa.Column('question', TEXT, nullable=False),
    sa.Column('due', TIME, nullable=False),
    sa.Column('reviewed_at', TIME, nullable=False),
    sa.Column('seen_at', TIME, nullable=False),
    sa.Column('stability', sa.Float(), nullable=False),
    sa.Column('difficulty', sa.Float(), nullable=False),
    sa.Column('score', sa.Integer(), nullable=False),
    sa.Column('reviews', sa.Integer(), nullable=False),
    sa.Column('lapses', sa.Integer(), nullable=False),
    sa.Column('points', TEXT, nullable=False),
    sa.ForeignKeyConstraint(['learner'], ['learner.id'], ),
    sa.PrimaryKeyConstraint('learner', 'question')
    )
    with op.batch_alter_table('asked') as batch_op:
        batch_op.add_column(sa.Column('reason', TEXT, nullable=False, server_default=''))
        batch_op.add_column(sa.Column('focus', TEXT, nullable=False, server_default=''))
    with op.batch_alter_table('learner') as batch_op:
        batch_op.add_column(sa.Column('interview_on', sa.Date(), nullable=True))
    op.create_index('ix_attempt_learner_question_at', 'attempt', ['learner', 'question', 'at'])


def downgrade() -> None:
    op.drop_index('ix_attempt_learner_question_at', 'attempt')
    with op.batch_alter_table('learner') as batch_op:
        batch_op.drop_column('interview_on')
    with op.batch_alter_table('asked') as batch_op:
        batch_op.drop_column('focus')
        batch_op.drop_column('reason')
    op.drop_table('card')
