"""`python -m sandbox`: run the simulated Glopal and the simulated store until told to stop."""

import sys

from sandbox.server import main

sys.exit(main())
