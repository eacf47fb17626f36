"""An application's own calls: retries, the ledger of attempts, watched clients, middleware.

They end in the same records as a load's, and so in the same figures.
"""
