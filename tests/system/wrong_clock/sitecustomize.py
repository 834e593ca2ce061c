"""Makes the wall clock of one process wrong: for P45, in tests and in chaos.

With this folder first in PYTHONPATH a Python process imports this before anything else.  CLOCK_OFFSET_FILE names a file
with a number of seconds; `time.time()` and `time.time_ns()`, and with them `app.clock.utc_now`, are so far ahead
(negative: behind) from the moment the file says so.  Write the number beside it and rename it into place.  The
monotonic clock and CLOCK_BOOTTIME stay right, as they do on a machine whose clock somebody sets.
"""

import os
import time

LOOK_EVERY_S = 0.05

_path = os.environ.get("CLOCK_OFFSET_FILE", "")
_own_time, _own_time_ns, _monotonic = time.time, time.time_ns, time.monotonic
_offset_s = 0.0
_looked_at_s = float("-inf")


def _offset() -> float:
    global _offset_s, _looked_at_s
    if _monotonic() - _looked_at_s > LOOK_EVERY_S:
        _looked_at_s = _monotonic()
        try:
            with open(_path) as file:
                _offset_s = float(file.read() or 0)
        except FileNotFoundError:
            _offset_s = 0.0
    return _offset_s


if _path:
    time.time = lambda: _own_time() + _offset()
    time.time_ns = lambda: _own_time_ns() + int(_offset() * 1e9)
