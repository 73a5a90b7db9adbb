"""Imported before Triton: its programs then run on a CPU, in its interpreter.

Triton decides for or against it when its own library is imported, so this has to come first in the
process; test modules are imported before any test runs.
"""

import os

os.environ["TRITON_INTERPRET"] = "1"
