"""When this process began to read the source code of the package.

The package imports this before all else: a source file that is younger may hold another code than
the process runs.
"""

from __future__ import annotations

import time

IMPORTED_AT = time.time()
"""In seconds of the epoch."""
