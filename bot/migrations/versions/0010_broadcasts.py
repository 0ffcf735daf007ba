"""messages of the owner to everybody."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0010'
down_revision = "0009"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString()


def upgrade() -> None:
    op.create_table('broadcast',
    sa.Column('id', TEXT, nullable=False),
    sa.Column('text', TEXT, nullable=False),
    sa.Column('at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('state', TEXT, nullable=False),
    sa.PrimaryKeyConstraint('id')
    )


def downgrade() -> None:
    op.drop_table('broadcast')
