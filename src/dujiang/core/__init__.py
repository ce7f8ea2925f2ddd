"""Words that every step shares: money, time, problems, errors. Imports nothing of ours."""
