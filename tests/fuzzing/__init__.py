"""Hostile input: what readers are given, which readers there are, and how they are watched while they read."""
