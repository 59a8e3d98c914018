"""Study: agreement."""
