"""The tables: what has to outlive a process.

Times are aware UTC and stored as whole milliseconds; structures are stored as JSON bytes.  No table
holds an address of Pipe17 traffic except the body of a delivery that is still owed (R19).
"""

from importlib import import_module
from pkgutil import iter_modules

from app.records.tables.columns import metadata

__all__ = ["metadata"]

for module in iter_modules(__path__):  # so that `metadata` has all tables
    import_module(f"{__name__}.{module.name}")
