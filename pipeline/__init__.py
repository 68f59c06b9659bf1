"""Closecast: nightly retraining of next-session closing-price forecasters that can be audited."""

__version__ = "0.1.0"
