"""Failures turned into what happened, why, and what to do next."""

from wizard.explain.catalogue import explain, recognise
from wizard.explain.failure import Explanation, Failure

__all__ = ["Explanation", "Failure", "explain", "recognise"]
