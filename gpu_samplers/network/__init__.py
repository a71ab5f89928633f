"""NCSN++, the score network released with PSLD."""

from gpu_samplers.network.ncsnpp import NCSNpp, ncsnpp

__all__ = ["NCSNpp", "ncsnpp"]
