"""A plan on several machines: on the workers of a Dask cluster."""
