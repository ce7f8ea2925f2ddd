"""Capital: the cheapest lawful way to fund a project, and what lets others fund it."""
