"""Fixtures of the service's tests."""

from tests.service.harness import faulty

__all__ = ["faulty"]
