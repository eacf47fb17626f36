"""Making the calls of a plan: engine, caller, worker process, and the run that follows it.

`run.start`, `measure` and `attach` are for whoever wants a run; all else serves the worker.
"""
