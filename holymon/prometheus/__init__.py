"""Figures for Prometheus: exporter, alerts, rules, and the backtest of alerts on earlier runs.

`exporter.Collector` goes into any registry; names of metrics stand in `metric_names` alone.
"""
