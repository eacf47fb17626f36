"""On the way of one streamed request stand few classes of our own, so that it stays short."""

import json
import subprocess
import sys
import textwrap

from holymon.plan.plan import Open, Plan, Prompts
from holymon.plan.shapes import constant
from holymon.records import run_folder

CALLS = 600
MOST = 16
TRIES = 3  # on a machine that becomes busy each call is among the slowest so far, which are noted
# Counts by class whose methods are entered while the load goes on, in the process that measures.
COUNTING = textwrap.dedent("""
    import json, sys
    from collections import Counter
    from holymon.load import worker
    from holymon.load.engine import Load

    entered, run, owners = Counter(), Load.run, {}

    def owner(own, code):
        for kind in type(own).__mro__:
            for made in vars(kind).values():
                made = getattr(made, "fget", None) or made
                if getattr(made, "__code__", None) is code:
                    return f"{kind.__module__}.{kind.__qualname__}"
        return ""

    def entering(frame, event, _):
        if event == "call" and "self" in frame.f_locals:
            own, code = frame.f_locals["self"], frame.f_code
            key = type(own), code
            if key not in owners:
                owners[key] = owner(own, code)
            entered[owners[key]] += 1

    async def profiled(load):
        sys.setprofile(entering)
        try:
            return await run(load)
        finally:
            sys.setprofile(None)

    Load.run = profiled
    worker.main([sys.argv[1]])
    print(json.dumps({name: n for name, n in entered.items() if name.startswith("holymon.")}))
""")


def entered_in_a_load(target, out):
    """How often methods of each class were entered in a load of `CALLS` calls, all of them good."""
    plan = Plan(
        targets=(target,), load=Open(constant(150), max_in_flight=CALLS), requests=CALLS,
        prompts=Prompts(max_tokens=8), timeout_s=60, name="hot",
    )  # fmt: skip
    folder = run_folder.new_folder(out, plan.name)
    (folder / "plan.json").write_bytes(plan.to_json())
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, folder], capture_output=True, text=True, check=True
    )
    records = run_folder.load(folder)
    assert (len(records), records.errors(records.mask())) == (CALLS, {})
    return json.loads(done.stdout.splitlines()[-1])


def test_at_most_16_classes_have_a_method_called_for_each_call(shared_simulator, tmp_path):
    for _ in range(TRIES):
        entered = entered_in_a_load(shared_simulator.target("fast"), tmp_path)
        each = sorted(name for name, n in entered.items() if n >= CALLS)
        if len(each) <= MOST:
            break
    assert len(each) <= MOST, each
    known = {"load.engine.Load", "transport.connection.Connection", "protocols.reading.Reading"}
    assert {f"holymon.{name}" for name in known} <= set(each)
