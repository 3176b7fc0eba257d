"""`python -m bench.overhead`: see `bench.overhead.measuring`."""

import sys

from bench.overhead.measuring import main

sys.exit(main())
