"""Files and databases: books in, results and ledger out, never half-written."""
