"""Who owes what, whom, from which budget: double-entry postings. Pure."""
