"""A notebook and its parameters to one HTML file; results as HTML and as text.

For the command, and for notebooks through `holymon.write_report`.
"""
