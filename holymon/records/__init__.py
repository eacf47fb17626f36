"""What was measured: one row per attempt, the journal on disk, Parquet, and the folder of runs.

`attempt.DTYPE` is the schema everywhere, `records.Records` the rows in memory; whoever computes,
draws or exports reads them from here.
"""
