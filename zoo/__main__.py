"""`python -m zoo` is `bptt-zoo`."""

import sys

from zoo.cli import main

sys.exit(main())
