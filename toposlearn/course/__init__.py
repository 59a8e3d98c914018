"""The course as teaching material: its notebooks as files, and copies of them for students."""

from toposlearn.course.notebooks import course_folder, numbered_notebooks, student_copy, write_student_copies
