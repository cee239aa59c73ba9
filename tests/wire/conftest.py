"""Lets the wire tests share `wire_streams`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
