"""Build the start page: each question, and what its answers change, without Copier."""
