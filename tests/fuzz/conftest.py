"""How hard to try: `ci` is the same few examples each time; `long` is for `make fuzz`.

No example has a deadline: a machine under load is no bug. What is too slow by its nature is found
by inputs of a size at which it would never end (`test_long_input`).
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("long", settings.get_profile("ci"), derandomize=False, max_examples=400)
settings.load_profile(os.environ.get("LINNIX_FUZZ", "ci"))
