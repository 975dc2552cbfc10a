"""What the beat process sends, at times in UTC."""

from celery.schedules import crontab

# A number of seconds would start again with each release, so that a daily task of a daily
# release would never run.
SCHEDULE = {
    "delete-expired-sessions": {
        "task": "apps.users.tasks.delete_expired_sessions",
        "schedule": crontab(hour="3", minute="0"),
    },
    # Yours: an update changes nothing here.
}
