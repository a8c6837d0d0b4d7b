"""Personal data: what has the form of it is found and masked."""

from dslm.preprocess.clean.personal.step import Personal, PersonalConfig

__all__ = ["Personal", "PersonalConfig"]
