"""the weekly message of learners, and the weekly board of servers."""

from datetime import UTC, datetime

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0007'
down_revision = "0006"
branch_labels = None
depends_on = None

TIME = sqlmodel.sql.sqltypes.UTCDateTime()


def upgrade() -> None:
    with op.batch_alter_table('learner') as batch_op:
        batch_op.add_column(sa.Column('week_day', sa.Integer(), nullable=True, server_default='6'))
        batch_op.add_column(sa.Column('week_minute', sa.Integer(), nullable=False, server_default='1080'))
        batch_op.add_column(sa.Column('next_week_at', TIME, nullable=True))
        batch_op.create_index('ix_learner_next_week_at', ['next_week_at'], unique=False)
    with op.batch_alter_table('quiz_setup') as batch_op:
        batch_op.add_column(sa.Column('board_day', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('board_minute', sa.Integer(), nullable=False, server_default='1080'))
        batch_op.add_column(sa.Column('next_board_at', TIME, nullable=True))
        batch_op.create_index('ix_quiz_setup_next_board_at', ['next_board_at'], unique=False)
    # Looked at once, at an instant that is hardly theirs, everybody is moved to their own next Sunday.
    learner = sa.table('learner', sa.column('next_week_at', TIME))
    op.execute(sa.update(learner).values(next_week_at=datetime(2026, 1, 1, tzinfo=UTC)))


def downgrade() -> None:
    with op.batch_alter_table('quiz_setup') as batch_op:
        batch_op.drop_index('ix_quiz_setup_next_board_at')
        for name in ('next_board_at', 'board_minute', 'board_day'):
            batch_op.drop_column(name)
    with op.batch_alter_table('learner') as batch_op:
        batch_op.drop_index('ix_learner_next_week_at')
        for name in ('next_week_at', 'week_minute', 'week_day'):
            batch_op.drop_column(name)
