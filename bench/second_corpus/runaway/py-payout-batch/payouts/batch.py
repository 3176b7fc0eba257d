"""Works a batch of payouts off in processes of their own."""
import multiprocessing

from .shares import spread


def _work(jobs, results):
    for key, total, weights in jobs:
        results.send((key, spread(total, weights)))
    results.close()


def run(jobs, workers=2, patience=11):
    context = multiprocessing.get_context("fork")
    crew = []
    for n in range(workers):
        mine, theirs = context.Pipe(duplex=False)
        proc = context.Process(target=_work, args=(jobs[n::workers], theirs), name=f"payout-{n}")
        proc.start()
        theirs.close()
        crew.append((proc, mine))
    done = {}
    for proc, mine in crew:
        proc.join(patience)
        if proc.exitcode is None:
            proc.terminate()
            proc.join()
        try:
            while mine.poll():
                key, shares = mine.recv()
                done[key] = shares
        except EOFError:
            pass
    return done
