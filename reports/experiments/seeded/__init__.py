"""Samplers with one defect each, of the kinds that released code had, and some that only look so.

Each is a small function of the protocol of a validation (analytic_models/probing/subject.py), with
what must be said of it. Nothing here is copied; where a public report gave the idea, it is named.
"""
