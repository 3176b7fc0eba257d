"""Three rounds of the soak: what comes and goes leaves nothing with the agent."""

import pytest

from bench.soak import __main__ as soak
from bench.soak.verdict import COUNTED


@pytest.mark.e2e
@pytest.mark.ebpf
@pytest.mark.asyncio
@pytest.mark.timeout(300)
async def test_what_comes_and_goes_leaves_nothing_with_the_agent():
    """Storms of two users, some without their client, an editor that is told of a runaway, and one
    that plays with probes; killed, some of them, in the midst of it."""
    result = await soak.measure(
        0, seed=4, names=("storm", "client", "editor", "playing"), storm_size=500, n_probes=1
    )
    first, *_, last = result["rests"]
    assert result["problems"] == []
    assert "\n".join(result["complaints"]) == ""
    assert result["left"] == []
    assert last["n_stale_entries"] == 0
    for role in ("agent", "probes", "server"):
        for what in COUNTED:
            assert last["roles"][role][what] <= first["roles"][role][what], (role, what)
    assert last["n_processes"] == first["n_processes"] == 3
    assert last["n_files"] <= first["n_files"]
    assert result["done"]["processes of storms"] >= 3 * 500
    assert sum(n for what, n in result["done"].items() if what.startswith("diagnostics")) == 3
