"""Study: resolution."""
