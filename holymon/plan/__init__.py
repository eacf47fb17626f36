"""What is to be measured: targets, prompts, shapes of load, objectives, prices.

Pure values, no clock. Every room below takes a `plan.Plan`; files that name targets or replay a
trace are read here.
"""
