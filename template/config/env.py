"""Read the environment: from config.env import env"""

import environs


class Env(environs.Env):
    """Like environs.Env, but an empty variable has its default, as an unset one.

    Pipelines and platforms often pass an unset value as an empty variable.
    """

    def _get_value(self, env_key, default):
        value = super()._get_value(env_key, "")
        return value if value.strip() else default

    def words(self, name, default):
        """Return the words of a comma-separated variable, or the default without any."""
        words = (word.strip() for word in self.str(name, default="").split(","))
        return [word for word in words if word] or default

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
