"""Read the environment: from config.env import env"""

import environs
from environs import validate

# Browsers send the names of hosts in ASCII, so no other spelling would match.
is_origin = validate.Regexp(
    r"https?://[A-Za-z0-9.-]+(:[0-9]+)?/?\Z",
    error="Use only a scheme and a host, such as https://example.com, and write an "
    "international name in ASCII, such as xn--mnchen-3ya.de.",
)
is_ascii = validate.Regexp(
    r"[\x00-\x7f]*\Z",
    error="Write an international name in ASCII, such as xn--mnchen-3ya.de.",
)
is_count = validate.Range(min=1, max=1000)
is_port = validate.Range(min=1, max=65535)
# More is probably meant as milliseconds.
is_timeout = validate.Range(min=0.1, max=600)


class Env(environs.Env):
    """Like environs.Env, but an empty variable has its default, as an unset one.

    Pipelines and platforms often pass an unset value as an empty variable.
    """

    def _get_value(self, env_key, default):
        value = super()._get_value(env_key, "")
        return value if value.strip() else default

    def words(self, name, default, **options):
        """Return the words of a comma-separated variable, or the default without any."""
        words = self.str(name, default="", **options).split(",")
        return [word.strip() for word in words if word.strip()] or default

    def hosts(self, name, default):
        """Return the words of a variable, which are hosts, or origins with a host."""
        return self.words(name, default, validate=is_ascii)

    def origin(self, name, **options):
        """Return the address of a site, as browsers send it: https://example.com"""
        text = self.str(name, validate=is_origin, **options)
        return text.removesuffix("/").lower()

    def count(self, name, default):
        """Return how many processes, connections or the like there are: at least one."""
        return self.int(name, default=default, validate=is_count)

    def port(self, name, default):
        """Return the number of a port."""
        return self.int(name, default=default, validate=is_port)

    def timeout(self, name, default):
        """Return a number of seconds, above 0, which libraries read as no limit or as an error."""
        return self.float(name, default=default, validate=is_timeout)

    def parse(self, name, parser, **options):
        """Return what a parser makes of a variable.

        Raises EnvError with the name of the variable if the parser raises ValueError.
        """
        value = self.str(name, **options)
        try:
            return parser(value)
        except ValueError as error:
            message = f'Environment variable "{name}" invalid: {error}'
            raise environs.EnvError(message) from None


env = Env()
