"""Arithmetic on records, and only that: quantiles, summary, verdict, comparison.

A figure has one home, here; reports, widgets, Prometheus and the command only place it.
"""
