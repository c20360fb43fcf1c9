"""Where the ledger, the budgets, the cache and the dead letters are kept."""
