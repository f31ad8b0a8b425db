"""Kinds of records of a recording, and what a word of them may have."""
