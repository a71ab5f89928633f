"""Closed forms against the engine on scores that are not Gaussian: mixtures, a data set,
networks.
"""
