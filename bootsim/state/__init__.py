"""A boot held still: snapshots of its stages, and state directories on disk."""
