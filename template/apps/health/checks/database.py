from django.db import connection


def check():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
