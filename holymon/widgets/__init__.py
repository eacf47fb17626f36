"""The dashboard and the monitor's view, by ipywidgets: they follow a run, and never time a call.

For notebooks, through `holymon.explore` and `holymon.watch`.
"""
