"""The environment, read with types. No other module of the project touches os.environ."""

from environs import Env

env = Env()
