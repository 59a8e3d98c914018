"""Study: realism."""
