"""The database: what is said when there can be none."""

from __future__ import annotations

import pytest

from app.errors import SettingsFault
from app.records.database import Database, DatabaseUnavailable


def test_p23_a_database_folder_that_cannot_be_made_is_told_without_a_traceback() -> None:
    """`app.serving` tells these two kinds in a sentence; everything else reaches the operator as a traceback."""
    with pytest.raises((SettingsFault, DatabaseUnavailable)):
        Database("sqlite:////proc/no-such-folder/channel.db")
