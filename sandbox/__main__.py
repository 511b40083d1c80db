"""`python -m sandbox`: run the simulated Glopal and the simulated store until told to stop."""

import os
import sys

from sandbox.server import main

# The only place of the sandbox that reads the environment; an option on the command line has the last word.
_TOKENS = {"SANDBOX_GLOPAL_KEY": "--token", "SANDBOX_STORE_TOKEN": "--store-token"}
_given = [part for name, option in _TOKENS.items() if name in os.environ for part in (option, os.environ[name])]

sys.exit(main([*_given, *sys.argv[1:]]))
