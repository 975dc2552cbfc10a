from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """The project's own user, so that it can gain fields without a new table."""

    # Yours: an update changes nothing below this line.
