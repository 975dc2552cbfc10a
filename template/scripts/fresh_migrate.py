"""Apply every migration to an empty database, then drop it."""

import django
from django.db import connection


def main():
    django.setup()
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=2, autoclobber=True)
    connection.creation.destroy_test_db(name)


if __name__ == "__main__":
    main()
