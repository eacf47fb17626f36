"""Pictures of records and results, by matplotlib; every figure in them comes from `figures`."""
