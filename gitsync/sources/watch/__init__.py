"""Secrets and ConfigMaps that others take something from: ``datawatch`` looks at those that are named.

``secretwatch`` has sources looked at when a Secret changes that they name; ``referred`` are the Secrets and
ConfigMaps that releases and Kustomizations take something from.
"""
