from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.base import BaseEmailBackend


class NoServerBackend(BaseEmailBackend):
    """Refuse to send mail, in a production without a mail server."""

    def send_messages(self, email_messages):
        raise ImproperlyConfigured("Set EMAIL_HOST to send mail.")
