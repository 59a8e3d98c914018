"""Study: shortcuts."""
