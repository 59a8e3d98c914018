"""Study: homology."""
