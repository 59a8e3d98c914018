"""Study: tasks."""
