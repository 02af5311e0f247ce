"""A process that records the trials of a run that are missing, and says which, until it is done or killed.

`python -m tests.store.writer URL RUN FIRST LAST BATCH [GO]`; where a file GO is named, it waits for it.
"""

import sys
import time
from pathlib import Path

from agentkit.records import RunId
from agentkit.store import Store
from tests.store.records import make_trial


def main(url: str, run: str, first: str, last: str, batch: str, go: str = "") -> None:
    if go:
        print("ready", flush=True)
    while go and not Path(go).exists():
        time.sleep(0.001)
    added = 0
    with Store.open(url) as store:
        known = store.keys(RunId(run)) if int(last) else set()
        trials = [make_trial(RunId(run), index) for index in range(int(first), int(last))]
        missing = [trial for trial in trials if trial.key not in known]
        for start in range(0, len(missing), int(batch)):
            some = missing[start : start + int(batch)]
            added += store.add_trials(some)
            store.cache_put(f"key-{some[0].index}", f"from {first}")
            print(*(trial.index for trial in some), flush=True)
    print("added", added, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
