"""Study: what predicts each label of a data set without any learned representation."""

from toposlearn.studies.shortcuts.measure import find_shortcuts, shortcuts_report
