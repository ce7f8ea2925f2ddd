"""A second, independent implementation of the rules. Imports nothing else of dujiang.

Whoever doubts a result can read this package alone: it takes the folder of the book and the folder of the result,
derives every figure again in exact integers and fractions, and lists what differs. It shares no code with the
clearing, on purpose: two programs seldom make the same mistake.
"""

from dujiang.verify.verdict import Finding, Verdict
from dujiang.verify.verification import verify

__all__ = ["Finding", "Verdict", "verify"]
