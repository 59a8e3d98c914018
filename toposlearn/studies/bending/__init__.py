"""Study: bending."""
