"""One word in, a proven error out: splitting samplers for diffusion models, analysed."""

from splitting_analysis.catalogue import CATALOGUE, find
from splitting_analysis.notation import Word, WordError, parse
from splitting_analysis.reduction import naive, reduced
from splitting_analysis.schemes import LambdaS, Scheme, Source, scheme

__all__ = [
    "CATALOGUE", "LambdaS", "Scheme", "Source", "Word", "WordError",
    "find", "naive", "parse", "reduced", "scheme",
]  # fmt: skip
