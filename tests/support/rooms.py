"""The rooms of tests/, from the lowest one up, and the rooms that each one imports.

tests/test_rooms.py holds this table true, so a page can draw it.
"""

ROOMS = {
    "support": [],
    "graders": ["support"],
    "deployment": ["graders", "support"],
    "pipelines": ["deployment", "support"],
    "page": ["pipelines", "support"],
    "maintenance": ["pipelines", "support"],
    "rendering": ["deployment", "pipelines", "support"],
    "running": ["maintenance", "support"],
    "updating": ["support"],
    "image": ["graders", "support"],
    "docs": ["deployment", "support"],
    "journeys": ["deployment", "maintenance", "support"],
}
