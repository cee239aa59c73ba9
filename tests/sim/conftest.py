"""Lets the simulator's tests share `sim_clients`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
