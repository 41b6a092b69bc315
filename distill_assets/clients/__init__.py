"""Who answers a prompt: teachers, the student, and the base models they start from."""
